package main

import (
	"net"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"

	"lvsnat/dataplane/packet"
)

var testHop = nextHop{
	source:      packet.MAC{2, 0, 0, 0, 0, 1},
	destination: packet.MAC{2, 0, 0, 0, 0, 9},
}

// reference makes the frame anew with all its checksums, by gopacket.
func reference(t rapid.TB, o *options, id uint16, f flow) []byte {
	ethernet := &layers.Ethernet{
		SrcMAC: testHop.source[:], DstMAC: testHop.destination[:], EthernetType: layers.EthernetTypeIPv4,
	}
	source := net.IPv4(byte(f.source>>24), byte(f.source>>16), byte(f.source>>8), byte(f.source))
	ip := &layers.IPv4{
		Version: 4, Id: id, TTL: o.ttl, Protocol: layers.IPProtocolTCP,
		SrcIP: source, DstIP: o.target.Addr().AsSlice(),
	}
	var rest []gopacket.SerializableLayer
	if o.udp {
		ip.Protocol = layers.IPProtocolUDP
		udp := &layers.UDP{SrcPort: layers.UDPPort(f.port), DstPort: layers.UDPPort(o.target.Port())}
		udp.SetNetworkLayerForChecksum(ip)
		payload := make(gopacket.Payload, o.size-minUDPSize)
		for i := range payload {
			payload[i] = byte(0x20 + i%(0x7e-0x20))
		}
		rest = []gopacket.SerializableLayer{udp, payload}
	} else {
		tcp := &layers.TCP{SrcPort: layers.TCPPort(f.port), DstPort: layers.TCPPort(o.target.Port()), SYN: true}
		tcp.SetNetworkLayerForChecksum(ip)
		rest = []gopacket.SerializableLayer{tcp}
	}
	buffer := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		append([]gopacket.SerializableLayer{ethernet, ip}, rest...)...)
	if err != nil {
		t.Fatalf("serialize: %v", err)
	}
	return buffer.Bytes()[:packet.EthernetLen+o.size] // without gopacket's padding to 60 bytes
}

func sameFrame(t rapid.TB, got, want []byte) {
	t.Helper()
	if string(got) != string(want) {
		t.Fatalf("got  %x\nwant %x", got, want)
	}
}

func TestTheSYNIsThatOfTestlvs(t *testing.T) {
	o := parse(t, "192.168.1.110:80 -srcnet 10.0.0.1")
	made := newTemplate(&o, testHop, 0x1234)
	sameFrame(t, made.frame, []byte{
		2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 0x08, 0x00,
		0x45, 0, 0, 40, 0x12, 0x34, 0, 0, 2, 6, 0xda, 0x85, 10, 0, 0, 1, 192, 168, 1, 110,
		0x13, 0x88, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0xcf, 0xf3, 0, 0,
	})
}

func TestEveryFlowsPacketIsAsIfMadeAnew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := options{
			first: addrOf(rapid.Uint32().Draw(t, "first")),
			ports: portRange{rapid.Uint16().Draw(t, "port"), 0},
			ttl:   rapid.Uint8().Draw(t, "ttl"),
			udp:   rapid.Bool().Draw(t, "udp"),
			size:  tcpSize,
		}
		o.target = addrPort(addrOf(rapid.Uint32().Draw(t, "vip")), rapid.Uint16().Draw(t, "vport"))
		if o.udp {
			o.size = rapid.IntRange(minUDPSize, 1500).Draw(t, "size")
		}
		id := rapid.Uint16().Draw(t, "id")
		f := flow{rapid.Uint32().Draw(t, "source"), rapid.Uint16().Draw(t, "sport")}

		made := newTemplate(&o, testHop, id)
		frame := append([]byte(nil), made.frame...)
		made.write(frame, f)
		sameFrame(t, frame, reference(t, &o, id, f))
	})
}

func TestWritingAPacketDoesNotAllocate(t *testing.T) {
	o := parse(t, "192.168.1.110:80 -srcnum 1000")
	made := newTemplate(&o, testHop, 1)
	all := newFlows(o.first, o.sources, o.ports)
	s := sequence{flows: &all, step: 1}
	frame := append([]byte(nil), made.frame...)
	if n := testing.AllocsPerRun(100, func() { made.write(frame, s.take()) }); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func TestAUDPChecksumIsNeverZero(t *testing.T) {
	// One of all source ports makes the sum over the datagram zero, which
	// RFC 768 writes as 0xffff.
	o := parse(t, "-udp -size 30 192.168.1.110:53 -srcnum 1")
	made := newTemplate(&o, testHop, 1)
	special := 0
	for port := range 1 << 16 {
		o.ports.first = uint16(port)
		anew := newTemplate(&o, testHop, 1)
		frame := append([]byte(nil), made.frame...)
		made.write(frame, anew.from)
		sum := packet.UDP(frame[packet.EthernetLen+packet.IPv4Len:]).Checksum()
		if sum == 0 || sum != anew.innerSum {
			t.Fatalf("port %d: checksum %#04x rewritten, %#04x made anew", port, sum, anew.innerSum)
		}
		if sum == 0xffff {
			special++
		}
	}
	if special != 1 {
		t.Errorf("%d ports with a checksum of 0xffff, want 1", special)
	}
}

func BenchmarkWrite(b *testing.B) {
	o, err := parseArgs([]string{"192.168.1.110:80", "-srcnum", "1000000"}, nil)
	if err != nil {
		b.Fatal(err)
	}
	made := newTemplate(&o, testHop, 1)
	all := newFlows(o.first, o.sources, o.ports)
	s := sequence{flows: &all, step: 1}
	frame := append([]byte(nil), made.frame...)
	b.ReportAllocs()
	for b.Loop() {
		made.write(frame, s.take())
	}
}
