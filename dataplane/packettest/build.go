package packettest

import (
	"fmt"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"lvsnat/checksum"
	"lvsnat/dataplane/packet"
)

// An Option changes the frame that a builder makes.
type Option interface {
	build(*blueprint)
}

// A blueprint is what a frame is made from.
type blueprint struct {
	source, destination packet.MAC
	vlans               []uint16
	ip                  layers.IPv4
	transport           gopacket.SerializableLayer // *layers.TCP, UDP or ICMPv4
	payload             []byte
	padding             int

	partial        bool
	gsoSize        uint16
	noChecksum     bool
	badChecksum    bool
	badIPChecksum  bool
	edits          []func([]byte) []byte
	quoted         []byte // of an ICMP error: the datagram it is about
	quotedPayload  int
	nextHopMTU     uint16
	checksumOffset int // in the transport header
}

// TCP builds a TCP segment from source to destination ("192.0.2.1:40000") with
// flags. Without options it is as a host sends it: TTL 64, DF set, sequence
// number 1000, acknowledgment 2000 if flags hold ACK, no payload, no padding,
// both checksums complete and right.
func TCP(source, destination string, flags uint8, options ...Option) packet.Frame {
	from, to := mustAddrPort(source), mustAddrPort(destination)
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(from.Port()),
		DstPort: layers.TCPPort(to.Port()),
		Seq:     1000,
		Window:  64240,
		FIN:     flags&FIN != 0,
		SYN:     flags&SYN != 0,
		RST:     flags&RST != 0,
		PSH:     flags&PSH != 0,
		ACK:     flags&ACK != 0,
		URG:     flags&URG != 0,
		ECE:     flags&0x40 != 0,
		CWR:     flags&0x80 != 0,
	}
	if tcp.ACK {
		tcp.Ack = 2000
	}
	b := newBlueprint(from.Addr(), to.Addr(), layers.IPProtocolTCP, tcp)
	b.checksumOffset = 16
	return b.frame(options)
}

// UDP builds a UDP datagram from source to destination ("192.0.2.1:40000"),
// otherwise as TCP does.
func UDP(source, destination string, options ...Option) packet.Frame {
	from, to := mustAddrPort(source), mustAddrPort(destination)
	udp := &layers.UDP{SrcPort: layers.UDPPort(from.Port()), DstPort: layers.UDPPort(to.Port())}
	b := newBlueprint(from.Addr(), to.Addr(), layers.IPProtocolUDP, udp)
	b.checksumOffset = 6
	return b.frame(options)
}

// Echo builds an ICMP echo request from source to destination ("192.0.2.1").
func Echo(source, destination string, id, sequence uint16, options ...Option) packet.Frame {
	return icmp(source, destination, packet.ICMPEcho, id, sequence, options)
}

// EchoReply builds an ICMP echo reply from source to destination.
func EchoReply(source, destination string, id, sequence uint16, options ...Option) packet.Frame {
	return icmp(source, destination, packet.ICMPEchoReply, id, sequence, options)
}

func icmp(source, destination string, icmpType uint8, id, sequence uint16, options []Option) packet.Frame {
	layer := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(icmpType, 0), Id: id, Seq: sequence}
	b := newBlueprint(mustAddr(source), mustAddr(destination), layers.IPProtocolICMPv4, layer)
	b.checksumOffset = 2
	return b.frame(options)
}

// ICMPError builds an ICMP error from source to destination about a frame that
// was sent before. It quotes that frame's IP header and 8 bytes behind it, the
// least that RFC 792 allows; Quote makes it more.
func ICMPError(source, destination string, icmpType, code uint8, about packet.Frame, options ...Option) packet.Frame {
	layer := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(icmpType, code)}
	b := newBlueprint(mustAddr(source), mustAddr(destination), layers.IPProtocolICMPv4, layer)
	b.checksumOffset = 2
	b.quotedPayload = 8
	v := decode(about)
	if v.ip == nil {
		panic("packettest: ICMPError about a frame that is not IPv4")
	}
	b.quoted = v.datagram()
	return b.frame(options)
}

func newBlueprint(from, to netip.Addr, protocol layers.IPProtocol, transport gopacket.SerializableLayer) *blueprint {
	return &blueprint{
		source:      DefaultSource,
		destination: DefaultDestination,
		ip: layers.IPv4{
			Version:  4,
			Id:       1,
			Flags:    layers.IPv4DontFragment,
			TTL:      64,
			Protocol: protocol,
			SrcIP:    from.AsSlice(),
			DstIP:    to.AsSlice(),
		},
		transport: transport,
	}
}

