package guard

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/gopacket/layers"
	"github.com/google/nftables"
	mdpacket "github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"lvsnat/scheduler"
)

// The box of the tests: clients on 192.0.2.0/24 behind eth0, realservers on
// 10.1.1.0/24 behind eth1, forwarding on.
const (
	ownVIP     = "192.0.2.10" // an address of eth0
	wholeVIP   = "192.0.2.11" // as the kernel's own, with a service for all TCP ports
	foreignVIP = "192.0.2.20" // nowhere
	client     = "192.0.2.99"
	realserver = "10.1.1.2"
	dip        = "10.1.1.1"

	wholeServer = "10.1.1.4" // serves all TCP ports
	rangeServer = "10.1.1.5" // serves the ports of port ranges
)

// Addresses within ranges of services that the kernel owns.
var inRange1, inRange2 = netip.MustParseAddr("192.0.2.40"), netip.MustParseAddr("192.0.2.50")

var handled = State{
	Services: []Endpoint{
		{6, scheduler.MustParseAddress(ownVIP + ":80")},
		{17, scheduler.MustParseAddress(ownVIP + ":53")},
		{6, scheduler.MustParseAddress(foreignVIP + ":80")},
		{6, scheduler.MustParseAddress(wholeVIP + ":0")},
		{6, scheduler.MustParseAddress(ownVIP + ":5000-5999")},
		{6, scheduler.MustParseAddress(ownVIP + ":5100-5199")}, // within the other
		{6, scheduler.MustParseAddress("192.0.2.32/28:80")},
		{6, scheduler.MustParseAddress("192.0.2.48/28:5000-5999")}, // next to it
		{17, scheduler.MustParseAddress("192.0.2.48/30:0")},        // within that
	},
	Realservers: []Endpoint{
		{6, scheduler.MustParseAddress(realserver + ":8000")},
		{17, scheduler.MustParseAddress(realserver + ":53")},
		{6, scheduler.MustParseAddress(wholeServer + ":0")},
		{6, scheduler.MustParseAddress(rangeServer + ":5000-5999")},
		{6, scheduler.MustParseAddress(rangeServer + ":5500-6500")},
	},
	Local: []netip.Addr{inRange1, inRange2, netip.MustParseAddr(ownVIP), netip.MustParseAddr(wholeVIP), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr(dip)},
}

