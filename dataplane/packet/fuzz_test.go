package packet_test

import (
	"bytes"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"lvsnat/dataplane/packet"
)

// FuzzParse compares Parse with a reference that is made of gopacket's
// decoders. Few inputs of a fuzzer have right checksums, so it may ask for
// them: with repair set, the IP header's and an ICMP message's are made right.
func FuzzParse(f *testing.F) {
	// Each also with padding: Parse takes frames of some length in another way.
	add := func(frame []byte) {
		f.Add(frame, false)
		f.Add(append(bytes.Clone(frame), make([]byte, 60)...), false)
	}
	for _, tt := range wellFormed {
		add(unhex(f, tt.frame))
	}
	for _, tt := range malformed {
		add(unhex(f, tt.frame))
	}
	f.Fuzz(func(t *testing.T, input []byte, repair bool) {
		frame := bytes.Clone(input)
		if repair {
			repairChecksums(frame)
		}
		before := bytes.Clone(frame)
		got := packet.Packet{TCPFlags: 0xff, VLAN: true, SourcePort: 1, DestinationPort: 1}
		status := got.Parse(frame)
		if !bytes.Equal(frame, before) {
			t.Fatal("Parse wrote to the frame")
		}
		want, wantStatus := reference(frame)
		if status != wantStatus {
			t.Fatalf("status %d, want %d", status, wantStatus)
		}
		if status != packet.OK {
			return
		}
		if got != want {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
		if int(got.NetworkOffset)+packet.IPv4Len > int(got.TransportOffset) ||
			int(got.TransportOffset)+packet.UDPLen > int(got.End) || int(got.End) > len(frame) {
			t.Fatalf("offsets are out of order or past the frame's %d bytes: %+v", len(frame), got)
		}
		agreeOnHeaders(t, frame, &got)
	})
}

// feedback is for gopacket to say that a layer is cut off.
type feedback struct{ truncated bool }

func (f *feedback) SetTruncated() { f.truncated = true }

// reference is Parse with gopacket's decoders and the plainest arithmetic.
func reference(frame []byte) (packet.Packet, packet.Status) {
	var ethernet layers.Ethernet
	if ethernet.DecodeFromBytes(frame, gopacket.NilDecodeFeedback) != nil {
		return packet.Packet{}, packet.Short
	}
	etherType, b, tags := ethernet.EthernetType, frame[packet.EthernetLen:], 0
	for etherType == layers.EthernetTypeDot1Q || etherType == layers.EthernetTypeQinQ {
		var tag layers.Dot1Q
		if tag.DecodeFromBytes(b, gopacket.NilDecodeFeedback) != nil {
			return packet.Packet{}, packet.Short
		}
		etherType, b = tag.Type, tag.Payload
		if tags++; tags > 2 {
			return packet.Packet{}, packet.NotIPv4
		}
	}
	if etherType != layers.EthernetTypeIPv4 {
		return packet.Packet{}, packet.NotIPv4
	}
	return referenceIPv4(b, packet.Packet{VLAN: tags > 0, NetworkOffset: uint16(len(frame) - len(b))})
}

func referenceIPv4(b []byte, p packet.Packet) (packet.Packet, packet.Status) {
	if len(b) < 20 {
		return p, packet.Short
	}
	var ip layers.IPv4
	_ = ip.DecodeFromBytes(b, &feedback{}) // what it does not like, options that are nonsense for example, Parse may
	headerLen, totalLen := int(ip.IHL)*4, int(b[2])<<8|int(b[3])
	switch {
	case ip.Version != 4:
		return p, packet.BadVersion
	case headerLen < 20:
		return p, packet.BadHeaderLength
	case totalLen < headerLen || totalLen > len(b):
		return p, packet.BadTotalLength
	case sum(b[:headerLen]) != 0xffff:
		return p, packet.BadHeaderChecksum
	case ip.SrcIP[0] == 0 || ip.SrcIP.IsLoopback() || ip.SrcIP.IsMulticast() || ip.SrcIP.Equal([]byte{255, 255, 255, 255}):
		return p, packet.BadAddress
	case ip.Flags&layers.IPv4MoreFragments != 0 || ip.FragOffset != 0:
		return p, packet.Fragment
	}
	p.Source, p.Destination = number(ip.SrcIP), number(ip.DstIP)
	p.Protocol, p.TTL, p.IPChecksum = uint8(ip.Protocol), ip.TTL, ip.Checksum
	p.TransportOffset = p.NetworkOffset + uint16(headerLen)
	p.End = uint32(p.NetworkOffset) + uint32(totalLen)
	return referenceTransport(b[headerLen:totalLen], p)
}

func referenceTransport(b []byte, p packet.Packet) (packet.Packet, packet.Status) {
	switch layers.IPProtocol(p.Protocol) {
	case layers.IPProtocolTCP:
		var tcp layers.TCP
		var cut feedback
		_ = tcp.DecodeFromBytes(b, &cut)
		if len(b) < 20 || tcp.DataOffset < 5 || int(tcp.DataOffset)*4 > len(b) {
			return p, packet.BadTransportLength
		}
		p.SourcePort, p.DestinationPort, p.TCPFlags, p.Checksum = uint16(tcp.SrcPort), uint16(tcp.DstPort), b[13], tcp.Checksum
	case layers.IPProtocolUDP:
		var udp layers.UDP
		var cut feedback
		err := udp.DecodeFromBytes(b, &cut)
		if err != nil || cut.truncated || udp.Length == 0 {
			return p, packet.BadTransportLength
		}
		p.SourcePort, p.DestinationPort, p.Checksum = uint16(udp.SrcPort), uint16(udp.DstPort), udp.Checksum
	case layers.IPProtocolICMPv4:
		var icmp layers.ICMPv4
		if icmp.DecodeFromBytes(b, gopacket.NilDecodeFeedback) != nil {
			return p, packet.BadTransportLength
		}
		if sum(b) != 0xffff {
			return p, packet.BadICMPChecksum
		}
		p.Checksum = icmp.Checksum
	default:
		return p, packet.UnknownProtocol
	}
	return p, packet.OK
}

// agreeOnHeaders compares every field of the views with what gopacket reads.
func agreeOnHeaders(t *testing.T, frame []byte, p *packet.Packet) {
	var ip layers.IPv4
	_ = ip.DecodeFromBytes(frame[p.NetworkOffset:p.End], &feedback{})
	v := p.IPv4(frame)
	equal(t, "total length", v.TotalLen(), int(ip.Length))
	equal(t, "ID", v.ID(), ip.Id)
	equal(t, "DF", v.DontFragment(), ip.Flags&layers.IPv4DontFragment != 0)
	equal(t, "IP checksum", v.Checksum(), ip.Checksum)
	transport := frame[p.TransportOffset:p.End]
	switch p.Protocol {
	case packet.TCPProtocol:
		var tcp layers.TCP
		_ = tcp.DecodeFromBytes(transport, &feedback{})
		v := p.TCP(frame)
		equal(t, "sequence number", v.Sequence(), tcp.Seq)
		equal(t, "acknowledgment number", v.Acknowledgment(), tcp.Ack)
		equal(t, "TCP header length", v.HeaderLen(), int(tcp.DataOffset)*4)
		equal(t, "TCP checksum", v.Checksum(), tcp.Checksum)
		for flag, want := range map[uint8]bool{
			packet.FIN: tcp.FIN, packet.SYN: tcp.SYN, packet.RST: tcp.RST,
			packet.PSH: tcp.PSH, packet.ACK: tcp.ACK, packet.URG: tcp.URG,
		} {
			equal(t, "TCP flag", p.TCPFlags&flag != 0, want)
		}
	case packet.UDPProtocol:
		var udp layers.UDP
		_ = udp.DecodeFromBytes(transport, &feedback{})
		equal(t, "UDP length", p.UDP(frame).Length(), int(udp.Length))
		equal(t, "UDP checksum", p.UDP(frame).Checksum(), udp.Checksum)
	case packet.ICMPProtocol:
		var icmp layers.ICMPv4
		_ = icmp.DecodeFromBytes(transport, &feedback{})
		equal(t, "ICMP type", p.ICMP(frame).Type(), icmp.TypeCode.Type())
		equal(t, "ICMP code", p.ICMP(frame).Code(), icmp.TypeCode.Code())
		equal(t, "ICMP checksum", p.ICMP(frame).Checksum(), icmp.Checksum)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, gopacket says %v", what, got, want)
	}
}

// repairChecksums makes the checksums right that Parse looks at, wherever
// there is something like an IP header.
func repairChecksums(frame []byte) {
	at := packet.EthernetLen
	for at <= len(frame) && (frame[at-2] == 0x81 || frame[at-2] == 0x88) {
		at += packet.VLANTagLen
	}
	if len(frame) < at+packet.IPv4Len {
		return
	}
	b := frame[at:]
	headerLen, totalLen := int(b[0]&15)*4, int(b[2])<<8|int(b[3])
	if headerLen < packet.IPv4Len || totalLen < headerLen || totalLen > len(b) {
		return
	}
	repairChecksum(b[:headerLen], 10)
	if b[9] == packet.ICMPProtocol && totalLen >= headerLen+packet.ICMPLen {
		repairChecksum(b[headerLen:totalLen], 2)
	}
}

// repairChecksum makes the checksum right that is at offset at of b.
func repairChecksum(b []byte, at int) {
	b[at], b[at+1] = 0, 0
	right := ^sum(b)
	b[at], b[at+1] = byte(right>>8), byte(right)
}

// sum is RFC 1071's, byte by byte.
func sum(b []byte) uint16 {
	total := uint32(0)
	for i, v := range b {
		if i%2 == 0 {
			total += uint32(v) << 8
		} else {
			total += uint32(v)
		}
		total = total>>16 + total&0xffff
	}
	return uint16(total)
}

// number is an address in host order.
func number(a []byte) uint32 {
	return uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
}
