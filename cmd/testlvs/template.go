package main

import (
	"encoding/binary"

	"lvsnat/checksum"
	"lvsnat/dataplane/packet"
)

// A template is the packet that all packets of a run are copies of; they
// differ in source address, source port and what these do to the checksums. It
// is read-only after newTemplate.
type template struct {
	frame     []byte // with Ethernet header
	from      flow   // what frame was made with
	udp       bool
	ipSum     uint16
	innerSum  uint16 // TCP or UDP checksum
	innerSums int    // its offset
}

// newTemplate makes the packet of testlvs 0.1: no IP options, not fragmented,
// an identification that does not change; a SYN without options, data or
// window and with sequence number 0, or a UDP datagram filled with printable
// characters.
func newTemplate(o *options, hop nextHop, id uint16) *template {
	t := &template{
		frame: make([]byte, packet.EthernetLen+o.size),
		from:  flow{toUint32(o.first), o.ports.first},
		udp:   o.udp,
	}
	ethernet := packet.Ethernet(t.frame)
	ethernet.SetAddresses(&hop.destination, &hop.source)
	ethernet.SetType(packet.TypeIPv4)

	datagram := t.frame[packet.EthernetLen:]
	segment := datagram[packet.IPv4Len:]
	protocol := uint8(packet.TCPProtocol)
	if o.udp {
		protocol = packet.UDPProtocol
	}
	vip := toUint32(o.target.Addr())
	putIPv4(datagram, protocol, o.ttl, id, t.from.source, vip)
	pseudo := checksum.Pseudo(t.from.source, vip, protocol, uint16(len(segment)))
	if o.udp {
		t.innerSums = packet.EthernetLen + packet.IPv4Len + 6
		putUDP(segment, t.from.port, o.target.Port(), pseudo)
		t.innerSum = packet.UDP(segment).Checksum()
	} else {
		t.innerSums = packet.EthernetLen + packet.IPv4Len + 16
		putSYN(segment, t.from.port, o.target.Port(), pseudo)
		t.innerSum = packet.TCP(segment).Checksum()
	}
	t.ipSum = packet.IPv4(datagram).Checksum()
	return t
}

// write turns frame, a copy of the template's headers, into the packet of f.
func (t *template) write(frame []byte, f flow) {
	addresses := checksum.Delta32(t.from.source, f.source)
	both := addresses.Add(checksum.Delta16(t.from.port, f.port))
	sum := both.Apply(t.innerSum)
	if t.udp {
		sum = both.ApplyUDP(t.innerSum)
	}
	ip := packet.IPv4(frame[packet.EthernetLen:])
	ip.SetSource(f.source)
	ip.SetChecksum(addresses.Apply(t.ipSum))
	binary.BigEndian.PutUint16(frame[packet.EthernetLen+packet.IPv4Len:], f.port)
	binary.BigEndian.PutUint16(frame[t.innerSums:], sum)
}

func putIPv4(b []byte, protocol, ttl uint8, id uint16, source, destination uint32) {
	b[0] = 0x45
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[4:], id)
	b[9] = protocol
	ip := packet.IPv4(b)
	ip.SetTTL(ttl)
	ip.SetSource(source)
	ip.SetDestination(destination)
	ip.SetChecksum(^checksum.Sum(b[:packet.IPv4Len], 0))
}

func putSYN(b []byte, source, destination, pseudo uint16) {
	tcp := packet.TCP(b)
	tcp.SetSourcePort(source)
	tcp.SetDestinationPort(destination)
	b[12] = packet.TCPLen / 4 << 4
	b[13] = packet.SYN
	tcp.SetChecksum(^checksum.Sum(b, pseudo))
}

func putUDP(b []byte, source, destination, pseudo uint16) {
	udp := packet.UDP(b)
	udp.SetSourcePort(source)
	udp.SetDestinationPort(destination)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	const firstFill, endFill = 0x20, 0x7e
	fill := byte(firstFill)
	for i := packet.UDPLen; i < len(b); i++ {
		b[i] = fill
		if fill++; fill == endFill {
			fill = firstFill
		}
	}
	sum := ^checksum.Sum(b, pseudo)
	if sum == 0 {
		sum = 0xffff // RFC 768: zero would say that there is no checksum
	}
	udp.SetChecksum(sum)
}