func TestGuardDropsWhatTheDirectorHandlesAndNothingElse(t *testing.T) {
	checkDrops(t, []dropTest{
		{"a request to a service of an owned VIP", "eth0", tcp(client, 1024, ownVIP, 80), true},
		{"another port of an owned VIP", "eth0", tcp(client, 1024, ownVIP, 22), false},
		{"a service's port by another protocol", "eth0", udp(client, 1024, ownVIP, 80), false},
		{"a UDP request", "eth0", udp(client, 1024, ownVIP, 53), true},
		{"an echo request to an owned VIP", "eth0", echo(client, ownVIP), false},
		{"a service's port as the source port", "eth0", tcp(client, 80, ownVIP, 1024), false},
		{"the first fragment of a UDP request", "eth0", fragment(udp(client, 1024, ownVIP, 53), 0, true), true},
		{"a later fragment to an owned VIP", "eth0", fragment(udp(client, 1024, ownVIP, 53), 185, false), false},
		{"a request with IP options", "eth0", withOptions(tcp(client, 1024, ownVIP, 80)), true},

		{"a request to a service of a VIP that is nowhere", "eth0", tcp(client, 1024, foreignVIP, 80), true},
		{"another port of a VIP that is nowhere", "eth0", tcp(client, 1024, foreignVIP, 22), true},
		{"an echo request to a VIP that is nowhere", "eth0", echo(client, foreignVIP), true},
		{"a later fragment to a VIP that is nowhere", "eth0", fragment(udp(client, 1024, foreignVIP, 53), 185, false), true},
		{"a request to a VIP from the realservers' side", "eth1", tcp(realserver, 1024, foreignVIP, 80), true},

		{"any port of a service for all ports", "eth0", tcp(client, 1024, wholeVIP, 4711), true},
		{"another protocol to a service for all ports", "eth0", udp(client, 1024, wholeVIP, 4711), false},
		{"an echo request to a service for all ports", "eth0", echo(client, wholeVIP), false},
		{"a reply from any port", "eth1", tcp(wholeServer, 4711, client, 1024), true},
		{"a reply from any port to a health check", "eth1", tcp(wholeServer, 4711, dip, 1024), false},
		{"another protocol from a server for all ports", "eth1", udp(wholeServer, 4711, client, 1024), false},
		{"an ICMP error about a request to any port", "eth1", icmpError(wholeServer, client, tcp(client, 1024, wholeServer, 4711)), true},

		{"a reply to a client", "eth1", tcp(realserver, 8000, client, 1024), true},
		{"a UDP reply to a client", "eth1", udp(realserver, 53, client, 1024), true},
		{"a later fragment of a UDP reply", "eth1", fragment(udp(realserver, 53, client, 1024), 185, true), true},
		{"a later fragment of another protocol", "eth1", fragment(echo(realserver, client), 185, true), false},
		{"a later fragment from another machine", "eth1", fragment(udp("10.1.1.3", 53, client, 1024), 185, true), false},
		{"a reply to a health check", "eth1", tcp(realserver, 8000, dip, 1024), false},
		{"a later fragment of a reply to a health check", "eth1", fragment(udp(realserver, 53, dip, 1024), 185, true), false},
		{"a broadcast from a service's port", "eth1", udp(realserver, 53, "255.255.255.255", 1024), false},
		{"a broadcast to the subnet from a service's port", "eth1", udp(realserver, 53, "10.1.1.255", 1024), false},
		{"a multicast from a service's port", "eth1", udp(realserver, 53, "224.0.0.251", 5353), false},
		{"a realserver as a client of the outside", "eth1", tcp(realserver, 1024, client, 80), false},
		{"the service's port of a machine that is no realserver", "eth1", tcp("10.1.1.3", 8000, client, 1024), false},
		{"an echo request from a realserver to a client", "eth1", echo(realserver, client), false},

		{"an ICMP error about a request", "eth1", icmpError(realserver, client, udp(client, 1024, realserver, 53)), true},
		{"an ICMP error about a request, from a router", "eth1", icmpError("10.1.1.254", client, tcp(client, 1024, realserver, 8000)), true},
		{"an ICMP error about another port", "eth1", icmpError(realserver, client, udp(client, 1024, realserver, 5353)), false},
		{"an ICMP error about a health check", "eth1", icmpError(realserver, dip, tcp(dip, 1024, realserver, 8000)), false},
		{"an echo request that carries a packet", "eth1", echoWith(realserver, client, udp(client, 1024, realserver, 53)), false},
	})
}

// A dropTest is a packet to a NIC that the guard drops or lets pass.
type dropTest struct {
	name    string
	nic     string
	packet  []byte
	dropped bool
}

func checkDrops(t *testing.T, tests []dropTest) {
	t.Helper()
	eachWay(t, func(t *testing.T, box *box) {
		box.set(t, box.guard(t), handled)
		for _, tagged := range []bool{false, true} {
			for _, tt := range tests {
				name, frame := tt.name, ethernet(box.mac(tt.nic), layers.EthernetTypeIPv4, tt.packet)
				if tagged {
					name, frame = name+", VLAN-tagged", tag(frame)
				}
				t.Run(name, func(t *testing.T) {
					if dropped := !box.passes(t, tt.nic, frame); dropped != tt.dropped {
						t.Errorf("dropped: %v, want %v", dropped, tt.dropped)
					}
				})
			}
		}
	})
}

// eachWay tests the rules behind the classifier and the rules alone.
func eachWay(t *testing.T, f func(*testing.T, *box)) {
	t.Run("with classifier", func(t *testing.T) { f(t, newBox(t)) })
	t.Run("rules alone", func(t *testing.T) {
		box := newBox(t)
		box.hinder(t, "eth0")
		f(t, box)
	})
}

