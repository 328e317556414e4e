package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// A VIPPlace says where the director's kernel has the VIPs.
type VIPPlace int

// The places of a VIP.
const (
	VIPNowhere  VIPPlace = iota // the director answers ARP for it
	VIPOnNIC                    // an alias on the VIP NIC, as eth0:110 in the HOWTO
	VIPLoopback                 // on lo
)

// String returns where the VIP is, in words.
func (p VIPPlace) String() string {
	switch p {
	case VIPOnNIC:
		return "on the VIP NIC"
	case VIPLoopback:
		return "on lo"
	default:
		return "nowhere"
	}
}

// Options describe the standard topology. The zero value is the HOWTO's: one
// client, three realservers, the VIP not owned by the kernel, forwarding off.
type Options struct {
	Clients     int          // 0: 1
	Realservers int          // 0: 3
	VIPs        []netip.Addr // nil: 192.168.1.110
	VIPOn       VIPPlace
	MTU         int  // of all NICs; 0: 1500
	Router      bool // the clients sit behind a router, on 192.168.2.0/24
	OneNIC      bool // clients and realservers on one wire, and the director with one NIC

	Forward       bool // director: net.ipv4.ip_forward
	RPFilter      int  // director: rp_filter, 0, 1 or 2
	SendRedirects bool // director
}

// Addresses of the standard topology, the HOWTO's where it has them.
var (
	VIP = netip.MustParseAddr("192.168.1.110")
	CIP = netip.MustParseAddr("192.168.1.254") // of the first client, or of the router
	DIP = netip.MustParseAddr("10.1.1.1")
	// DirectorIP is the director's own address on the clients' side.
	DirectorIP = netip.MustParseAddr("192.168.1.9")
)

var (
	outerNet  = netip.MustParsePrefix("192.168.1.0/24")
	remoteNet = netip.MustParsePrefix("192.168.2.0/24")
	innerNet  = netip.MustParsePrefix("10.1.1.0/24")
	// RouterIP is the router's address on the clients' side.
	RouterIP = netip.MustParseAddr("192.168.2.1")
)

// A Topology is the standard topology, built:
//
//	client  eth0 192.168.1.254 -- front -- eth0 192.168.1.9  director
//	                                          VIP 192.168.1.110
//	                                         eth1 10.1.1.1 -- back -- eth0 10.1.1.2  realserver1
//	                                                                 -- eth0 10.1.1.3  realserver2
//
// front and back are switches; each is left out where it would have two
// cables only. The realservers' default gateway is 10.1.1.1. More clients
// are 192.168.1.253 and downwards. With a router, the clients are
// 192.168.2.254 and downwards, and the router's NICs are eth0 192.168.2.1 and
// eth1 192.168.1.254.
type Topology struct {
	*Lab
	Options     Options
	Client      *Host // the first one
	Clients     []*Host
	Router      *Host // nil: none
	Director    *Host
	Realservers []*Host

	VIPNIC string // the director's NIC that faces the clients: eth0
	DIPNIC string // the one that faces the realservers: eth1, or eth0 if there is only one

	front, back *Host // switches; nil: a cable
}

