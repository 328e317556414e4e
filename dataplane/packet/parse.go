package packet

import (
	"encoding/binary"

	"lvsnat/checksum"
)

// Status says how far Parse came: OK, or the first thing that stopped it.
type Status uint8

// What Parse can say of a frame. Every status but OK ends the frame's way
// through the director.
const (
	OK                 Status = iota
	NotIPv4                   // another EtherType, or an 802.3 length
	Short                     // the frame ends inside a header
	BadVersion                // not 4
	BadHeaderLength           // IPv4 header below 20 bytes
	BadTotalLength            // below the header's length, or past the frame's end
	BadHeaderChecksum         // of the IPv4 header
	BadAddress                // a source that no host may have: 0/8, 127/8, multicast, broadcast
	Fragment                  // a piece of a datagram; has no ports of its own but in the first
	BadTransportLength        // the transport header ends past the datagram, or its own length is impossible
	UnknownProtocol           // neither TCP, UDP nor ICMP
	BadICMPChecksum           // of an ICMP message (RFC 5508 REQ-3)
)

// A Packet is a parsed frame: where its headers are and the fields the
// director decides by. It holds offsets and copies of numbers, not slices, so
// it stays valid for any copy of the frame. For ICMP both ports are zero, and
// the flags are for all but TCP. The checksums are here for whoever rewrites a
// copy: reading them from memory that was written just before takes longer.
type Packet struct {
	Source          uint32
	Destination     uint32
	SourcePort      uint16
	DestinationPort uint16
	Protocol        uint8
	TCPFlags        uint8
	TTL             uint8
	VLAN            bool   // at least one tag stands before the IP header
	NetworkOffset   uint16 // of the IPv4 header, from the frame's start
	TransportOffset uint16 // of the TCP, UDP or ICMP header
	End             uint32 // of the datagram; what follows is padding of the link
	IPChecksum      uint16
	Checksum        uint16 // of the TCP, UDP or ICMP header
}

// Len is the datagram's length in bytes, as IPVS counts traffic.
func (p *Packet) Len() int { return int(p.End) - int(p.NetworkOffset) }

// IPv4 is the view of the packet's IP header in data, the frame it was parsed
// from or a copy that holds the headers.
func (p *Packet) IPv4(data []byte) IPv4 { return IPv4(data[p.NetworkOffset:]) }

// TCP is the view of the packet's TCP header in data.
func (p *Packet) TCP(data []byte) TCP { return TCP(data[p.TransportOffset:]) }

// UDP is the view of the packet's UDP header in data.
func (p *Packet) UDP(data []byte) UDP { return UDP(data[p.TransportOffset:]) }

// ICMP is the view of the packet's ICMP header in data.
func (p *Packet) ICMP(data []byte) ICMP { return ICMP(data[p.TransportOffset:]) }

// plainLen is the length of TCP's headers without a tag and without options.
const plainLen = EthernetLen + IPv4Len + TCPLen

// Parse fills p from a frame, from the outermost header inwards, and stops at
// the first thing that is wrong. On any status but OK the fields of headers
// that were not reached are of no meaning.
//
// A TCP or UDP checksum is not looked at: it belongs to the ends, and an
// incremental update carries a wrong one on as wrong (RFC 5508 REQ-3c says the
// same of embedded ones).
//
// Nearly all frames are untagged, without IP options and whole. Where each
// header of theirs lies is known in advance, so they take half of the time that
// parseAny takes, which gets the others and all that have something wrong.
func (p *Packet) Parse(frame []byte) Status {
	if len(frame) < plainLen {
		return p.parseAny(frame)
	}
	const network, transport = EthernetLen, EthernetLen + IPv4Len
	h := (*[plainLen]byte)(frame)
	first, second, third := binary.BigEndian.Uint64(h[network:]), binary.BigEndian.Uint64(h[network+8:]), binary.BigEndian.Uint32(h[network+16:])
	p.End = network + uint32(first>>32&0xffff)
	p.TTL, p.Protocol = uint8(second>>56), uint8(second>>48)
	p.Source, p.Destination = uint32(second), third
	if Ethernet(h[:]).Type() != TypeIPv4 || first&plainMask != plainHeader || int(p.End) > len(frame) ||
		!checksum.ValidHeader(first, second, third) || !validSource(p.Source) {
		return p.parseAny(frame)
	}
	p.VLAN, p.NetworkOffset, p.TransportOffset = false, network, transport
	p.IPChecksum = uint16(second >> 32)
	tcp, udp, space := TCP(h[transport:]), UDP(h[transport:]), int(p.End)-transport
	if p.Protocol == TCPProtocol && tcp.HeaderLen() >= TCPLen && tcp.HeaderLen() <= space {
		p.SourcePort, p.DestinationPort, p.TCPFlags, p.Checksum = tcp.SourcePort(), tcp.DestinationPort(), tcp.Flags(), tcp.Checksum()
		return OK
	}
	if p.Protocol == UDPProtocol && udp.Length() >= UDPLen && udp.Length() <= space {
		p.SourcePort, p.DestinationPort, p.TCPFlags, p.Checksum = udp.SourcePort(), udp.DestinationPort(), 0, udp.Checksum()
		return OK
	}
	return p.parseAny(frame)
}