func TestGuardLeavesOtherProtocolsAlone(t *testing.T) {
	box := newBox(t)
	g := box.guard(t)
	box.set(t, g, handled)
	for _, tt := range []struct {
		name string
		kind layers.EthernetType
	}{
		{"ARP", layers.EthernetTypeARP},
		{"IPv6", layers.EthernetTypeIPv6},
		{"anything else", 0x88b6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// The bytes are those of a packet that is dropped as IPv4.
			frame := ethernet(box.mac("eth0"), tt.kind, tcp(client, 1024, foreignVIP, 80))
			if !box.passes(t, "eth0", frame) {
				t.Error("dropped")
			}
		})
	}
}

func TestGuardFollowsChanges(t *testing.T) { eachWay(t, testGuardFollowsChanges) }

func testGuardFollowsChanges(t *testing.T, box *box) {
	g := box.guard(t)
	toOwn := ethernet(box.mac("eth0"), layers.EthernetTypeIPv4, tcp(client, 1024, ownVIP, 80))
	toOwnSSH := ethernet(box.mac("eth0"), layers.EthernetTypeIPv4, tcp(client, 1024, ownVIP, 22))

	expect := func(t *testing.T, what string, frame []byte, dropped bool) {
		t.Helper()
		if got := !box.passes(t, "eth0", frame); got != dropped {
			t.Errorf("%s: dropped %v, want %v", what, got, dropped)
		}
	}
	t.Run("a service is added and removed", func(t *testing.T) {
		box.set(t, g, State{})
		expect(t, "no services", toOwn, false)
		box.set(t, g, handled)
		expect(t, "services", toOwn, true)
		box.set(t, g, State{})
		expect(t, "no services again", toOwn, false)
	})
	t.Run("the box takes over and gives up the VIP", func(t *testing.T) {
		box.set(t, g, handled)
		expect(t, "owned", toOwnSSH, false)
		foreign := handled
		foreign.Local = nil
		box.set(t, g, foreign)
		expect(t, "no longer owned", toOwnSSH, true)
		box.set(t, g, handled)
		expect(t, "owned again", toOwnSSH, false)
	})
	t.Run("somebody flushes all rules", func(t *testing.T) {
		box.set(t, g, handled)
		box.Do(func() {
			c := &nftables.Conn{}
			c.DelTable(&nftables.Table{Name: Table, Family: nftables.TableFamilyNetdev})
			if err := c.Flush(); err != nil {
				t.Fatal(err)
			}
		})
		byClassifier, _ := g.Classifier()
		expect(t, "flushed", toOwn, byClassifier)
		box.set(t, g, handled)
		expect(t, "put back", toOwn, true)
	})
	t.Run("somebody empties a set", func(t *testing.T) {
		box.set(t, g, handled)
		box.Do(func() {
			c := &nftables.Conn{}
			c.FlushSet(&nftables.Set{Table: &nftables.Table{Name: Table, Family: nftables.TableFamilyNetdev}, Name: "services"})
			if err := c.Flush(); err != nil {
				t.Fatal(err)
			}
		})
		less := handled
		less.Services = less.Services[1:]
		box.set(t, g, less)
		expect(t, "the removed service", toOwn, false)
		box.set(t, g, handled)
		expect(t, "the service after it came back", toOwn, true)
	})
	t.Run("a new process takes over", func(t *testing.T) {
		box.set(t, g, handled)
		next := box.guard(t)
		box.set(t, next, handled)
		expect(t, "taken over", toOwn, true)
		g = next
	})
	t.Run("the guard is removed", func(t *testing.T) {
		box.set(t, g, handled)
		for range 2 {
			box.Do(func() {
				if err := g.Remove(); err != nil {
					t.Fatal(err)
				}
			})
			expect(t, "removed", toOwn, false)
		}
		box.set(t, g, handled)
		expect(t, "set again", toOwn, true)
	})
}

