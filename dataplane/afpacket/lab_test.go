package afpacket

import (
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"lvsnat/dataplane/packet"
)

// A cable is a veth pair between two network namespaces of its own. The
// namespaces have no names: they are gone when the test has closed them.
//
//	near namespace          far namespace
//	  near0 ----------------- far0
//	  10.9.0.1/24             10.9.0.2/24
type cable struct {
	near, far end
}

// An end is one NIC of a cable and the namespace it is in.
type end struct {
	ns   netns.NsHandle
	link *netlink.Handle
	nic  string
	mac  net.HardwareAddr
	addr net.IP
}

const linkMTU = 1500

// newCable makes a cable that is up. It needs root.
func newCable(t testing.TB) *cable {
	t.Helper()
	c := &cable{
		near: end{nic: "near0", addr: net.IPv4(10, 9, 0, 1)},
		far:  end{nic: "far0", addr: net.IPv4(10, 9, 0, 2)},
	}
	for _, e := range []*end{&c.near, &c.far} {
		e.open(t)
	}
	c.plug(t)
	return c
}

// open makes the end's namespace.
func (e *end) open(t testing.TB) {
	t.Helper()
	locked(t, func() { e.ns = must(netns.New()) })
	t.Cleanup(func() { e.ns.Close() })
	link, err := netlink.NewHandleAt(e.ns)
	if err != nil {
		t.Fatal(err)
	}
	e.link = link
	t.Cleanup(link.Close)
}

// plug makes the veth pair and waits for its carrier.
func (c *cable) plug(t testing.TB) {
	t.Helper()
	attributes := netlink.NewLinkAttrs()
	attributes.Name = c.near.nic
	attributes.MTU = linkMTU
	veth := &netlink.Veth{LinkAttrs: attributes, PeerName: c.far.nic, PeerNamespace: netlink.NsFd(c.far.ns)}
	if err := c.near.link.LinkAdd(veth); err != nil {
		t.Fatalf("add a veth pair: %v", err)
	}
	for _, e := range []*end{&c.near, &c.far} {
		e.in(t, func() { must(0, disableIPv6(e.nic)) })
		link := must(e.link.LinkByName(e.nic))
		e.mac = link.Attrs().HardwareAddr
		address := &netlink.Addr{IPNet: &net.IPNet{IP: e.addr, Mask: net.CIDRMask(24, 32)}}
		must(0, e.link.AddrAdd(link, address))
		must(0, e.link.LinkSetUp(link))
	}
}

// set brings the end's NIC up or down, or changes its MTU.
func (e *end) set(t testing.TB, change func(*netlink.Handle, netlink.Link) error) {
	t.Helper()
	link, err := e.link.LinkByName(e.nic)
	if err == nil {
		err = change(e.link, link)
	}
	if err != nil {
		t.Fatalf("change %s: %v", e.nic, err)
	}
}

func up(h *netlink.Handle, l netlink.Link) error   { return h.LinkSetUp(l) }
func down(h *netlink.Handle, l netlink.Link) error { return h.LinkSetDown(l) }
func del(h *netlink.Handle, l netlink.Link) error  { return h.LinkDel(l) }

func mtu(n int) func(*netlink.Handle, netlink.Link) error {
	return func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetMTU(l, n) }
}

// in runs f on a thread that is in the end's namespace.
func (e *end) in(t testing.TB, f func()) {
	t.Helper()
	locked(t, func() {
		must(0, netns.Set(e.ns))
		f()
	})
}

