package announce

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	arp "github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"lvsnat/cmd/director/internal/network"
	"lvsnat/cmd/director/internal/nstest"
	"lvsnat/dataplane/packet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAnotherMachinesKernelFindsTheVIP(t *testing.T) {
	w := newWire(t)
	w.set(t, vip1)
	w.ask(t, vip1)
	nstest.Eventually(t, "its kernel has our Ethernet address", func() bool {
		return bytes.Equal(w.neighbour(t, vip1), w.box.MAC("eth0"))
	})
	nstest.Eventually(t, "the answer is counted", func() bool { return w.Stats().Answered == 1 })
}

func TestTheKernelAnswersForItsOwn(t *testing.T) {
	w := newWire(t)
	w.box.Addr("eth0", vip1.String()+"/24")
	w.set(t, vip1)
	w.ask(t, vip1)
	nstest.Eventually(t, "the VIP is found", func() bool { return w.neighbour(t, vip1) != nil })
	if s := w.Stats(); s.Answered != 0 || s.Announced != 0 {
		t.Errorf("%+v, want silence", s)
	}
}

func TestAnnouncementsReachTheWire(t *testing.T) {
	w := newWire(t)
	w.run(t)
	w.set(t, vip1)
	for range repeats {
		if got := w.announcement(t); got != vip1 {
			t.Errorf("%v is announced", got)
		}
	}
	nstest.Eventually(t, "all are counted", func() bool { return w.Stats().Announced == repeats })
}

func TestEveryAddressOfARangeIsAnnouncedAndAnsweredUnlessTheKernelHasIt(t *testing.T) {
	w := newWire(t)
	w.run(t)
	vips := netip.MustParsePrefix("192.0.2.8/29") // holds vip1
	w.box.Addr("eth0", vip1.String()+"/24")
	s := w.state(t)
	w.box.Do(func() {
		// The second one lies within the first.
		if err := w.Set(s, []netip.Prefix{vips, netip.MustParsePrefix("192.0.2.12/30")}); err != nil {
			t.Fatal(err)
		}
	})
	counts := make(map[netip.Addr]int)
	for range 7 * repeats {
		counts[w.announcement(t)]++
	}
	for addr := vips.Addr(); vips.Contains(addr); addr = addr.Next() {
		if want := map[bool]int{false: repeats, true: 0}[addr == vip1]; counts[addr] != want {
			t.Errorf("%v is announced %d times, want %d", addr, counts[addr], want)
		}
	}
	for _, addr := range []string{"192.0.2.8", "192.0.2.15"} {
		w.ask(t, netip.MustParseAddr(addr))
		nstest.Eventually(t, addr+" is found", func() bool {
			return bytes.Equal(w.neighbour(t, netip.MustParseAddr(addr)), w.box.MAC("eth0"))
		})
	}
	if s := w.Stats(); s.Answered != 2 {
		t.Errorf("%d requests are answered, want 2", s.Answered)
	}
	for _, addr := range []string{"192.0.2.7", "192.0.2.16"} {
		w.claim(t, netip.MustParseAddr(addr))
	}
	w.claim(t, netip.MustParseAddr("192.0.2.15"))
	nstest.Eventually(t, "a claim to an address of the range is noted", func() bool {
		c := w.Conflicts()
		return len(c) == 1 && c[0].VIP == netip.MustParseAddr("192.0.2.15")
	})
}

func TestTheNICGoesAwayAndComesBack(t *testing.T) {
	w := newWire(t)
	w.run(t)
	w.set(t, vip1)
	w.announcement(t)

	w.box.Down("eth0")
	w.set(t, vip1)
	w.box.Up("eth0")
	w.set(t, vip1)
	w.announcement(t)
	w.ask(t, vip1)
	nstest.Eventually(t, "the VIP is found after the link was down", func() bool { return w.neighbour(t, vip1) != nil })

	w.box.Delete("eth0")
	w.set(t, vip1)
	w.connect(t)
	w.set(t, vip1)
	w.announcement(t)
	w.ask(t, vip1)
	nstest.Eventually(t, "the VIP is found on the new NIC", func() bool {
		return bytes.Equal(w.neighbour(t, vip1), w.box.MAC("eth0"))
	})
	if lines := w.log.String(); lines != "" {
		t.Errorf("what is as it should be is logged: %s", lines)
	}
}

func TestASecondMachineIsReportedAndAnsweredBack(t *testing.T) {
	w := newWire(t)
	w.run(t)
	w.set(t, vip1)
	for range repeats {
		w.announcement(t)
	}
	for range 3 {
		w.claim(t, vip1)
	}
	if got := w.announcement(t); got != vip1 {
		t.Errorf("%v is defended", got)
	}
	nstest.Eventually(t, "all claims are counted", func() bool { return w.Stats().Conflicts == 3 })
	c := w.Conflicts()
	if len(c) != 1 || c[0].VIP != vip1 || c[0].MAC != theirs || c[0].Count != 3 {
		t.Errorf("conflicts: %+v", c)
	}
	lines := w.log.String()
	if strings.Count(lines, "another machine answers") != 1 ||
		!strings.Contains(lines, mac(theirs)) || !strings.Contains(lines, w.box.MAC("eth0").String()) || !strings.Contains(lines, vip1.String()) {
		t.Errorf("the log says %q", lines)
	}
}