func TestGuardReturnsWithItsNIC(t *testing.T) {
	box := newBox(t)
	g := box.guard(t)
	box.set(t, g, handled)

	box.Delete("eth1")
	box.set(t, g, handled)
	toOwn := ethernet(box.mac("eth0"), layers.EthernetTypeIPv4, tcp(client, 1024, ownVIP, 80))
	if box.passes(t, "eth0", toOwn) {
		t.Error("eth0 is unguarded while eth1 is gone")
	}

	box.connect(t, "eth1", "10.1.1.1/24")
	box.set(t, g, handled)
	reply := ethernet(box.mac("eth1"), layers.EthernetTypeIPv4, tcp(realserver, 8000, client, 1024))
	if box.passes(t, "eth1", reply) {
		t.Error("eth1 is unguarded after its return")
	}
}

func TestOneNICIsHookedOnce(t *testing.T) {
	box := newBox(t)
	var g *Guard
	box.Do(func() {
		var err error
		if g, err = New("eth0", "eth0"); err != nil {
			t.Fatal(err)
		}
	})
	box.set(t, g, handled)
	toOwn := ethernet(box.mac("eth0"), layers.EthernetTypeIPv4, tcp(client, 1024, ownVIP, 80))
	if box.passes(t, "eth0", toOwn) {
		t.Error("not dropped")
	}
	if n := box.shot(t, "eth0") + box.dropCounters(t)["services"]; n != 1 {
		t.Errorf("counted %d packets, want 1", n)
	}
}

func TestGuardHoldsTenThousandServices(t *testing.T) {
	box := newBox(t)
	g := box.guard(t)
	var s State
	s.Local = handled.Local
	for i := range 10_000 {
		s.Services = append(s.Services, Endpoint{6, scheduler.AddressOf(netip.AddrPortFrom(netip.MustParseAddr(ownVIP), uint16(1000+i)))})
		for j := range 3 {
			s.Realservers = append(s.Realservers, Endpoint{6, scheduler.AddressOf(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(2 + j), byte(i)}), uint16(i)))})
		}
	}
	box.set(t, g, s)
	box.set(t, g, s)
	for _, port := range []uint16{1000, 6000, 10_999} {
		if box.passes(t, "eth0", ethernet(box.mac("eth0"), layers.EthernetTypeIPv4, tcp(client, 1024, ownVIP, port))) {
			t.Errorf("port %d is not dropped", port)
		}
	}
	if !box.passes(t, "eth0", ethernet(box.mac("eth0"), layers.EthernetTypeIPv4, tcp(client, 1024, ownVIP, 11_000))) {
		t.Error("port 11000 is dropped")
	}
}

// While services change, and while another process takes over, no packet that
// is to be dropped gets past the guard.
func TestGuardHasNoGap(t *testing.T) { eachWay(t, testGuardHasNoGap) }

func testGuardHasNoGap(t *testing.T, box *box) {
	g := box.guard(t)
	box.set(t, g, handled)
	more := handled
	more.Services = append(slices.Clone(more.Services), Endpoint{6, scheduler.MustParseAddress(ownVIP + ":443")},
		Endpoint{6, scheduler.MustParseAddress(ownVIP + ":6000-6999")}, Endpoint{6, scheduler.MustParseAddress("192.0.2.64/28:80")})

	stop := make(chan struct{})
	sent := make(chan error, 1)
	conn, addr := box.peers["eth0"], &mdpacket.Addr{HardwareAddr: box.mac("eth0")}
	frame := ethernet(box.mac("eth0"), layers.EthernetTypeIPv4, tcp(client, 1024, ownVIP, 80))
	go func() { sent <- sendUntil(stop, conn, addr, frame) }()
	for round := range 20 {
		if round%4 == 3 {
			g = box.guard(t)
		}
		box.set(t, g, []State{handled, more}[round%2])
	}
	close(stop)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	box.mark(t, "eth0")
	arrived, passed := box.counts(t, "eth0")
	if arrived < 1000 {
		t.Fatalf("only %d packets arrived: too few to tell", arrived)
	}
	if passed != 0 {
		t.Errorf("%d of %d packets got past the guard", passed, arrived)
	}
	if active, _ := g.Classifier(); active && box.shot(t, "eth0") != arrived {
		t.Errorf("the classifier has dropped %d of %d packets", box.shot(t, "eth0"), arrived)
	}
}

