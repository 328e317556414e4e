package packettest

import (
	"testing"

	"github.com/google/gopacket/layers"

	"lvsnat/dataplane/packet"
)

func TestCheckReportsEveryDemandThatIsNotMet(t *testing.T) {
	tcp := TCP(client, virtual, SYN|ACK, Payload([]byte("abc")))
	udp := UDP(client, virtual)
	echo := Echo("192.0.2.1", "192.0.2.2", 1, 2)
	arp := ARPReply(DefaultSource, "192.0.2.1", DefaultDestination, "192.0.2.2")
	tests := []struct {
		frame packet.Frame
		check Checker
		want  string
	}{
		{tcp, Source("192.168.1.254:40001"), "source is 192.168.1.254:40000, want 192.168.1.254:40001"},
		{tcp, Source("192.168.1.253"), "source is 192.168.1.254, want 192.168.1.253"},
		{tcp, Destination("192.168.1.110:8000"), "destination is 192.168.1.110:80, want 192.168.1.110:8000"},
		{echo, Destination("192.0.2.2:1"), "without a port"},
		{arp, Source("192.0.2.1"), "frame is not IPv4"},
		{tcp, Flags(SYN), "flags is SYN|ACK, want SYN"},
		{tcp, Flags(0), "want no flags"},
		{udp, Flags(SYN), "frame is not TCP"},
		{tcp, MACs(DefaultDestination, DefaultDestination), "source MAC is 02:00:00:00:00:01"},
		{tcp, MACs(DefaultSource, Broadcast), "destination MAC is 02:00:00:00:00:02"},
		{tcp, VLAN(1), "VLAN tags are [], want [1]"},
		{tcp, Padding(1), "padding is 0, want 1"},
		{tcp, TTL(63), "TTL is 64, want 63"},
		{tcp, TOS(1), "TOS is 0, want 1"},
		{tcp, ID(2), "ID is 1, want 2"},
		{tcp, DontFragment(false), "DF is true, want false"},
		{tcp, IPOptions(layers.IPv4Option{OptionType: 1, OptionLength: 1}), "IP options"},
		{tcp, TCPOptions(layers.TCPOption{OptionType: layers.TCPOptionKindNop, OptionLength: 1}), "TCP options"},
		{tcp, Sequence(1), "sequence number is 1000, want 1"},
		{tcp, Acknowledgment(1), "acknowledgment number is 2000, want 1"},
		{tcp, Payload([]byte("abd")), "payload is 3 bytes [61 62 63], want 3 bytes [61 62 64]"},
		{tcp, PartialChecksum(), "checksum is not left to the device"},
		{tcp, GSO(1448), "GSO type is 0, want 1"},
		{udp, NoChecksum(), "UDP checksum is"},
		{tcp, NoChecksum(), "frame is not UDP"},
		{echo, ICMP(packet.ICMPEchoReply, 0), "ICMP message is EchoRequest"},
		{udp, ICMP(packet.ICMPEcho, 0), "frame is not ICMP"},
		{echo, Query(1, 3), "ICMP sequence number is 2, want 3"},
		{echo, NextHopMTU(1400), "next-hop MTU is 2, want 1400"},
		{echo, Query(2, 2), "ICMP identifier is 1, want 2"},
		{arp, ARPSays(false, DefaultSource, "192.0.2.1", "192.0.2.2"), "ARP reply is true, want false"},
		{arp, ARPSays(true, DefaultDestination, "192.0.2.1", "192.0.2.2"), "ARP sender MAC is"},
		{arp, ARPSays(true, DefaultSource, "192.0.2.3", "192.0.2.2"), "ARP sender is 192.0.2.1"},
		{arp, ARPSays(true, DefaultSource, "192.0.2.1", "192.0.2.3"), "ARP target is 192.0.2.2"},
		{tcp, ARPSays(true, DefaultSource, "192.0.2.1", "192.0.2.2"), "frame is not ARP"},
		{packet.Frame{Data: []byte{1, 2, 3}}, TTL(1), "frame is not IPv4"},
		{packet.Frame{Data: []byte{1, 2, 3}}, MACs(DefaultSource, DefaultDestination), "too short for Ethernet"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			var r recorder
			Check(&r, tt.frame, tt.check)
			r.expect(t, tt.want)
		})
	}
}