// A VLAN is another network, where the same address may be somebody else's.
func TestWhatIsNotForTheNICIsLeftAlone(t *testing.T) {
	w := newWire(t)
	w.set(t, vip1)
	question := message{request, party{theirs, asker}, party{addr: vip1}}
	claim := message{request, party{theirs, vip1}, party{addr: vip1}}
	for _, frame := range [][]byte{
		tagged(question.marshal(broadcast)),
		tagged(claim.marshal(broadcast)),
		question.marshal(packet.MAC{2, 0, 0, 0, 0, 5}), // of which a switch lets some pass
	} {
		if err := send(w.conn, frame); err != nil {
			t.Fatal(err)
		}
	}
	w.ask(t, vip1)
	nstest.Eventually(t, "the kernel's question is answered", func() bool { return w.neighbour(t, vip1) != nil })
	if s := w.Stats(); s.Answered > 1 || s.Conflicts != 0 {
		t.Errorf("%+v, want one answer", s)
	}
}

// tagged puts a frame into VLAN 7.
func tagged(frame []byte) []byte {
	return slices.Concat(frame[:12], []byte{0x81, 0, 0, 7}, frame[12:])
}

func TestOnlyRawSocketsMustBeAllowed(t *testing.T) {
	w := newWire(t)
	s := w.state(t)
	w.box.Do(func() {
		nstest.WithCapabilities(t, func() {
			if err := w.Set(s, prefixes(vip1)); err == nil || !strings.Contains(err.Error(), "CAP_NET_RAW") {
				t.Errorf("without: %v", err)
			}
		})
		nstest.WithCapabilities(t, func() {
			if err := w.Set(s, prefixes(vip1)); err != nil {
				t.Errorf("with: %v", err)
			}
		}, unix.CAP_NET_RAW)
	})
}

func TestBadVIPsAreRefused(t *testing.T) {
	w := newWire(t)
	if err := w.Set(w.state(t), prefixes(netip.MustParseAddr("2001:db8::1"))); err == nil {
		t.Error("IPv6 is taken")
	}
}

// --- the wire ---

// A wire leads from eth0 of the director's box to far0 of another machine.
type wire struct {
	*Announcer
	box, far *nstest.Namespace
	log      *safeBuffer
	conn     *arp.Conn // the other machine's
}

func newWire(t *testing.T) *wire {
	t.Helper()
	w := &wire{box: nstest.New(t), far: nstest.New(t), log: &safeBuffer{}}
	for _, ns := range []*nstest.Namespace{w.box, w.far} {
		ns.Sysctl("ipv6/conf/default/disable_ipv6", 1)
	}
	w.connect(t)
	w.Announcer = New(slog.New(slog.NewTextHandler(w.log, nil)), time.Now)
	t.Cleanup(w.Close)
	return w
}

func (w *wire) connect(t *testing.T) {
	t.Helper()
	nstest.Veth(w.box, "eth0", w.far, "far0")
	w.far.Addr("far0", asker.String()+"/24")
	w.far.Do(func() {
		attrs := w.far.Link("far0").Attrs()
		var err error
		w.conn, err = arp.Listen(&net.Interface{Index: attrs.Index, HardwareAddr: attrs.HardwareAddr}, arp.Raw, unix.ETH_P_ARP, nil)
		if err != nil {
			t.Fatal(err)
		}
	})
	conn := w.conn
	t.Cleanup(func() { _ = conn.Close() })
}

// state reads the box as the director does.
func (w *wire) state(t *testing.T) (s network.State) {
	t.Helper()
	w.box.Do(func() {
		watcher, err := network.New([]string{"eth0"}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer watcher.Close()
		s = watcher.State()
	})
	return s
}

func prefixes(vips ...netip.Addr) []netip.Prefix {
	var list []netip.Prefix
	for _, vip := range vips {
		list = append(list, netip.PrefixFrom(vip, vip.BitLen()))
	}
	return list
}

func (w *wire) set(t *testing.T, vips ...netip.Addr) {
	t.Helper()
	s := w.state(t)
	w.box.Do(func() {
		if err := w.Set(s, prefixes(vips...)); err != nil {
			t.Fatal(err)
		}
	})
}

func (w *wire) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

// ask makes the other machine's kernel resolve an address.
func (w *wire) ask(t *testing.T, addr netip.Addr) {
	t.Helper()
	err := w.far.NeighSet(&netlink.Neigh{LinkIndex: w.far.Link("far0").Attrs().Index, Family: unix.AF_INET,
		Flags: netlink.NTF_USE, IP: addr.AsSlice()})
	if err != nil {
		t.Fatal(err)
	}
}

// neighbour is the Ethernet address that the other machine's kernel has.
func (w *wire) neighbour(t *testing.T, addr netip.Addr) net.HardwareAddr {
	t.Helper()
	list, err := w.far.NeighList(w.far.Link("far0").Attrs().Index, unix.AF_INET)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range list {
		if n.IP.Equal(addr.AsSlice()) {
			return n.HardwareAddr
		}
	}
	return nil
}

// claim announces an address from another machine still.
func (w *wire) claim(t *testing.T, addr netip.Addr) {
	t.Helper()
	frame := message{request, party{theirs, addr}, party{addr: addr}}.marshal(broadcast)
	if err := send(w.conn, frame); err != nil {
		t.Fatal(err)
	}
}

// announcement waits for the director's next announcement.
func (w *wire) announcement(t *testing.T) netip.Addr {
	t.Helper()
	if err := w.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 128)
	for {
		n, _, err := w.conn.ReadFrom(frame)
		if err != nil {
			t.Fatalf("no announcement: %v", err)
		}
		if m, ok := parse(frame[:n]); ok && m.operation == request && m.sender.addr == m.target.addr {
			return isAnnouncement(t, frame[:n], packet.MAC(w.box.MAC("eth0")))
		}
	}
}

// A safeBuffer is a log that is read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