// locked runs f on a thread of its own. The thread ends with it, so that f may
// leave it in any namespace.
func locked(t testing.TB, f func()) {
	t.Helper()
	failed := make(chan any)
	go func() {
		runtime.LockOSThread()
		defer func() { failed <- recover() }()
		f()
	}()
	if err := <-failed; err != nil {
		t.Fatalf("in a namespace of the test: %v (the test needs root)", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// disableIPv6 keeps the kernel from sending by itself.
func disableIPv6(nic string) error {
	file := "/proc/sys/net/ipv6/conf/" + nic + "/disable_ipv6"
	fd, err := unix.Open(file, unix.O_WRONLY, 0)
	if err == unix.ENOENT {
		return nil // a kernel without IPv6
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", file, err)
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte("1"))
	return err
}

// fanout opens receivers at the end.
func (e *end) fanout(t testing.TB, p Placement, o Options) *Fanout {
	t.Helper()
	var f *Fanout
	e.in(t, func() { f = must(OpenFanout(e.nic, p, o)) })
	t.Cleanup(func() { f.Close() })
	return f
}

// receiver opens the only receiver at the end.
func (e *end) receiver(t testing.TB, o Options) *Receiver {
	t.Helper()
	return e.fanout(t, Placement{Workers: 1}, o).Receivers()[0]
}

// sender opens a sender at the end.
func (e *end) sender(t testing.TB, o Options) *Sender {
	t.Helper()
	var s *Sender
	e.in(t, func() { s = must(OpenSender(e.nic, o)) })
	t.Cleanup(func() { s.Close() })
	return s
}

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// collect receives n frames and returns copies of them.
func collect(t testing.TB, r *Receiver, n int) []packet.Frame {
	t.Helper()
	var got []packet.Frame
	eventually(t, func() string {
		got = append(got, take(r)...)
		if len(got) < n {
			return fmt.Sprintf("%d frames received, want %d; %+v", len(got), n, r.Stats())
		}
		return ""
	})
	return got
}

// take receives what there is and returns copies.
func take(r *Receiver) []packet.Frame {
	var lent [64]packet.Frame
	var got []packet.Frame
	for {
		n := r.Receive(lent[:])
		if n == 0 {
			return got
		}
		for _, f := range lent[:n] {
			f.Data = append([]byte(nil), f.Data...)
			got = append(got, f)
		}
		r.Release()
	}
}

// eventually calls f until it has nothing to say.
func eventually(t testing.TB, f func() string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		complaint := f()
		if complaint == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(complaint)
		}
		time.Sleep(time.Millisecond)
	}
}

// send puts frames on the wire in one batch and fails when one is refused.
func send(t testing.TB, s *Sender, frames ...packet.Frame) {
	t.Helper()
	for i, f := range frames {
		if s.Reserve(&f) == nil {
			t.Fatalf("frame %d of %d bytes was refused", i, len(f.Data))
		}
		s.Commit()
	}
	s.Flush()
}

// udp makes a frame with a UDP datagram of the given payload length between the
// ends, from one port to another. A number in its payload tells it apart.
func (c *cable) udp(from, to end, sourcePort, destinationPort uint16, payload int, number uint32) packet.Frame {
	return udpFrame(from.mac, to.mac, addrOf(from.addr), addrOf(to.addr), sourcePort, destinationPort, payload, number)
}

func addrOf(ip net.IP) uint32 { return binary.BigEndian.Uint32(ip.To4()) }

// udpFrame makes a frame without checksums: nothing in this package reads them.
func udpFrame(source, destination net.HardwareAddr, sourceAddr, destinationAddr uint32, sourcePort, destinationPort uint16, payload int, number uint32) packet.Frame {
	payload = max(payload, 4)
	b := make([]byte, packet.EthernetLen+packet.IPv4Len+packet.UDPLen+payload)
	copy(b, destination)
	copy(b[6:], source)
	packet.Ethernet(b).SetType(packet.TypeIPv4)
	ip := b[packet.EthernetLen:]
	ip[0], ip[8], ip[9] = 0x45, 64, packet.UDPProtocol
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	binary.BigEndian.PutUint32(ip[12:], sourceAddr)
	binary.BigEndian.PutUint32(ip[16:], destinationAddr)
	udp := ip[packet.IPv4Len:]
	binary.BigEndian.PutUint16(udp[0:], sourcePort)
	binary.BigEndian.PutUint16(udp[2:], destinationPort)
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	binary.BigEndian.PutUint32(udp[8:], number)
	for i := 12; i < len(udp); i++ {
		udp[i] = byte(i * 7)
	}
	return packet.Frame{Data: b}
}

// numberOf reads back what udpFrame was given.
func numberOf(f packet.Frame) uint32 {
	return binary.BigEndian.Uint32(f.Data[packet.EthernetLen+packet.IPv4Len+packet.UDPLen:])
}