// put returns an edit that overwrites bytes of a frame.
func put(at int, b ...byte) Option {
	return Edit(func(data []byte) []byte {
		copy(data[at:], b)
		return data
	})
}

func TestChecksumsRightSeesEveryWrongChecksum(t *testing.T) {
	const (
		ip        = packet.EthernetLen
		transport = ip + packet.IPv4Len
		quoted    = transport + packet.ICMPLen
	)
	whole := UDP(virtual, client, Payload(Pattern(9)))
	unreachable := func(about packet.Frame, options ...Option) packet.Frame {
		return ICMPError("192.168.1.254", "192.168.1.110", packet.ICMPUnreachable, packet.ICMPPortUnreachable, about, options...)
	}
	tests := []struct {
		name  string
		frame packet.Frame
		want  string // nothing: all are right
	}{
		{"TCP", TCP(client, virtual, SYN, Payload(Pattern(1001)), Padding(3)), ""},
		{"TCP, wrong", TCP(client, virtual, SYN, BadChecksum()), "checksum of protocol 6 is 0x8fbd, want 0x8fbc"},
		{"TCP of a changed payload", TCP(client, virtual, SYN, Payload([]byte("abc")), put(transport+packet.TCPLen, 'x')), "checksum of protocol 6"},
		{"IP header, wrong", TCP(client, virtual, SYN, BadIPChecksum()), "IP header checksum is 0xb613, want 0xb612"},
		{"partial", TCP(client, virtual, SYN, PartialChecksum(), Payload(Pattern(9))), ""},
		{"partial of a changed payload", TCP(client, virtual, SYN, PartialChecksum(), Payload([]byte("abc")), put(transport+packet.TCPLen, 'x')), ""},
		{"partial, wrong", UDP(client, virtual, PartialChecksum(), BadChecksum()), "want the pseudo-header's sum"},
		{"complete, but said to be partial", saysPartial(TCP(client, virtual, SYN), transport, 16), "want the pseudo-header's sum"},
		{"partial with a wrong start", saysPartial(TCP(client, virtual, SYN, PartialChecksum()), transport+4, 16), "checksum start is 38, want 34"},
		{"partial with a wrong offset", saysPartial(TCP(client, virtual, SYN, PartialChecksum()), transport, 6), "checksum offset is 6, want 16"},
		{"UDP without one", UDP(client, virtual, NoChecksum()), "UDP has no checksum"},
		{"UDP, wrong by one from a checksum of one", UDP("0.0.0.1:65499", "0.0.0.0:1", BadChecksum()), "checksum of protocol 17 is 0x0002, want 0x0001"},
		{"UDP whose sum is zero", UDP("0.0.0.1:65500", "0.0.0.0:1"), ""},
		{"echo", Echo("192.0.2.1", "192.0.2.2", 1, 2, Payload(Pattern(7))), ""},
		{"echo, wrong", Echo("192.0.2.1", "192.0.2.2", 1, 2, BadChecksum()), "checksum of protocol 1"},
		{"a later fragment", Fragments(whole, 8)[1], ""},
		{"ICMP error", unreachable(whole), ""},
		{"ICMP error with a wrong quoted IP header", unreachable(UDP(virtual, client, BadIPChecksum())), "quoted: IP header checksum"},
		{"ICMP error with the whole datagram", unreachable(whole, Quote(100)), ""},
		{"ICMP error with the whole datagram, wrong", unreachable(UDP(virtual, client, BadChecksum()), Quote(100)), "quoted: checksum of protocol 17"},
		{"ICMP error with a datagram that never left", unreachable(UDP(virtual, client, PartialChecksum()), Quote(100)), ""},
		{"ICMP error with a datagram without a checksum", unreachable(UDP(virtual, client, NoChecksum()), Quote(100)), ""},
		{"IP header cut off", TCP(client, virtual, SYN, Edit(func(b []byte) []byte { return b[:ip+18] })), "not IPv4"},
		{"transport cut off", TCP(client, virtual, SYN, Edit(func(b []byte) []byte { return b[:transport+4] })), "no checksum that could be checked"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r recorder
			Check(&r, tt.frame, ChecksumsRight())
			if tt.want == "" {
				r.expect(t)
				return
			}
			r.expect(t, tt.want)
		})
	}
	if quoted+packet.IPv4Len+8 != len(unreachable(whole).Data) {
		t.Errorf("an ICMP error quotes %d bytes", len(unreachable(whole).Data)-quoted)
	}
}

