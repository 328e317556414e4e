package packettest

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"lvsnat/dataplane/packet"
)

// A Checker demands something of a frame.
type Checker interface {
	check(*view) error
}

// Check reports every demand that frame does not meet, and shows the frame.
// It reads the frame with gopacket, so that package packet is not judged by
// itself.
func Check(t testing.TB, frame packet.Frame, checks ...Checker) {
	t.Helper()
	v := decode(frame)
	failed := false
	for _, c := range checks {
		if err := c.check(v); err != nil {
			t.Error(err)
			failed = true
		}
	}
	if failed {
		t.Logf("frame: %s", Describe(frame))
	}
}

// checker is a Checker that nothing can be built with.
type checker func(*view) error

func (c checker) check(v *view) error { return c(v) }

// Source demands where the packet comes from: "192.0.2.1:80" for TCP and UDP,
// "192.0.2.1" for any protocol.
func Source(want string) Checker {
	return withIP(func(v *view) error { return v.endpoint("source", v.ip.SrcIP, v.sourcePort(), want) })
}

// Destination demands where the packet goes to, written as for Source.
func Destination(want string) Checker {
	return withIP(func(v *view) error { return v.endpoint("destination", v.ip.DstIP, v.destinationPort(), want) })
}

// Flags demands exactly these TCP flags.
func Flags(want uint8) Checker {
	return withTCP(func(v *view) error {
		return differs("flags", formatFlags(v.tcp.Contents[13]), formatFlags(want))
	})
}

// ICMP demands an ICMP message of this type and code.
func ICMP(icmpType, code uint8) Checker {
	return withICMP(func(v *view) error {
		want := layers.CreateICMPv4TypeCode(icmpType, code)
		return differs("ICMP message", v.icmp.TypeCode.String(), want.String())
	})
}

// Query demands an ICMP message with this identifier and sequence number.
func Query(id, sequence uint16) Checker {
	return withICMP(func(v *view) error {
		return firstError(differs("ICMP identifier", v.icmp.Id, id), differs("ICMP sequence number", v.icmp.Seq, sequence))
	})
}

// Quotes demands an ICMP error about frame as it was sent, even if it was
// translated on its way: addresses, protocol, identification and at least the
// first 8 bytes behind the IP header are those of frame. TTL and checksums
// may differ, routers change them.
func Quotes(frame packet.Frame) Checker {
	return withICMP(func(v *view) error {
		got, sent := packet.IPv4(v.icmp.Payload), packet.IPv4(decode(frame).datagram())
		if len(got) < packet.IPv4Len || len(got) < got.HeaderLen()+8 {
			return fmt.Errorf("quote is %s, too short", abbreviate(got))
		}
		err := firstError(
			differs("quoted source", formatAddr(got.Source()), formatAddr(sent.Source())),
			differs("quoted destination", formatAddr(got.Destination()), formatAddr(sent.Destination())),
			differs("quoted protocol", got.Protocol(), sent.Protocol()),
			differs("quoted ID", got.ID(), sent.ID()),
			differs("quoted total length", got.TotalLen(), sent.TotalLen()),
			differs("quoted header length", got.HeaderLen(), sent.HeaderLen()))
		if err != nil {
			return err
		}
		a, b := withoutChecksum(got), withoutChecksum(sent)
		if len(a) > len(b) || !bytes.Equal(a, b[:len(a)]) {
			return fmt.Errorf("quoted transport is %s, want %s", abbreviate(a), abbreviate(b))
		}
		return nil
	})
}

// withoutChecksum is a copy of what follows the IP header, with a TCP or UDP
// checksum that is there set to zero.
func withoutChecksum(ip packet.IPv4) []byte {
	b := bytes.Clone(ip[ip.HeaderLen():])
	at := map[uint8]int{packet.TCPProtocol: 16, packet.UDPProtocol: 6}[ip.Protocol()]
	if at != 0 && len(b) >= at+2 {
		b[at], b[at+1] = 0, 0
	}
	return b
}

