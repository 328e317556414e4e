package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lvsnat/dataplane/packet"
)

// A route is where the kernel would send packets for the target.
type route struct {
	link    netlink.Link
	hop     netip.Addr // the gateway, or the target itself
	gateway bool
}

// A nextHop is the two Ethernet addresses of every packet.
type nextHop struct{ source, destination packet.MAC }

// The kernel sends three ARP requests a second apart before it gives up
// (mcast_solicit and retrans_time_ms in ip-sysctl), so waiting longer is of no
// use.
const (
	resolveTimeout  = 3 * time.Second
	resolveInterval = 10 * time.Millisecond
)

// discardPort is where the datagram goes that makes the kernel resolve a next
// hop (RFC 863).
const discardPort = 9

// findRoute asks the kernel. Nothing is sent.
func findRoute(target netip.Addr) (route, error) {
	routes, err := netlink.RouteGet(target.AsSlice())
	if err != nil {
		return route{}, fmt.Errorf("find a route to %s: %w", target, err)
	}
	if len(routes) == 0 {
		return route{}, fmt.Errorf("find a route to %s: the kernel has none", target)
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		return route{}, fmt.Errorf("find the NIC towards %s: %w", target, err)
	}
	r := route{link: link, hop: target}
	if gateway, ok := netip.AddrFromSlice(routes[0].Gw.To4()); ok {
		r.hop, r.gateway = gateway, true
	}
	return r, nil
}

// resolve finds the next hop's Ethernet address in the kernel's neighbour
// table and has the kernel ask for it when it is not there.
func (r *route) resolve() (nextHop, error) {
	attrs := r.link.Attrs()
	if attrs.Flags&net.FlagLoopback != 0 {
		return nextHop{}, nil // the kernel looks at no address on lo
	}
	if len(attrs.HardwareAddr) != len(packet.MAC{}) {
		return nextHop{}, fmt.Errorf("send on %s: not an Ethernet NIC", attrs.Name)
	}
	destination, ok, err := r.neighbour()
	if err == nil && !ok {
		destination, err = r.askNeighbour()
	}
	if err != nil {
		return nextHop{}, fmt.Errorf("resolve %s on %s: %w", r.hop, attrs.Name, err)
	}
	return nextHop{source: packet.MAC(attrs.HardwareAddr), destination: destination}, nil
}

// askNeighbour makes the kernel resolve the next hop and waits for the result.
func (r *route) askNeighbour() (packet.MAC, error) {
	if err := poke(r.hop); err != nil {
		return packet.MAC{}, err
	}
	for deadline := time.Now().Add(resolveTimeout); time.Now().Before(deadline); time.Sleep(resolveInterval) {
		mac, ok, err := r.neighbour()
		if ok || err != nil {
			return mac, err
		}
	}
	return packet.MAC{}, errors.New("no answer to ARP: is the director running, and the address right?")
}

// neighbour looks the next hop up in the kernel's table; ok means that it has
// an address which the kernel itself would use.
func (r *route) neighbour() (mac packet.MAC, ok bool, err error) {
	neighbours, err := netlink.NeighList(r.link.Attrs().Index, netlink.FAMILY_V4)
	if err != nil {
		return packet.MAC{}, false, err
	}
	const unusable = unix.NUD_INCOMPLETE | unix.NUD_FAILED
	for _, n := range neighbours {
		addr, _ := netip.AddrFromSlice(n.IP.To4())
		if addr == r.hop && n.State&unusable == 0 && len(n.HardwareAddr) == len(mac) {
			return packet.MAC(n.HardwareAddr), true, nil
		}
	}
	return packet.MAC{}, false, nil
}

// poke sends one datagram to addr, which the kernel cannot do without
// resolving it.
func poke(addr netip.Addr) error {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, discardPort)))
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte{0})
	return err
}
