package test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

// syn returns a SYN from a client to the VIP as a frame.
func syn(t testing.TB, top *lab.Topology, from, to string) []byte {
	t.Helper()
	src, dst := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
	tcp := &layers.TCP{SrcPort: layers.TCPPort(src.Port()), DstPort: layers.TCPPort(dst.Port()), SYN: true, Window: 64240}
	labtest.Must(t, tcp.SetNetworkLayerForChecksum(ip))
	buffer := gopacket.NewSerializeBuffer()
	labtest.Must(t, gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: lab.MACOf(top.ClientIP(0)), DstMAC: lab.MACOf(lab.DirectorIP), EthernetType: layers.EthernetTypeIPv4}, ip, tcp))
	return buffer.Bytes()
}

func TestMalformedFramesAreCountedAndDoNoHarm(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 1})
	serveNames(t, top, ":80")
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(web(top, "rr"))})
	wire := labtest.Capture(t, top.Realservers[0], "eth0")
	const ip, tcp = 14, 34 // where the headers begin
	for _, c := range []struct {
		name, verdict string
		change        func([]byte) []byte
	}{
		{"cut inside the IP header", "short", func(f []byte) []byte { return f[:ip+12] }},
		{"IP version 5", "bad_version", func(f []byte) []byte { f[ip] = 0x55; return f }},
		{"IP header length 16", "bad_header_length", func(f []byte) []byte { f[ip] = 0x44; return f }},
		{"IP header beyond the packet", "bad_total_length", func(f []byte) []byte { f[ip] = 0x4f; return f }},
		{"total length beyond the frame", "bad_total_length", func(f []byte) []byte {
			binary.BigEndian.PutUint16(f[ip+2:], 1400)
			return checksummed(f)
		}},
		{"total length below the header", "bad_total_length", func(f []byte) []byte {
			binary.BigEndian.PutUint16(f[ip+2:], 12)
			return checksummed(f)
		}},
		{"wrong IP checksum", "bad_header_checksum", func(f []byte) []byte { f[ip+10] ^= 1; return f }},
		{"fragment", "fragmented", func(f []byte) []byte { f[ip+6] = 0x20; return checksummed(f) }},
		{"TCP header length 16", "bad_transport_length", func(f []byte) []byte { f[tcp+12] = 0x40; return f }},
		{"TCP header beyond the packet", "bad_transport_length", func(f []byte) []byte { f[tcp+12] = 0xf0; return f }},
		{"unknown protocol", "unknown_protocol", func(f []byte) []byte { f[ip+9] = 253; return checksummed(f) }},
		{"source address of the loopback network", "bad_address", func(f []byte) []byte { f[ip+12] = 127; return checksummed(f) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := status(t, d).Packets[c.verdict]
			sendRaw(t, top.Client, "eth0", c.change(syn(t, top, "192.168.1.254:5000", "192.168.1.110:80")))
			labtest.Eventually(t, c.verdict+" is counted", func() bool { return status(t, d).Packets[c.verdict] == before+1 })
		})
	}
	for _, f := range wire.Frames() {
		if p := labtest.Decode(f); p.IP != nil {
			t.Errorf("a realserver was sent %v", p)
		}
	}
	if got := get(t, top.Client, "192.168.1.110"); got != "real1" {
		t.Errorf("afterwards a request was answered %q", got)
	}
}

// Options of the IP header are nothing wrong: they go where the packet goes.
func TestIPOptionsAreCarried(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 1})
	serveNames(t, top, ":80")
	labtest.StartDirector(t, top, labtest.Start{Config: top.Config(web(top, "rr"))})
	real, client := labtest.Capture(t, top.Realservers[0], "eth0"), labtest.Capture(t, top.Client, "eth0")
	ip := &layers.IPv4{
		Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: top.ClientIP(0).AsSlice(), DstIP: lab.VIP.AsSlice(),
		Options: []layers.IPv4Option{{OptionType: 1}, {OptionType: 1}, {OptionType: 1}, {OptionType: 0}},
	}
	tcp := &layers.TCP{SrcPort: 5000, DstPort: 80, SYN: true, Window: 64240}
	labtest.Must(t, tcp.SetNetworkLayerForChecksum(ip))
	send(t, top.Client, "eth0", &layers.Ethernet{
		SrcMAC: lab.MACOf(top.ClientIP(0)), DstMAC: lab.MACOf(lab.DirectorIP), EthernetType: layers.EthernetTypeIPv4,
	}, ip, tcp)
	request := labtest.WaitPacket(t, real, func(p labtest.Packet) bool { return p.TCP != nil && p.TCP.SYN && !p.Sent })
	if request.Dst() != lab.RIP(0) || request.IP.IHL != 6 {
		t.Errorf("the realserver got %v with a header of %d bytes, want 24", request, request.IP.IHL*4)
	}
	// The realserver's kernel answers only when all checksums are right.
	labtest.WaitPacket(t, client, func(p labtest.Packet) bool { return p.TCP != nil && p.TCP.SYN && p.TCP.ACK && p.Src() == lab.VIP })
}

// checksummed puts the right checksum into the IP header, of 20 bytes.
func checksummed(f []byte) []byte {
	header := f[14:34]
	header[10], header[11] = 0, 0
	sum := uint32(0)
	for i := 0; i < len(header); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(header[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(header[10:], ^uint16(sum))
	return f
}
