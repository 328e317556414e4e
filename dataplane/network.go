package dataplane

import (
	"encoding/binary"
	"net/netip"

	"lvsnat/dataplane/packet"
)

// Numbers of the ports. With one NIC there is only VIPPort.
const (
	VIPPort = 0 // the NIC that faces the clients
	DIPPort = 1 // the NIC that faces the realservers
)

// A Network is what the director knows of its surroundings at one moment:
// links, addresses and routes. It is immutable once it has been set.
type Network struct {
	Links  []Link   // by port number
	Routes []Route  // of the main table, in any order; those through other NICs included
	Local  []uint32 // the box's own addresses, host order
}

// A Link is a NIC's state.
type Link struct {
	MAC  packet.MAC
	MTU  int    // largest IP datagram, bytes
	Addr uint32 // primary address, host order; 0: none
	Up   bool   // administratively up, with carrier
}

// A Route says where datagrams for a prefix go.
type Route struct {
	Prefix  netip.Prefix
	Port    int    // port number; OtherPort when the route leads through a NIC that is not the director's
	Gateway uint32 // host order; 0: the destination is on the link
	Metric  int    // of equal prefixes the lowest metric counts
}

// OtherPort is the port of a route through a NIC that the director does not
// use. Blackhole and unreachable routes are such too.
const OtherPort = -1

// A Neighbour is an address on a port's link.
type Neighbour struct {
	Port int
	Addr uint32 // host order
}

// A Resolver finds out the link addresses of neighbours.
type Resolver interface {
	// Resolve says that a worker has frames for n. It is called when n is not
	// known yet, again while it stays so, and every few seconds while n is in
	// use, so that the resolver can look after a neighbour whose entry has
	// become old. The answer comes by Dataplane.SetNeighbour. Resolve is
	// called from workers: it must not block, and may forget a call when it
	// is busy.
	Resolve(n Neighbour)
}

// network is a Network made ready for look-ups.
type network struct {
	links  []Link
	local  map[uint32]struct{}
	routes [33]map[uint32]Route // by prefix length, then by prefix
}

func compile(n *Network) *network {
	c := &network{links: n.Links, local: make(map[uint32]struct{}, len(n.Local))}
	for _, addr := range n.Local {
		c.local[addr] = struct{}{}
	}
	for _, r := range n.Routes {
		bits := r.Prefix.Bits()
		if !r.Prefix.Addr().Is4() || bits < 0 {
			continue
		}
		if c.routes[bits] == nil {
			c.routes[bits] = make(map[uint32]Route)
		}
		b := r.Prefix.Masked().Addr().As4()
		prefix := binary.BigEndian.Uint32(b[:])
		if other, ok := c.routes[bits][prefix]; !ok || r.Metric < other.Metric {
			c.routes[bits][prefix] = r
		}
	}
	return c
}

// lookup finds the most specific route to addr.
func (n *network) lookup(addr uint32) (Route, bool) {
	for bits := 32; bits >= 0; bits-- {
		if n.routes[bits] == nil {
			continue
		}
		mask := uint32(uint64(0xffff_ffff) << (32 - bits))
		if r, ok := n.routes[bits][addr&mask]; ok {
			return r, true
		}
	}
	return Route{}, false
}

// isLocal reports whether addr is the box's own.
func (n *network) isLocal(addr uint32) bool {
	_, ok := n.local[addr]
	return ok
}
