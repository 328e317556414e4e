package packet_test

import (
	"bytes"
	"testing"

	"lvsnat/dataplane/packet"
)

func TestViewsReadTheFieldsOfTheStandards(t *testing.T) {
	ethernet := packet.Ethernet(unhex(t, `02 00 00 00 00 02 02 00 00 00 00 01 88 a8`))
	ip := packet.IPv4(unhex(t, `4f 12 01 02 03 04 65 06 07 08 09 0a 0b 0c 0d 0e 0f 10 11 12`))
	tcp := packet.TCP(unhex(t, `01 02 03 04 05 06 07 08 09 0a 0b 0c fd e2 0f 10 11 12 13 14`))
	udp := packet.UDP(unhex(t, `01 02 03 04 05 06 07 08`))
	icmp := packet.ICMP(unhex(t, `0b 01 02 03 04 05 06 07`))
	tests := []struct {
		name      string
		got, want any
	}{
		{"Ethernet destination", ethernet.Destination(), packet.MAC{2, 0, 0, 0, 0, 2}},
		{"Ethernet source", ethernet.Source(), packet.MAC{2, 0, 0, 0, 0, 1}},
		{"EtherType", ethernet.Type(), uint16(packet.TypeSVLAN)},
		{"IP version", ip.Version(), uint8(4)},
		{"IP header length", ip.HeaderLen(), 60},
		{"IP total length", ip.TotalLen(), 0x0102},
		{"IP identification", ip.ID(), uint16(0x0304)},
		{"IP DF", ip.DontFragment(), true},
		{"IP MF", ip.MoreFragments(), true},
		{"IP fragment offset", ip.FragmentOffset(), 0x0506 * 8},
		{"IP TTL", ip.TTL(), uint8(7)},
		{"IP protocol", ip.Protocol(), uint8(8)},
		{"IP checksum", ip.Checksum(), uint16(0x090a)},
		{"IP source", ip.Source(), uint32(0x0b0c0d0e)},
		{"IP destination", ip.Destination(), uint32(0x0f101112)},
		{"TCP source port", tcp.SourcePort(), uint16(0x0102)},
		{"TCP destination port", tcp.DestinationPort(), uint16(0x0304)},
		{"TCP sequence number", tcp.Sequence(), uint32(0x05060708)},
		{"TCP acknowledgment number", tcp.Acknowledgment(), uint32(0x090a0b0c)},
		{"TCP header length", tcp.HeaderLen(), 60},
		{"TCP flags", tcp.Flags(), uint8(0xe2)},
		{"TCP checksum", tcp.Checksum(), uint16(0x1112)},
		{"UDP source port", udp.SourcePort(), uint16(0x0102)},
		{"UDP destination port", udp.DestinationPort(), uint16(0x0304)},
		{"UDP length", udp.Length(), 0x0506},
		{"UDP checksum", udp.Checksum(), uint16(0x0708)},
		{"ICMP type", icmp.Type(), uint8(packet.ICMPTimeExceeded)},
		{"ICMP code", icmp.Code(), uint8(1)},
		{"ICMP checksum", icmp.Checksum(), uint16(0x0203)},
		{"a group", packet.MAC{0x01, 0, 0x5e, 0, 0, 1}.Multicast(), true},
		{"broadcast", packet.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}.Multicast(), true},
		{"a host", packet.MAC{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff}.Multicast(), false},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}

func TestViewsWriteTheirFieldAndNothingElse(t *testing.T) {
	const zeros = `00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00`
	tests := []struct {
		name string
		set  func(b []byte)
		want string
	}{
		{"Ethernet addresses", func(b []byte) {
			packet.Ethernet(b).SetAddresses(&packet.MAC{1, 2, 3, 4, 5, 6}, &packet.MAC{7, 8, 9, 10, 11, 12})
		}, `01 02 03 04 05 06 07 08 09 0a 0b 0c 00 00 00 00 00 00 00 00`},
		{"EtherType", func(b []byte) { packet.Ethernet(b).SetType(0x0102) },
			`00 00 00 00 00 00 00 00 00 00 00 00 01 02 00 00 00 00 00 00`},
		{"IP TTL", func(b []byte) { packet.IPv4(b).SetTTL(1) },
			`00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00`},
		{"IP checksum", func(b []byte) { packet.IPv4(b).SetChecksum(0x0102) },
			`00 00 00 00 00 00 00 00 00 00 01 02 00 00 00 00 00 00 00 00`},
		{"IP source", func(b []byte) { packet.IPv4(b).SetSource(0x01020304) },
			`00 00 00 00 00 00 00 00 00 00 00 00 01 02 03 04 00 00 00 00`},
		{"IP destination", func(b []byte) { packet.IPv4(b).SetDestination(0x01020304) },
			`00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 02 03 04`},
		{"TCP source port", func(b []byte) { packet.TCP(b).SetSourcePort(0x0102) },
			`01 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00`},
		{"TCP destination port", func(b []byte) { packet.TCP(b).SetDestinationPort(0x0102) },
			`00 00 01 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00`},
		{"TCP checksum", func(b []byte) { packet.TCP(b).SetChecksum(0x0102) },
			`00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 02 00 00`},
		{"UDP source port", func(b []byte) { packet.UDP(b).SetSourcePort(0x0102) },
			`01 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00`},
		{"UDP destination port", func(b []byte) { packet.UDP(b).SetDestinationPort(0x0102) },
			`00 00 01 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00`},
		{"UDP checksum", func(b []byte) { packet.UDP(b).SetChecksum(0x0102) },
			`00 00 00 00 00 00 01 02 00 00 00 00 00 00 00 00 00 00 00 00`},
		{"ICMP type and code", func(b []byte) { packet.ICMP(b).SetTypeCode(1, 2) },
			`01 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00`},
		{"ICMP checksum", func(b []byte) { packet.ICMP(b).SetChecksum(0x0102) },
			`00 00 01 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00`},
	}
	for _, tt := range tests {
		b := unhex(t, zeros)
		tt.set(b)
		if want := unhex(t, tt.want); !bytes.Equal(b, want) {
			t.Errorf("%s: got % x, want % x", tt.name, b, want)
		}
	}
}

func TestAPacketsViewsBeginAtItsHeaders(t *testing.T) {
	frame := unhex(t, link+`81 00 00 07 08 00
		46 00 00 20 00 01 40 00 40 11 b5 0f c0 a8 01 fe c0 a8 01 6e 94 04 00 00 `+udp)
	p := packet.Packet{NetworkOffset: 18, TransportOffset: 42}
	if got := p.IPv4(frame); got.HeaderLen() != 24 || got.Source() != source {
		t.Errorf("IPv4 begins with % x", got[:4])
	}
	for name, port := range map[string]uint16{
		"TCP": p.TCP(frame).DestinationPort(),
		"UDP": p.UDP(frame).DestinationPort(),
	} {
		if port != 80 {
			t.Errorf("%s: port %d, want 80", name, port)
		}
	}
	if got := p.ICMP(frame).Type(); got != 0x9c {
		t.Errorf("ICMP begins with %#02x, want 0x9c", got)
	}
}

func TestPartialChecksumIsTheNeedsChecksumFlag(t *testing.T) {
	for flags, want := range map[uint8]bool{
		0:                           false,
		packet.OffloadDataValid:     false,
		packet.OffloadNeedsChecksum: true,
		packet.OffloadNeedsChecksum | packet.OffloadDataValid: true,
	} {
		offload := packet.Offload{Flags: flags}
		if got := offload.PartialChecksum(); got != want {
			t.Errorf("flags %#02x: %v, want %v", flags, got, want)
		}
	}
}