// A view is a frame as gopacket decodes it. Layers that are not there are nil.
type view struct {
	frame   packet.Frame
	network int // offset of the IP header
	vlans   []uint16
	ip      *layers.IPv4
	tcp     *layers.TCP
	udp     *layers.UDP
	icmp    *layers.ICMPv4
	arp     *layers.ARP
}

// headerLen is the least length of the headers that are read, in bytes.
var headerLen = map[gopacket.LayerType]int{
	layers.LayerTypeDot1Q:  packet.VLANTagLen,
	layers.LayerTypeIPv4:   packet.IPv4Len,
	layers.LayerTypeTCP:    packet.TCPLen,
	layers.LayerTypeUDP:    packet.UDPLen,
	layers.LayerTypeICMPv4: packet.ICMPLen,
	layers.LayerTypeARP:    28,
}

func decode(f packet.Frame) *view {
	v := &view{frame: f, network: packet.EthernetLen}
	for _, layer := range gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.NoCopy).Layers() {
		if len(layer.LayerContents()) < headerLen[layer.LayerType()] {
			continue // gopacket keeps a header that is cut off, empty
		}
		switch l := layer.(type) {
		case *layers.Dot1Q:
			v.vlans = append(v.vlans, l.VLANIdentifier)
			v.network += packet.VLANTagLen
		case *layers.IPv4:
			if v.ip == nil {
				v.ip = l
			}
		case *layers.TCP:
			v.tcp = l
		case *layers.UDP:
			v.udp = l
		case *layers.ICMPv4:
			v.icmp = l
		case *layers.ARP:
			v.arp = l
		}
	}
	return v
}

// datagram is the IP datagram without what surrounds it on the link.
func (v *view) datagram() []byte {
	b := v.frame.Data[v.network:]
	return b[:min(int(v.ip.Length), len(b))]
}

// payload is what the innermost header that is known carries.
func (v *view) payload() []byte {
	switch {
	case v.tcp != nil:
		return v.tcp.Payload
	case v.udp != nil:
		return v.udp.Payload
	case v.icmp != nil:
		return v.icmp.Payload
	}
	return v.ip.Payload
}

func (v *view) sourcePort() uint16 {
	switch {
	case v.tcp != nil:
		return uint16(v.tcp.SrcPort)
	case v.udp != nil:
		return uint16(v.udp.SrcPort)
	}
	return 0
}

func (v *view) destinationPort() uint16 {
	switch {
	case v.tcp != nil:
		return uint16(v.tcp.DstPort)
	case v.udp != nil:
		return uint16(v.udp.DstPort)
	}
	return 0
}

// endpoint compares an address, and a port if want has one.
func (v *view) endpoint(what string, ip []byte, port uint16, want string) error {
	addr, _ := netip.AddrFromSlice(ip)
	if !strings.Contains(want, ":") {
		return differs(what, addr, mustAddr(want))
	}
	if v.tcp == nil && v.udp == nil {
		return fmt.Errorf("%s is %v without a port, want %s", what, addr, want)
	}
	return differs(what, netip.AddrPortFrom(addr, port), mustAddrPort(want))
}

func withIP(c checker) checker {
	return func(v *view) error {
		if v.ip == nil {
			return errors.New("frame is not IPv4")
		}
		return c(v)
	}
}

func withTCP(c checker) checker {
	return func(v *view) error {
		if v.tcp == nil {
			return errors.New("frame is not TCP")
		}
		return c(v)
	}
}

func withUDP(c checker) checker {
	return func(v *view) error {
		if v.udp == nil {
			return errors.New("frame is not UDP")
		}
		return c(v)
	}
}

func withICMP(c checker) checker {
	return func(v *view) error {
		if v.icmp == nil {
			return errors.New("frame is not ICMP")
		}
		return c(v)
	}
}
