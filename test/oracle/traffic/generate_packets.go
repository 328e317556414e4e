package traffic

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// TCP flags (RFC 9293 section 3.1).
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack

	numFlags = 1 << iota
)

func (g *Generator) packet(c *connection, reply bool, flags uint8) {
	p := &Packet{Protocol: c.protocol, Client: c.client, Reply: reply, Other: c.virtual, Flags: flags}
	if reply {
		p.Other = c.real
	}
	g.queue = append(g.queue, Step{Packet: p})
}

// open begins a connection to a service, mostly as it should be.
func (g *Generator) open() {
	s := g.services[g.IntN(len(g.services))]
	c := &connection{
		protocol: s.protocol,
		client:   netip.AddrPortFrom(g.clients[g.IntN(len(g.clients))], g.port),
		virtual:  netip.AddrPortFrom(g.vip, s.port),
		service:  s,
	}
	g.port++
	if i := slices.IndexFunc(g.services, func(s *service) bool { return s.port == 0 && s.present }); i >= 0 && !s.present && s.protocol == unix.IPPROTO_TCP {
		c.service = g.services[i] // serves what no other does
	}
	if s.port == 0 {
		c.virtual = netip.AddrPortFrom(g.vip, uint16(1000+g.IntN(3)))
	}
	g.conns = append(g.conns, c)
	flags := uint8(0)
	if s.protocol == unix.IPPROTO_TCP {
		flags = syn
		if g.IntN(12) == 0 {
			flags |= []uint8{ack, fin, rst, psh | ack}[g.IntN(4)]
		}
	}
	g.packet(c, false, flags)
}

// goOn sends another packet of a connection. A realserver answers only what
// it surely has, and a client is silent when its realserver was removed, which
// is on the list of differences.
func (g *Generator) goOn() {
	if len(g.conns) == 0 {
		return
	}
	c := g.conns[g.IntN(len(g.conns))]
	mayReply := c.alive
	mayRequest := true
	if c.alive {
		rs := c.service.serverOf(c)
		mayRequest = c.service.present && rs != nil && rs.present
	}
	flags, reply := g.plausible(c)
	if g.IntN(8) == 0 {
		flags, reply = uint8(g.IntN(numFlags)), g.IntN(2) == 0
	}
	if reply && !mayReply {
		reply = false
	}
	if !reply && !c.alive && flags&rst != 0 && g.IntN(8) != 0 {
		return // nothing comes of it, and to see that takes long
	}
	if !reply && !mayRequest {
		return
	}
	if c.protocol == unix.IPPROTO_UDP {
		flags = 0
	}
	c.stage++
	g.packet(c, reply, flags)
}

// plausible is what may come next in a TCP connection.
func (g *Generator) plausible(c *connection) (flags uint8, reply bool) {
	reply = g.IntN(2) == 0
	switch {
	case c.stage == 0:
		return syn | ack, true
	case c.stage == 1:
		return ack, false
	}
	return []uint8{ack, ack, psh | ack, fin | ack, fin | ack, rst, rst | ack, syn}[g.IntN(8)], reply
}

// stray sends something that belongs to nothing.
func (g *Generator) stray() {
	c := &connection{
		protocol: []uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP}[g.IntN(2)],
		client:   netip.AddrPortFrom(g.clients[g.IntN(len(g.clients))], g.port),
		virtual:  netip.AddrPortFrom(g.vip, []uint16{80, 443, 53, 81}[g.IntN(4)]),
	}
	g.port++
	if c.protocol == unix.IPPROTO_UDP {
		c.virtual = netip.AddrPortFrom(g.vip, 54)
	}
	g.packet(c, false, []uint8{ack, fin | ack, psh | ack, 0}[g.IntN(4)])
	if c.protocol == unix.IPPROTO_UDP {
		g.queue[len(g.queue)-1].Packet.Flags = 0
	}
}

// Learn tells what became of a step.
func (g *Generator) Learn(step Step) {
	if step.List {
		g.learnTable(step.Listing)
		return
	}
	p := step.Packet
	if p == nil || p.Reply {
		return
	}
	for _, c := range g.conns {
		if c.protocol != p.Protocol || c.client != p.Client || c.virtual != p.Other {
			continue
		}
		real, err := netip.ParseAddrPort(step.Outcome)
		if c.alive = err == nil; c.alive {
			if c.real != real {
				c.stage = 0
			}
			c.real = real
		}
	}
}

// learnTable takes in which connections there are.
func (g *Generator) learnTable(listing []string) {
	var entries []Entry
	for _, row := range listing {
		if e, ok := ParseEntry(row); ok {
			entries = append(entries, e)
		}
	}
	for _, c := range g.conns {
		c.alive = slices.ContainsFunc(entries, func(e Entry) bool {
			return e.Client == c.client && e.Virtual == c.virtual && (e.Protocol == "TCP") == (c.protocol == unix.IPPROTO_TCP)
		})
	}
}
