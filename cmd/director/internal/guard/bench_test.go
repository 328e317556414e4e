package guard

import (
	"net/netip"
	"testing"

	"github.com/google/gopacket/layers"
	mdpacket "github.com/mdlayher/packet"

	"lvsnat/scheduler"
)

// What a dropped packet costs, its sending included: with one service and with
// ten thousand.
func BenchmarkDrop(b *testing.B) {
	many := handled
	for i := range 10_000 {
		many.Services = append(many.Services, Endpoint{17, scheduler.AddressOf(netip.AddrPortFrom(netip.MustParseAddr(ownVIP), uint16(1000+i)))})
		many.Realservers = append(many.Realservers, Endpoint{17, scheduler.AddressOf(netip.AddrPortFrom(netip.MustParseAddr(realserver), uint16(1000+i)))})
	}
	box := newBox(b)
	g := box.guard(b)
	for _, bb := range []struct {
		name   string
		state  State
		nic    string
		packet []byte
	}{
		{"request, 3 services", handled, "eth0", tcp(client, 1024, ownVIP, 80)},
		{"request, 10003 services", many, "eth0", tcp(client, 1024, ownVIP, 80)},
		{"reply, 2 realservers", handled, "eth1", tcp(realserver, 8000, client, 1024)},
		{"reply, 10002 realservers", many, "eth1", tcp(realserver, 8000, client, 1024)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			box.set(b, g, bb.state)
			frame := ethernet(box.mac(bb.nic), layers.EthernetTypeIPv4, bb.packet)
			conn, addr := box.peers[bb.nic], &mdpacket.Addr{HardwareAddr: box.mac(bb.nic)}
			for b.Loop() {
				if _, err := conn.WriteTo(frame, addr); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A change of one service among ten thousand.
func BenchmarkSet(b *testing.B) {
	var s State
	for i := range 10_000 {
		s.Services = append(s.Services, Endpoint{6, scheduler.AddressOf(netip.AddrPortFrom(netip.MustParseAddr(ownVIP), uint16(1000+i)))})
	}
	s.Local = handled.Local
	box := newBox(b)
	g := box.guard(b)
	less := s
	less.Services = s.Services[1:]
	for i := 0; b.Loop(); i++ {
		box.set(b, g, []State{s, less}[i%2])
	}
}
