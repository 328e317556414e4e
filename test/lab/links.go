package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// An End is one end of a veth pair.
type End struct {
	Host *Host
	NIC  string
	MAC  net.HardwareAddr // nil: the kernel chooses
	MTU  int              // 0: 1500
}

// Connect makes a veth pair between two hosts, with both ends up.
func Connect(a, b End) error {
	pair := &netlink.Veth{
		LinkAttrs:        netlink.LinkAttrs{Name: a.NIC, MTU: mtuOr(a.MTU), HardwareAddr: a.MAC},
		PeerName:         b.NIC,
		PeerMTU:          uint32(mtuOr(b.MTU)),
		PeerHardwareAddr: b.MAC,
		PeerNamespace:    netlink.NsFd(int(b.Host.ns)),
	}
	if err := a.Host.links.LinkAdd(pair); err != nil {
		return fmt.Errorf("veth %s on %s to %s on %s: %w", a.NIC, a.Host.Name, b.NIC, b.Host.Name, err)
	}
	if err := a.Host.SetUp(a.NIC, true); err != nil {
		return err
	}
	return b.Host.SetUp(b.NIC, true)
}

func mtuOr(mtu int) int {
	if mtu == 0 {
		return 1500
	}
	return mtu
}

// bridgeNIC is the name of the bridge in a switch host.
const bridgeNIC = "switch"

// MakeSwitch turns the host into an Ethernet switch without ports.
func (h *Host) MakeSwitch() error {
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeNIC}}
	if err := h.links.LinkAdd(bridge); err != nil {
		return fmt.Errorf("%s: make a bridge: %w", h.Name, err)
	}
	// With br_netfilter in the kernel, bridged packets would also run through
	// the IP hooks, which re-assemble fragments and cost time.
	err := h.Sysctl("net.bridge.bridge-nf-call-iptables", "0")
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return h.SetUp(bridgeNIC, true)
}

// Plug connects an end to a switch host by a cable. The switch's port gets the
// name of the other end's host and NIC.
func (h *Host) Plug(end End) error {
	port := end.Host.Name + "-" + end.NIC
	if len(port) >= unix.IFNAMSIZ {
		return fmt.Errorf("%s: port name %s is longer than %d bytes", h.Name, port, unix.IFNAMSIZ-1)
	}
	if err := Connect(end, End{Host: h, NIC: port, MTU: end.MTU}); err != nil {
		return err
	}
	bridge, err := h.link(bridgeNIC)
	if err != nil {
		return err
	}
	cable, err := h.link(port)
	if err != nil {
		return err
	}
	if err := h.links.LinkSetMaster(cable, bridge); err != nil {
		return fmt.Errorf("%s: plug in %s: %w", h.Name, port, err)
	}
	return nil
}

func (h *Host) link(nic string) (netlink.Link, error) {
	link, err := h.links.LinkByName(nic)
	if err != nil {
		return nil, fmt.Errorf("%s: NIC %s: %w", h.Name, nic, err)
	}
	return link, nil
}

// onLink finds a NIC and does something with it.
func (h *Host) onLink(nic, what string, f func(netlink.Link) error) error {
	link, err := h.link(nic)
	if err != nil {
		return err
	}
	if err := f(link); err != nil {
		return fmt.Errorf("%s: %s on %s: %w", h.Name, what, nic, err)
	}
	return nil
}

// NIC describes a NIC as package net does.
func (h *Host) NIC(name string) (*net.Interface, error) {
	link, err := h.link(name)
	if err != nil {
		return nil, err
	}
	a := link.Attrs()
	return &net.Interface{Index: a.Index, MTU: a.MTU, Name: a.Name, HardwareAddr: a.HardwareAddr}, nil
}

// SetUp takes a NIC up or down.
func (h *Host) SetUp(nic string, up bool) error {
	if up {
		return h.onLink(nic, "set up", h.links.LinkSetUp)
	}
	return h.onLink(nic, "set down", h.links.LinkSetDown)
}

// SetMAC changes a NIC's link address. Neighbours are not told.
func (h *Host) SetMAC(nic string, mac net.HardwareAddr) error {
	return h.onLink(nic, "set address "+mac.String(), func(l netlink.Link) error {
		return h.links.LinkSetHardwareAddr(l, mac)
	})
}

