package traffic

import (
	"encoding/binary"
	"net/netip"

	"lvsnat/dataplane/packet"
	"lvsnat/dataplane/packettest"
)

// Frame builds the packet.
func (p *Packet) Frame(options ...packettest.Option) packet.Frame {
	if p.Protocol == packet.UDPProtocol {
		return packettest.UDP(p.Source().String(), p.Destination().String(), options...)
	}
	return packettest.TCP(p.Source().String(), p.Destination().String(), p.Flags, options...)
}

// A Flow is what a packet and what became of it have in common.
type Flow struct {
	Protocol uint8
	Client   netip.AddrPort
}

// Flow is the packet's.
func (p *Packet) Flow() Flow { return Flow{p.Protocol, p.Client} }

// A Sighting is a frame that the director has sent, to clients or to
// realservers.
type Sighting struct {
	Flow
	toClients bool
	outcome   string
}

// See looks at a frame that the director has sent. It returns false for one
// that has nothing to do with any flow.
func See(frame []byte, toClients bool) (s Sighting, ok bool) {
	var p packet.Packet
	if p.Parse(frame) != packet.OK {
		return s, false
	}
	source := netip.AddrPortFrom(address(p.Source), p.SourcePort)
	destination := netip.AddrPortFrom(address(p.Destination), p.DestinationPort)
	switch {
	case p.Protocol == packet.ICMPProtocol:
		f, ok := refused(p.ICMP(frame))
		return Sighting{f, toClients, Unreachable}, ok
	case toClients:
		return Sighting{Flow{p.Protocol, destination}, true, source.String()}, true
	}
	return Sighting{Flow{p.Protocol, source}, false, destination.String()}, true
}

// Outcome is what the frame that was seen says of a packet of its flow.
func (s Sighting) Outcome(p *Packet) string {
	if s.toClients && !p.Reply && s.outcome != Unreachable {
		return Reset // nothing else comes back at once
	}
	return s.outcome
}

// refused is the flow of the packet that an ICMP port unreachable is about.
func refused(icmp packet.ICMP) (f Flow, ok bool) {
	if icmp.Type() != packet.ICMPUnreachable || icmp.Code() != packet.ICMPPortUnreachable || len(icmp) < packet.ICMPLen+packet.IPv4Len+4 {
		return f, false
	}
	about := packet.IPv4(icmp[packet.ICMPLen:])
	if len(about) < about.HeaderLen()+4 {
		return f, false
	}
	port := binary.BigEndian.Uint16(about[about.HeaderLen():])
	return Flow{about.Protocol(), netip.AddrPortFrom(address(about.Source()), port)}, true
}

func address(addr uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], addr)
	return netip.AddrFrom4(b)
}