// saysPartial is frame with an offload that says so.
func saysPartial(frame packet.Frame, start, offset uint16) packet.Frame {
	frame.Offload = packet.Offload{Flags: packet.OffloadNeedsChecksum, ChecksumStart: start, ChecksumOffset: offset}
	return frame
}

func TestQuotesKnowsTheDatagramAsItWasSent(t *testing.T) {
	sent := UDP(virtual, client, ID(9), Payload(Pattern(30)))
	atTheClient := UDP(virtual, client, ID(9), TTL(1), Payload(Pattern(30)))
	quote := func(about packet.Frame) packet.Frame {
		return ICMPError("192.168.1.254", "192.168.1.110", packet.ICMPUnreachable, packet.ICMPPortUnreachable, about, Quote(16))
	}
	Check(t, quote(atTheClient), Quotes(sent), ICMP(3, 3), ChecksumsRight())
	Check(t, ICMPError("192.0.2.1", "192.168.1.110", packet.ICMPUnreachable, 4, sent, NextHopMTU(1400)),
		Quotes(sent), ICMP(3, 4), NextHopMTU(1400), ChecksumsRight())

	tests := []struct {
		name  string
		about packet.Frame
		want  string
	}{
		{"another source", UDP("192.168.1.111:80", client, ID(9), Payload(Pattern(30))), "quoted source"},
		{"another destination", UDP(virtual, "192.168.1.253:40000", ID(9), Payload(Pattern(30))), "quoted destination"},
		{"another protocol", TCP(virtual, client, ACK, ID(9), Payload(Pattern(30))), "quoted protocol"},
		{"another datagram", UDP(virtual, client, ID(10), Payload(Pattern(30))), "quoted ID"},
		{"another length", UDP(virtual, client, ID(9), Payload(Pattern(31))), "quoted total length"},
		{"another port", UDP("192.168.1.110:8000", client, ID(9), Payload(Pattern(30))), "quoted transport"},
		{"another payload", UDP(virtual, client, ID(9), Payload(make([]byte, 30))), "quoted transport"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r recorder
			Check(&r, quote(tt.about), Quotes(sent))
			r.expect(t, tt.want)
		})
	}
}

func TestFragmentsJoinToTheDatagramTheyWereCutFrom(t *testing.T) {
	whole := UDP(client, virtual, ID(7), VLAN(3), DontFragment(false), Payload(Pattern(50)))
	fragments := Fragments(whole, 24)
	if len(fragments) != 3 { // 58 bytes
		t.Fatalf("%d fragments, want 3", len(fragments))
	}
	var joined []byte
	for i, f := range fragments {
		Check(t, f, ID(7), VLAN(3), Source("192.168.1.254"), ChecksumsRight())
		v := decode(f)
		if got, want := int(v.ip.FragOffset)*8, i*24; got != want {
			t.Errorf("fragment %d is at %d, want %d", i, got, want)
		}
		if more := v.ip.Flags&layers.IPv4MoreFragments != 0; more != (i < 2) {
			t.Errorf("fragment %d has MF %v", i, more)
		}
		joined = append(joined, v.ip.Payload...)
	}
	if want := whole.Data[v4Payload(whole):]; string(joined) != string(want) {
		t.Errorf("joined % x, want % x", joined, want)
	}
}

func v4Payload(f packet.Frame) int {
	v := decode(f)
	return v.network + int(v.ip.IHL)*4
}