// Build makes the standard topology in the lab.
func (l *Lab) Build(o Options) (*Topology, error) {
	if o.Clients == 0 {
		o.Clients = 1
	}
	if o.Realservers == 0 {
		o.Realservers = 3
	}
	if o.VIPs == nil {
		o.VIPs = []netip.Addr{VIP}
	}
	if o.Clients > 100 || o.Realservers > 200 {
		return nil, fmt.Errorf("%d clients and %d realservers: the networks have room for 100 and 200", o.Clients, o.Realservers)
	}
	t := &Topology{Lab: l, Options: o, VIPNIC: "eth0", DIPNIC: "eth1"}
	if o.OneNIC {
		t.DIPNIC = t.VIPNIC
	}
	for _, step := range []func() error{t.makeHosts, t.wireFront, t.wireBack, t.address, t.setKernel} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// RIP returns the address of realserver i, counted from 0: 10.1.1.2 and so on.
func RIP(i int) netip.Addr { return nth(innerNet, 2+i) }

// ClientIP returns the address of client i, counted from 0.
func (t *Topology) ClientIP(i int) netip.Addr {
	if t.Router != nil {
		return nth(remoteNet, 254-i)
	}
	return nth(outerNet, 254-i)
}

func nth(p netip.Prefix, n int) netip.Addr {
	b := p.Addr().As4()
	b[3] = byte(n)
	return netip.AddrFrom4(b)
}

// MACOf returns the link address that the lab gives to the NIC with an IPv4
// address: 02:00 and the address.
func MACOf(addr netip.Addr) net.HardwareAddr {
	b := addr.As4()
	return append(net.HardwareAddr{2, 0}, b[:]...)
}

func (t *Topology) makeHosts() (err error) {
	o := t.Options
	for i := range o.Clients {
		name := "client"
		if i > 0 {
			name += strconv.Itoa(i + 1)
		}
		c, err := t.Host(name)
		if err != nil {
			return err
		}
		t.Clients = append(t.Clients, c)
	}
	t.Client = t.Clients[0]
	if o.Router {
		if t.Router, err = t.Host("router"); err != nil {
			return err
		}
	}
	if t.Director, err = t.Host("director"); err != nil {
		return err
	}
	for i := range o.Realservers {
		rs, err := t.Host("real" + strconv.Itoa(i+1))
		if err != nil {
			return err
		}
		t.Realservers = append(t.Realservers, rs)
	}
	return nil
}

// wireFront connects the clients, or the router in front of them, with the
// director's VIP NIC.
func (t *Topology) wireFront() error {
	var clients []End
	for i, c := range t.Clients {
		clients = append(clients, End{Host: c, NIC: "eth0", MAC: MACOf(t.ClientIP(i)), MTU: t.Options.MTU})
	}
	director := End{Host: t.Director, NIC: t.VIPNIC, MAC: MACOf(DirectorIP), MTU: t.Options.MTU}
	if t.Router == nil {
		return t.join("front", &t.front, t.Options.OneNIC, append(clients, director))
	}
	near := End{Host: t.Router, NIC: "eth0", MAC: MACOf(RouterIP), MTU: t.Options.MTU}
	if err := t.join("remote", new(*Host), false, append(clients, near)); err != nil {
		return err
	}
	far := End{Host: t.Router, NIC: "eth1", MAC: MACOf(CIP), MTU: t.Options.MTU}
	return t.join("front", &t.front, t.Options.OneNIC, []End{far, director})
}

// wireBack connects the realservers with the director's DIP NIC, which is
// plugged in already when there is only one NIC.
func (t *Topology) wireBack() error {
	var ends []End
	for i, rs := range t.Realservers {
		ends = append(ends, End{Host: rs, NIC: "eth0", MAC: MACOf(RIP(i)), MTU: t.Options.MTU})
	}
	if t.Options.OneNIC {
		t.back = t.front
	} else {
		ends = append(ends, End{Host: t.Director, NIC: t.DIPNIC, MAC: MACOf(DIP), MTU: t.Options.MTU})
	}
	return t.join("back", &t.back, t.Options.OneNIC, ends)
}

// join connects ends by a cable if there are two, or by a switch if there are
// more, if a switch is asked for, or if *sw is one already.
func (t *Topology) join(name string, sw **Host, always bool, ends []End) error {
	if len(ends) == 2 && !always {
		return Connect(ends[0], ends[1])
	}
	if *sw == nil {
		made, err := t.Host(name)
		if err != nil {
			return err
		}
		if err := made.MakeSwitch(); err != nil {
			return err
		}
		*sw = made
	}
	for _, end := range ends {
		if err := (*sw).Plug(end); err != nil {
			return err
		}
	}
	return nil
}

// address gives everybody addresses and routes.
func (t *Topology) address() error {
	for i, c := range t.Clients {
		network, gateway := outerNet, netip.Addr{}
		if t.Router != nil {
			network, gateway = remoteNet, RouterIP
		}
		if err := c.configure("eth0", within(network, t.ClientIP(i)), gateway); err != nil {
			return err
		}
	}
	if t.Router != nil {
		err := errors.Join(
			t.Router.configure("eth0", within(remoteNet, RouterIP), netip.Addr{}),
			t.Router.configure("eth1", within(outerNet, CIP), netip.Addr{}),
			t.Router.Sysctl("net.ipv4.ip_forward", "1"))
		if err != nil {
			return err
		}
	}
	for i, rs := range t.Realservers {
		if err := rs.configure("eth0", within(innerNet, RIP(i)), DIP); err != nil {
			return err
		}
	}
	return t.addressDirector()
}

func (t *Topology) addressDirector() error {
	gateway := netip.Addr{}
	if t.Router != nil {
		gateway = CIP
	}
	if err := t.Director.configure(t.VIPNIC, within(outerNet, DirectorIP), gateway); err != nil {
		return err
	}
	if err := t.Director.configure(t.DIPNIC, within(innerNet, DIP), netip.Addr{}); err != nil {
		return err
	}
	for _, vip := range t.Options.VIPs {
		if err := t.placeVIP(vip); err != nil {
			return err
		}
	}
	return nil
}

func (t *Topology) placeVIP(vip netip.Addr) error {
	switch t.Options.VIPOn {
	case VIPOnNIC:
		return t.Director.AddAddress(t.VIPNIC, within(outerNet, vip))
	case VIPLoopback:
		return t.Director.AddAddress("lo", netip.PrefixFrom(vip, 32))
	default:
		return nil
	}
}

// within is addr with the prefix length of its network.
func within(network netip.Prefix, addr netip.Addr) netip.Prefix {
	return netip.PrefixFrom(addr, network.Bits())
}

// configure gives a NIC its address, and the host its default gateway.
func (h *Host) configure(nic string, addr netip.Prefix, gateway netip.Addr) error {
	if err := h.AddAddress(nic, addr); err != nil {
		return err
	}
	if !gateway.IsValid() {
		return nil
	}
	return h.AddRoute(Route{To: Default, Via: gateway})
}

// setKernel sets how the director's kernel treats packets by itself. Each
// setting is the greater one of "all" and the NIC's.
func (t *Topology) setKernel() error {
	set := map[string]string{
		"net.ipv4.ip_forward": zeroOrOne(t.Options.Forward),
	}
	for _, nic := range []string{"all", "default", t.VIPNIC, t.DIPNIC} {
		set["net.ipv4.conf."+nic+".rp_filter"] = strconv.Itoa(t.Options.RPFilter)
		set["net.ipv4.conf."+nic+".send_redirects"] = zeroOrOne(t.Options.SendRedirects)
	}
	for key, value := range set {
		if err := t.Director.Sysctl(key, value); err != nil {
			return err
		}
	}
	return nil
}

func zeroOrOne(on bool) string {
	if on {
		return "1"
	}
	return "0"
}