// SetMTU changes the largest IP datagram of a NIC, in bytes.
func (h *Host) SetMTU(nic string, mtu int) error {
	return h.onLink(nic, fmt.Sprintf("set MTU %d", mtu), func(l netlink.Link) error {
		return h.links.LinkSetMTU(l, mtu)
	})
}

// RemoveNIC deletes a NIC, and with it the other end of its cable.
func (h *Host) RemoveNIC(nic string) error {
	return h.onLink(nic, "delete", h.links.LinkDel)
}

// removeLinks deletes all veths and bridges at once: the kernel would do that
// itself when the namespace goes, but later, in the background.
func (h *Host) removeLinks() error {
	links, err := h.links.LinkList()
	if err != nil {
		return err
	}
	var errs []error
	for _, link := range links {
		if t := link.Type(); t != "veth" && t != "bridge" {
			continue
		}
		if err := h.links.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, fmt.Errorf("delete %s: %w", link.Attrs().Name, err))
		}
	}
	return errors.Join(errs...)
}

// AddAddress gives a NIC an address with its prefix length.
func (h *Host) AddAddress(nic string, addr netip.Prefix) error {
	return h.onLink(nic, "add address "+addr.String(), func(l netlink.Link) error {
		return h.links.AddrAdd(l, &netlink.Addr{IPNet: ipNet(addr)})
	})
}

// RemoveAddress takes an address away from a NIC.
func (h *Host) RemoveAddress(nic string, addr netip.Prefix) error {
	return h.onLink(nic, "remove address "+addr.String(), func(l netlink.Link) error {
		return h.links.AddrDel(l, &netlink.Addr{IPNet: ipNet(addr)})
	})
}

// A Route leads to a prefix through a gateway, or over a NIC when the gateway
// is missing.
type Route struct {
	To     netip.Prefix
	Via    netip.Addr
	NIC    string
	Metric int
}

// Default is the prefix of a default route.
var Default = netip.MustParsePrefix("0.0.0.0/0")

// AddRoute adds a route to the main table, or replaces the one with the same
// prefix and metric.
func (h *Host) AddRoute(r Route) error {
	route, err := h.route(r)
	if err != nil {
		return err
	}
	if err := h.links.RouteReplace(route); err != nil {
		return fmt.Errorf("%s: route %+v: %w", h.Name, r, err)
	}
	return nil
}

// RemoveRoute removes a route that AddRoute has added.
func (h *Host) RemoveRoute(r Route) error {
	route, err := h.route(r)
	if err != nil {
		return err
	}
	if err := h.links.RouteDel(route); err != nil {
		return fmt.Errorf("%s: remove route %+v: %w", h.Name, r, err)
	}
	return nil
}

func (h *Host) route(r Route) (*netlink.Route, error) {
	route := &netlink.Route{Dst: ipNet(r.To), Priority: r.Metric}
	if r.Via.IsValid() {
		route.Gw = r.Via.AsSlice()
	}
	if r.NIC != "" {
		link, err := h.link(r.NIC)
		if err != nil {
			return nil, err
		}
		route.LinkIndex = link.Attrs().Index
		if !r.Via.IsValid() {
			route.Scope = netlink.SCOPE_LINK
		}
	}
	return route, nil
}

// Neighbour returns what the kernel holds as the link address of addr, nil
// when it holds none.
func (h *Host) Neighbour(nic string, addr netip.Addr) (mac net.HardwareAddr, err error) {
	err = h.onLink(nic, "list neighbours", func(l netlink.Link) error {
		list, err := h.links.NeighList(l.Attrs().Index, netlink.FAMILY_V4)
		for _, n := range list {
			if n.IP.Equal(addr.AsSlice()) {
				mac = n.HardwareAddr
			}
		}
		return err
	})
	return mac, err
}

// ForgetNeighbour removes addr from the neighbours of a NIC, if it is there.
func (h *Host) ForgetNeighbour(nic string, addr netip.Addr) error {
	return h.onLink(nic, "forget neighbour "+addr.String(), func(l netlink.Link) error {
		err := h.links.NeighDel(&netlink.Neigh{LinkIndex: l.Attrs().Index, IP: addr.AsSlice()})
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		return err
	})
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{
		IP:   p.Addr().AsSlice(),
		Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
	}
}
