package labtest

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"lvsnat/test/lab"
)

// A Packet is a captured frame, decoded. Layers that it does not have are nil.
type Packet struct {
	lab.Frame
	Ethernet *layers.Ethernet
	ARP      *layers.ARP
	IP       *layers.IPv4
	TCP      *layers.TCP
	UDP      *layers.UDP
	ICMP     *layers.ICMPv4
}

// Decode decodes a frame.
func Decode(f lab.Frame) Packet {
	p := Packet{Frame: f}
	for _, layer := range gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.NoCopy).Layers() {
		switch layer := layer.(type) {
		case *layers.Ethernet:
			p.Ethernet = layer
		case *layers.ARP:
			p.ARP = layer
		case *layers.IPv4:
			p.IP = layer
		case *layers.TCP:
			p.TCP = layer
		case *layers.UDP:
			p.UDP = layer
		case *layers.ICMPv4:
			p.ICMP = layer
		}
	}
	return p
}

// Src returns the IP source address, invalid when there is none.
func (p Packet) Src() netip.Addr {
	if p.IP == nil {
		return netip.Addr{}
	}
	addr, _ := netip.AddrFromSlice(p.IP.SrcIP)
	return addr.Unmap()
}

// Dst returns the IP destination address, invalid when there is none.
func (p Packet) Dst() netip.Addr {
	if p.IP == nil {
		return netip.Addr{}
	}
	addr, _ := netip.AddrFromSlice(p.IP.DstIP)
	return addr.Unmap()
}

// String describes the packet in one line.
func (p Packet) String() string {
	var b strings.Builder
	if p.Sent {
		b.WriteString("sent ")
	} else {
		b.WriteString("received ")
	}
	switch {
	case p.ARP != nil:
		fmt.Fprintf(&b, "ARP operation %d sender %v target %v", p.ARP.Operation, netipOf(p.ARP.SourceProtAddress), netipOf(p.ARP.DstProtAddress))
	case p.TCP != nil:
		fmt.Fprintf(&b, "TCP %v:%d > %v:%d%s", p.Src(), p.TCP.SrcPort, p.Dst(), p.TCP.DstPort, flags(p.TCP))
	case p.UDP != nil:
		fmt.Fprintf(&b, "UDP %v:%d > %v:%d", p.Src(), p.UDP.SrcPort, p.Dst(), p.UDP.DstPort)
	case p.ICMP != nil:
		fmt.Fprintf(&b, "ICMP %v %v > %v", p.ICMP.TypeCode, p.Src(), p.Dst())
	case p.IP != nil:
		fmt.Fprintf(&b, "IP protocol %v %v > %v", p.IP.Protocol, p.Src(), p.Dst())
	default:
		fmt.Fprintf(&b, "% x", p.Data[:min(len(p.Data), 40)])
	}
	return b.String()
}

func netipOf(b []byte) netip.Addr {
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

func flags(t *layers.TCP) string {
	s := ""
	for _, f := range []struct {
		on   bool
		name string
	}{{t.SYN, " SYN"}, {t.ACK, " ACK"}, {t.FIN, " FIN"}, {t.RST, " RST"}, {t.PSH, " PSH"}} {
		if f.on {
			s += f.name
		}
	}
	return s
}

// Capture starts a capture that ends with the test.
func Capture(tb testing.TB, h *lab.Host, nic string) *lab.Capture {
	tb.Helper()
	c, err := h.Capture(nic)
	Must(tb, err)
	tb.Cleanup(func() {
		if _, err := c.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// WaitPacket waits for a packet in a capture.
func WaitPacket(tb testing.TB, c *lab.Capture, match func(Packet) bool) Packet {
	tb.Helper()
	f, err := c.Wait(Context(tb), func(f lab.Frame) bool { return match(Decode(f)) })
	Must(tb, err)
	return Decode(f)
}
