// Package nstest makes network namespaces and virtual links for tests. They
// have no name and no file: the kernel removes them with the test's last
// descriptor, so nothing stays behind however a test ends.
package nstest

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// A Namespace is a network namespace with loopback up.
type Namespace struct {
	*netlink.Handle // acts in the namespace, from any goroutine

	t  testing.TB
	ns netns.NsHandle
}

// New makes a namespace that lasts as long as the test. It needs root.
func New(t testing.TB) *Namespace {
	t.Helper()
	ns := create(t)
	t.Cleanup(func() { _ = ns.Close() })
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		t.Fatalf("netlink in the test's namespace: %v", err)
	}
	t.Cleanup(h.Close)
	n := &Namespace{Handle: h, t: t, ns: ns}
	n.Up("lo")
	return n
}

func create(t testing.TB) netns.NsHandle {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	if err != nil {
		t.Fatalf("this thread's namespace: %v", err)
	}
	defer func() { _ = home.Close() }()
	ns, err := netns.New()
	if err != nil {
		t.Fatalf("a new namespace (the test needs root): %v", err)
	}
	if err := netns.Set(home); err != nil {
		t.Fatalf("back to the first namespace: %v", err)
	}
	return ns
}

// Do runs f in the namespace, on the caller's goroutine. Sockets that f opens
// belong to the namespace for good; goroutines that f starts do not.
func (n *Namespace) Do(f func()) {
	n.t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	if err != nil {
		n.t.Fatalf("this thread's namespace: %v", err)
	}
	defer func() { _ = home.Close() }()
	if err := netns.Set(n.ns); err != nil {
		n.t.Fatalf("enter the test's namespace: %v", err)
	}
	defer func() {
		if err := netns.Set(home); err != nil {
			n.t.Errorf("back to the first namespace: %v", err)
		}
	}()
	f()
}

// Veth connects two namespaces by a pair of virtual links, both up.
func Veth(n *Namespace, name string, peer *Namespace, peerName string) {
	n.t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	err := n.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: peerName, PeerNamespace: netlink.NsFd(peer.ns)})
	if err != nil {
		n.t.Fatalf("add veth %s: %v", name, err)
	}
	n.Up(name)
	peer.Up(peerName)
}

// Link finds a link.
func (n *Namespace) Link(name string) netlink.Link {
	n.t.Helper()
	l, err := n.LinkByName(name)
	if err != nil {
		n.t.Fatalf("link %s: %v", name, err)
	}
	return l
}

// Up sets a link up.
func (n *Namespace) Up(name string) {
	n.t.Helper()
	if err := n.LinkSetUp(n.Link(name)); err != nil {
		n.t.Fatalf("set %s up: %v", name, err)
	}
}

// Down sets a link down.
func (n *Namespace) Down(name string) {
	n.t.Helper()
	if err := n.LinkSetDown(n.Link(name)); err != nil {
		n.t.Fatalf("set %s down: %v", name, err)
	}
}

// Delete removes a link, and with a veth its peer.
func (n *Namespace) Delete(name string) {
	n.t.Helper()
	if err := n.LinkDel(n.Link(name)); err != nil {
		n.t.Fatalf("delete %s: %v", name, err)
	}
}

// SetMAC changes a link's Ethernet address.
func (n *Namespace) SetMAC(name, mac string) {
	n.t.Helper()
	hw, err := net.ParseMAC(mac)
	if err != nil {
		n.t.Fatal(err)
	}
	if err := n.LinkSetHardwareAddr(n.Link(name), hw); err != nil {
		n.t.Fatalf("set the address of %s: %v", name, err)
	}
}

// MAC is a link's Ethernet address.
func (n *Namespace) MAC(name string) net.HardwareAddr {
	n.t.Helper()
	return n.Link(name).Attrs().HardwareAddr
}

// Addr adds an address, written as 10.1.1.1/24.
func (n *Namespace) Addr(link, prefix string) {
	n.t.Helper()
	if err := n.AddrAdd(n.Link(link), n.address(prefix)); err != nil {
		n.t.Fatalf("add %s to %s: %v", prefix, link, err)
	}
}

// DelAddr removes an address.
func (n *Namespace) DelAddr(link, prefix string) {
	n.t.Helper()
	if err := n.AddrDel(n.Link(link), n.address(prefix)); err != nil {
		n.t.Fatalf("remove %s from %s: %v", prefix, link, err)
	}
}

func (n *Namespace) address(prefix string) *netlink.Addr {
	n.t.Helper()
	a, err := netlink.ParseAddr(prefix)
	if err != nil {
		n.t.Fatal(err)
	}
	return a
}

// Sysctl writes a value under /proc/sys/net of the namespace.
func (n *Namespace) Sysctl(path string, value int) {
	n.t.Helper()
	n.Do(func() {
		if err := os.WriteFile("/proc/sys/net/"+path, []byte(strconv.Itoa(value)), 0); err != nil {
			n.t.Fatal(err)
		}
	})
}

// IPNet is the form that netlink has for a prefix.
func IPNet(prefix string) *net.IPNet {
	p := netip.MustParsePrefix(prefix)
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Eventually waits until condition holds, and fails the test when it does not
// within ten seconds.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatalf("not within ten seconds: %s", what)
}