func TestTakenOverHooksComeAfterTheOldOnes(t *testing.T) {
	box := newBox(t)
	for _, want := range []nftables.ChainPriority{-300, -299, -298} {
		g := box.guard(t)
		box.set(t, g, handled)
		box.Do(func() {
			hooks, err := g.hooksLocked()
			if err != nil {
				t.Fatal(err)
			}
			if len(hooks) != 2 || *hooks[0].Priority != want || *hooks[1].Priority != want {
				t.Errorf("%d hooks at %d, want two at %d", len(hooks), *hooks[0].Priority, want)
			}
		})
	}
	last := lastPriority
	if p := priorityAfter([]*nftables.Chain{{Priority: &last}}); p != firstPriority {
		t.Errorf("after the last priority comes %d, want the first again", p)
	}
}

// sendUntil sends a frame over and over, two million times at the most.
func sendUntil(stop <-chan struct{}, conn *mdpacket.Conn, addr net.Addr, frame []byte) error {
	for range 2_000_000 {
		select {
		case <-stop:
			return nil
		default:
		}
		if _, err := conn.WriteTo(frame, addr); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return err
		}
	}
	return nil
}

func TestSupportedLeavesNothingBehind(t *testing.T) {
	box := newBox(t)
	g := box.guard(t)
	box.Do(func() {
		if err := g.Supported(); err != nil {
			t.Fatal(err)
		}
		tables, err := (&nftables.Conn{}).ListTablesOfFamily(nftables.TableFamilyNetdev)
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range tables {
			if strings.HasPrefix(table.Name, Table) {
				t.Errorf("table %s is left", table.Name)
			}
		}
	})
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{syscall.EPERM, "CAP_NET_ADMIN"},
		{syscall.EPROTONOSUPPORT, "nf_tables"},
		{syscall.EOPNOTSUPP, "netdev"},
		{syscall.ENOENT, "nft_fib_netdev"},
		{syscall.EMSGSIZE, "wmem_max"},
	} {
		got := explain(fmt.Errorf("netlink receive: %w", tt.err))
		if !strings.Contains(got.Error(), tt.want) || !errors.Is(got, tt.err) {
			t.Errorf("%v becomes %q, want a word on %s", tt.err, got, tt.want)
		}
	}
}

func TestBadStatesAreRefused(t *testing.T) {
	box := newBox(t)
	g := box.guard(t)
	for _, s := range []State{
		{Services: []Endpoint{{6, scheduler.MustParseAddress("[2001:db8::1]:80")}}},
		{Realservers: []Endpoint{{6, scheduler.Address{}}}},
		{Services: []Endpoint{{6, scheduler.MustParseAddress("0.0.0.0:80")}}},
	} {
		box.Do(func() {
			if err := g.Set(s); err == nil || !strings.Contains(err.Error(), "not an IPv4 address") {
				t.Errorf("%v: error %v", s, err)
			}
		})
	}
}

// From one set to any other, what difference says leads there.
func TestDifferenceLeadsFromOneToTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := drawElements(t, "from")
		to := drawElements(t, "to")
		gone, added := difference(from, to)
		got := make(elements)
		for key := range from {
			got[key] = struct{}{}
		}
		for _, key := range gone {
			if _, is := got[key]; !is {
				t.Fatalf("%q is removed and was not there", key)
			}
			delete(got, key)
		}
		for _, key := range added {
			if _, is := got[key]; is {
				t.Fatalf("%q is added and was there", key)
			}
			got[key] = struct{}{}
		}
		if !slices.Equal(got.keys(), to.keys()) {
			t.Fatalf("got %q, want %q", got.keys(), to.keys())
		}
	})
}

func drawElements(t *rapid.T, label string) elements {
	e := make(elements)
	for _, b := range rapid.SliceOfN(rapid.ByteRange(0, 7), 0, 8).Draw(t, label) {
		e.add([]byte{b})
	}
	return e
}