// frame makes the frame: layers, then checksums that are not the usual ones,
// then what comes after the datagram, then damage.
func (b *blueprint) frame(options []Option) packet.Frame {
	for _, o := range options {
		o.build(b)
	}
	if b.quoted != nil {
		b.quote()
	}
	data := b.serialize()
	network := packet.EthernetLen + packet.VLANTagLen*len(b.vlans)
	transport := network + packet.IPv4(data[network:]).HeaderLen()
	f := packet.Frame{Data: data, Offload: b.offload(data, transport)}
	b.finishChecksum(data[network:transport], data[transport:])
	if b.badIPChecksum {
		ip := packet.IPv4(data[network:])
		ip.SetChecksum(ip.Checksum() ^ 1)
	}
	for range b.padding {
		f.Data = append(f.Data, 0xa5) // not zero: a sum that covers it must come out wrong
	}
	for _, edit := range b.edits {
		f.Data = edit(f.Data)
	}
	return f
}

// quote lets an ICMP error carry the beginning of the datagram it is about.
func (b *blueprint) quote() {
	n := packet.IPv4(b.quoted).HeaderLen() + b.quotedPayload
	b.payload = b.quoted[:min(n, len(b.quoted))]
	b.transport.(*layers.ICMPv4).Seq = b.nextHopMTU
}

// serialize lays the datagram out with its lengths and complete checksums,
// behind the link's headers.
func (b *blueprint) serialize() []byte {
	switch transport := b.transport.(type) {
	case *layers.TCP:
		must(transport.SetNetworkLayerForChecksum(&b.ip))
	case *layers.UDP:
		must(transport.SetNetworkLayerForChecksum(&b.ip))
	}
	buffer := gopacket.NewSerializeBuffer()
	fix := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	must(gopacket.SerializeLayers(buffer, fix, &b.ip, b.transport, gopacket.Payload(b.payload)))
	datagram := buffer.Bytes()
	if len(datagram) > 65535 {
		panic(fmt.Sprintf("packettest: a datagram of %d bytes does not exist", len(datagram)))
	}
	return append(b.linkHeader(packet.TypeIPv4), datagram...)
}

// linkHeader is the Ethernet header with its VLAN tags. It is not serialised
// by gopacket, which pads every frame to 60 bytes; veth and virtio do not.
func (b *blueprint) linkHeader(etherType uint16) []byte {
	h := append(append([]byte{}, b.destination[:]...), b.source[:]...)
	for i, id := range b.vlans {
		tag := uint16(packet.TypeVLAN)
		if i < len(b.vlans)-1 {
			tag = packet.TypeSVLAN // IEEE 802.1ad: all tags but the innermost
		}
		h = append(h, byte(tag>>8), byte(tag), byte(id>>8), byte(id))
	}
	return append(h, byte(etherType>>8), byte(etherType))
}

// offload is what goes beside a frame whose checksum or segmentation is left
// to hardware.
func (b *blueprint) offload(data []byte, transport int) packet.Offload {
	if !b.partial {
		return packet.Offload{}
	}
	o := packet.Offload{
		Flags:          packet.OffloadNeedsChecksum,
		ChecksumStart:  uint16(transport),
		ChecksumOffset: uint16(b.checksumOffset),
		GSOSize:        b.gsoSize,
	}
	switch b.ip.Protocol {
	case layers.IPProtocolTCP:
		o.HeaderLen = uint16(transport + packet.TCP(data[transport:]).HeaderLen())
	case layers.IPProtocolUDP:
		o.HeaderLen = uint16(transport + packet.UDPLen)
	default:
		panic("packettest: only TCP and UDP have partial checksums")
	}
	if b.gsoSize != 0 {
		o.GSOType = packet.GSOTCPv4
		if b.ip.Protocol == layers.IPProtocolUDP {
			o.GSOType = packet.GSOUDPL4
		}
	}
	return o
}

// finishChecksum makes the transport checksum what the options want. It is
// complete and right before, but that UDP may have a zero.
func (b *blueprint) finishChecksum(ip packet.IPv4, transport []byte) {
	field := transport[b.checksumOffset : b.checksumOffset+2]
	sum := uint16(field[0])<<8 | uint16(field[1])
	if sum == 0 && b.ip.Protocol == layers.IPProtocolUDP {
		sum = 0xffff // RFC 768: zero is sent as its other form
	}
	switch {
	case b.noChecksum:
		sum = 0
	case b.partial:
		sum = checksum.Pseudo(ip.Source(), ip.Destination(), ip.Protocol(), uint16(len(transport)))
	}
	if b.badChecksum {
		sum ^= 1
		if sum == 0 {
			sum = 2 // zero would say that UDP has none
		}
	}
	field[0], field[1] = byte(sum>>8), byte(sum)
}

func mustAddrPort(s string) netip.AddrPort {
	a, err := netip.ParseAddrPort(s)
	if err != nil || !a.Addr().Is4() {
		panic(fmt.Sprintf("packettest: %q is not an IPv4 address with a port", s))
	}
	return a
}

func mustAddr(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		panic(fmt.Sprintf("packettest: %q is not an IPv4 address", s))
	}
	return a
}

func must(err error) {
	if err != nil {
		panic("packettest: " + err.Error())
	}
}
