package guard

import (
	"bytes"
	"math/rand/v2"
	"net"
	"slices"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

func ethernet(dst net.HardwareAddr, kind layers.EthernetType, payload []byte) []byte {
	src := net.HardwareAddr{2, 0, 0, 0, 0, 9}
	return serialise(&layers.Ethernet{SrcMAC: src, DstMAC: dst, EthernetType: kind}, gopacket.Payload(payload))
}

func tag(frame []byte) []byte {
	return slices.Concat(frame[:12], []byte{0x81, 0x00, 0x00, 0x07}, frame[12:])
}

func ip(src, dst string, protocol layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{
		Version: 4, TTL: 64, Id: uint16(rand.Uint32()), Protocol: protocol,
		SrcIP: net.ParseIP(src).To4(), DstIP: net.ParseIP(dst).To4(),
	}
}

func tcp(src string, sport uint16, dst string, dport uint16) []byte {
	h := ip(src, dst, layers.IPProtocolTCP)
	segment := &layers.TCP{SrcPort: layers.TCPPort(sport), DstPort: layers.TCPPort(dport), SYN: true, Window: 1000}
	_ = segment.SetNetworkLayerForChecksum(h) // fails for layers that are not IP
	return serialise(h, segment)
}

func udp(src string, sport uint16, dst string, dport uint16) []byte {
	h := ip(src, dst, layers.IPProtocolUDP)
	datagram := &layers.UDP{SrcPort: layers.UDPPort(sport), DstPort: layers.UDPPort(dport)}
	_ = datagram.SetNetworkLayerForChecksum(h) // fails for layers that are not IP
	return serialise(h, datagram, gopacket.Payload("payload."))
}

func echo(src, dst string) []byte { return echoWith(src, dst, []byte("ping")) }

func echoWith(src, dst string, payload []byte) []byte {
	return serialise(ip(src, dst, layers.IPProtocolICMPv4),
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0)}, gopacket.Payload(payload))
}

// icmpError quotes the header and eight more bytes of a packet (RFC 792).
func icmpError(src, dst string, quoted []byte) []byte {
	return serialise(ip(src, dst, layers.IPProtocolICMPv4),
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, 3)}, gopacket.Payload(quoted[:28]))
}

// fragment makes a packet a fragment of a larger one, its offset in units of
// eight bytes.
func fragment(packet []byte, offset uint16, more bool) []byte {
	return rebuild(packet, func(h *layers.IPv4) {
		h.FragOffset = offset
		if more {
			h.Flags = layers.IPv4MoreFragments
		}
	})
}

func withOptions(packet []byte) []byte {
	return rebuild(packet, func(h *layers.IPv4) {
		h.Options = []layers.IPv4Option{{OptionType: 1}, {OptionType: 1}, {OptionType: 1}, {OptionType: 0}}
	})
}

func rebuild(packet []byte, change func(*layers.IPv4)) []byte {
	decoded := gopacket.NewPacket(packet, layers.LayerTypeIPv4, gopacket.Default).NetworkLayer().(*layers.IPv4)
	payload := bytes.Clone(decoded.Payload)
	change(decoded)
	return serialise(decoded, gopacket.Payload(payload))
}

func serialise(l ...gopacket.SerializableLayer) []byte {
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...); err != nil {
		panic(err)
	}
	return b.Bytes()
}