// The first 8 bytes of a plain IPv4 header: version 4, 20 bytes, not a fragment.
const (
	plainMask   = 0xff<<56 | moreFragments | fragmentOffset
	plainHeader = 0x45 << 56
)

// parseAny is Parse for all frames.
func (p *Packet) parseAny(frame []byte) Status {
	if len(frame) < EthernetLen {
		return Short
	}
	offset, status := skipTags(frame)
	if status != OK {
		return status
	}
	p.VLAN = offset != EthernetLen
	p.NetworkOffset = uint16(offset)
	b := frame[offset:]
	if len(b) < IPv4Len {
		return Short
	}
	ip := IPv4(b)
	if ip.Version() != 4 {
		return BadVersion
	}
	headerLen, totalLen := ip.HeaderLen(), ip.TotalLen()
	if headerLen < IPv4Len {
		return BadHeaderLength
	}
	if totalLen < headerLen || totalLen > len(b) {
		return BadTotalLength
	}
	if checksum.Sum(b[:headerLen], 0) != 0xffff {
		return BadHeaderChecksum
	}
	p.Source, p.Destination = ip.Source(), ip.Destination()
	if !validSource(p.Source) {
		return BadAddress
	}
	p.Protocol, p.TTL, p.IPChecksum = ip.Protocol(), ip.TTL(), ip.Checksum()
	p.TransportOffset = uint16(offset + headerLen)
	p.End = uint32(offset + totalLen)
	if ip.MoreFragments() || ip.FragmentOffset() != 0 {
		return Fragment
	}
	return p.parseTransport(b[headerLen:totalLen])
}

// Bits of the IPv4 header's first 8 bytes that say that it is a fragment's.
const (
	moreFragments  = 0x2000
	fragmentOffset = 0x1fff
)

// skipTags returns where the IPv4 header begins behind VLAN tags.
func skipTags(frame []byte) (offset int, _ Status) {
	offset = EthernetLen
	etherType := Ethernet(frame).Type()
	for etherType == TypeVLAN || etherType == TypeSVLAN {
		if len(frame) < offset+VLANTagLen {
			return 0, Short
		}
		etherType = binary.BigEndian.Uint16(frame[offset+2 : offset+4])
		offset += VLANTagLen
		if offset > EthernetLen+2*VLANTagLen {
			return 0, NotIPv4 // more than QinQ has
		}
	}
	if etherType != TypeIPv4 {
		return 0, NotIPv4
	}
	return offset, OK
}

// validSource reports whether a host may send from addr (RFC 1812 section
// 5.3.7). Like the kernel (ip_route_input_slow in net/ipv4/route.c) it takes
// 240/4, which networks use that ran out of private addresses.
func validSource(addr uint32) bool {
	top := addr >> 24
	return top != 0 && top != 127 && top>>4 != 0xe && addr != 0xffff_ffff
}

func (p *Packet) parseTransport(b []byte) Status {
	p.TCPFlags = 0
	switch p.Protocol {
	case TCPProtocol:
		if len(b) < TCPLen {
			return BadTransportLength
		}
		tcp := TCP(b)
		if n := tcp.HeaderLen(); n < TCPLen || n > len(b) {
			return BadTransportLength
		}
		p.SourcePort, p.DestinationPort, p.TCPFlags, p.Checksum = tcp.SourcePort(), tcp.DestinationPort(), tcp.Flags(), tcp.Checksum()
	case UDPProtocol:
		if len(b) < UDPLen {
			return BadTransportLength
		}
		udp := UDP(b)
		if n := udp.Length(); n < UDPLen || n > len(b) {
			return BadTransportLength
		}
		p.SourcePort, p.DestinationPort, p.Checksum = udp.SourcePort(), udp.DestinationPort(), udp.Checksum()
	case ICMPProtocol:
		if len(b) < ICMPLen {
			return BadTransportLength
		}
		if checksum.Sum(b, 0) != 0xffff {
			return BadICMPChecksum
		}
		p.SourcePort, p.DestinationPort, p.Checksum = 0, 0, ICMP(b).Checksum()
	default:
		return UnknownProtocol
	}
	return OK
}
