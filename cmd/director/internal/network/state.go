package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lvsnat/dataplane"
	"lvsnat/dataplane/packet"
)

// A State is what the rest of the director needs to know of the box. It is
// immutable.
type State struct {
	NICs  []NIC        // the director's, by port number
	Local []netip.Addr // the box's own IPv4 addresses, of all links, loopback included; sorted
}

// A NIC is one of the director's network interfaces.
type NIC struct {
	Name  string
	Index int // the kernel's number; 0: there is no such NIC now. A NIC that is created again has another one.
	dataplane.Link
}

// Equal reports whether two states are the same.
func (s State) Equal(o State) bool {
	return slices.Equal(s.NICs, o.NICs) && slices.Equal(s.Local, o.Local)
}

// portOf finds a link's port number.
func (s State) portOf(index int) (int, bool) {
	for port, nic := range s.NICs {
		if nic.Index == index && index != 0 {
			return port, true
		}
	}
	return 0, false
}

// read asks the kernel for everything but neighbours.
func (w *Watcher) read() (State, []dataplane.Route, error) {
	var s State
	for _, name := range w.nics {
		nic, err := w.readNIC(name)
		if err != nil {
			return s, nil, err
		}
		s.NICs = append(s.NICs, nic)
	}
	addrs, err := complete(func() ([]netlink.Addr, error) { return w.kernel.AddrList(nil, unix.AF_INET) })
	if err != nil {
		return s, nil, fmt.Errorf("network: list addresses: %w", err)
	}
	s.addAddresses(addrs)
	routes, err := complete(func() ([]netlink.Route, error) {
		return w.kernel.RouteListFiltered(unix.AF_INET, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return s, nil, fmt.Errorf("network: list routes: %w", err)
	}
	return s, s.routes(routes), nil
}

// complete repeats a listing that was interrupted by a change. After three
// times it takes what there is: the change has its own notification.
func complete[T any](list func() ([]T, error)) ([]T, error) {
	for range 2 {
		if all, err := list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	all, err := list()
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		err = nil
	}
	return all, err
}

// readNIC reads one NIC. That there is none is no error.
func (w *Watcher) readNIC(name string) (NIC, error) {
	nic := NIC{Name: name}
	link, err := w.kernel.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nic, nil
	}
	if err != nil {
		return nic, fmt.Errorf("network: link %s: %w", name, err)
	}
	attrs := link.Attrs()
	nic.Index = attrs.Index
	nic.MTU = attrs.MTU
	if len(attrs.HardwareAddr) == len(nic.MAC) {
		nic.MAC = packet.MAC(attrs.HardwareAddr)
	}
	const works = unix.IFF_UP | unix.IFF_LOWER_UP
	nic.Up = attrs.RawFlags&works == works
	return nic, nil
}

// addAddresses fills in the box's addresses and each NIC's primary one: the
// first of global scope, which the kernel too takes as a source address
// (inet_select_addr in net/ipv4/devinet.c). Secondary addresses come after
// their primary one.
func (s *State) addAddresses(addrs []netlink.Addr) {
	for _, a := range addrs {
		addr, ok := addrOf(a.IP)
		if !ok {
			continue
		}
		s.Local = append(s.Local, addr)
		port, ok := s.portOf(a.LinkIndex)
		if ok && s.NICs[port].Addr == 0 && a.Scope == unix.RT_SCOPE_UNIVERSE {
			s.NICs[port].Addr = hostOrder(addr)
		}
	}
	slices.SortFunc(s.Local, netip.Addr.Compare)
	s.Local = slices.Compact(s.Local)
}

// routes puts the kernel's routes into the dataplane's words.
func (s *State) routes(list []netlink.Route) []dataplane.Route {
	var routes []dataplane.Route
	for _, r := range list {
		if r.Tos != 0 {
			continue
		}
		route := dataplane.Route{Prefix: prefixOf(r.Dst), Port: dataplane.OtherPort, Metric: r.Priority}
		if hop, ok := nextHop(r); ok {
			if port, ours := s.portOf(hop.LinkIndex); ours {
				route.Port = port
				if gateway, ok := addrOf(hop.Gw); ok {
					route.Gateway = hostOrder(gateway)
				}
			}
		}
		routes = append(routes, route)
	}
	return routes
}

// nextHop picks the next hop of a route that leads somewhere. One that is
// reached by IPv6 (RTA_VIA, RFC 5549) is none for the director.
func nextHop(r netlink.Route) (netlink.NexthopInfo, bool) {
	if r.Type != unix.RTN_UNICAST {
		return netlink.NexthopInfo{}, false
	}
	if len(r.MultiPath) == 0 {
		return netlink.NexthopInfo{LinkIndex: r.LinkIndex, Gw: r.Gw}, r.Via == nil
	}
	for _, hop := range r.MultiPath {
		if hop.Flags&(unix.RTNH_F_DEAD|unix.RTNH_F_LINKDOWN) == 0 && hop.Via == nil {
			return *hop, true
		}
	}
	return netlink.NexthopInfo{}, false
}

// network is the state in the dataplane's words.
func (s State) network(routes []dataplane.Route) *dataplane.Network {
	n := &dataplane.Network{Routes: routes}
	for _, nic := range s.NICs {
		n.Links = append(n.Links, nic.Link)
	}
	for _, addr := range s.Local {
		n.Local = append(n.Local, hostOrder(addr))
	}
	return n
}

func addrOf(ip net.IP) (netip.Addr, bool) {
	addr, ok := netip.AddrFromSlice(ip)
	addr = addr.Unmap()
	return addr, ok && addr.Is4()
}

// prefixOf converts a route's destination; the default route has none.
func prefixOf(dst *net.IPNet) netip.Prefix {
	if dst == nil {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	addr, _ := addrOf(dst.IP)
	bits, _ := dst.Mask.Size()
	return netip.PrefixFrom(addr, bits)
}

// hostOrder is an IPv4 address as the dataplane has it.
func hostOrder(addr netip.Addr) uint32 {
	b := addr.As4()
	return binary.BigEndian.Uint32(b[:])
}

// toIP is an address as netlink has it.
func toIP(addr uint32) net.IP {
	return binary.BigEndian.AppendUint32(nil, addr)
}
