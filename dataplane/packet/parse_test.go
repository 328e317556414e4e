package packet_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"lvsnat/dataplane/packet"
)

// The frames below are written by hand, header by header, and not built by
// package packettest: what it knows of headers it knows from package packet.
// All TCP and UDP checksums are 0, because Parse does not look at them.

// link is an Ethernet header to 02:00:00:00:00:02 from 02:00:00:00:00:01,
// without its EtherType.
const link = `02 00 00 00 00 02 02 00 00 00 00 01 `

// tcp, udp are headers from port 40000 to port 80, of 20 and 8 bytes.
const (
	tcp = ` 9c 40 00 50 00 00 03 e8 00 00 00 00 50 02 fa f0 8f bc 00 00 # SYN, sequence 1000`
	udp = ` 9c 40 00 50 00 08 00 00`
)

// Addresses of the frames: 192.168.1.254 and 192.168.1.110.
const (
	source      = 0xc0a801fe
	destination = 0xc0a8016e
)

// unhex reads hex with spaces and with comments that begin with # and go to
// the end of the line.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wellFormed are frames that Parse must understand, with what it must find.
var wellFormed = []struct {
	name  string
	frame string
	want  packet.Packet
}{
	{
		name: "TCP, a SYN",
		frame: link + `08 00
			45 00 00 28 00 01 40 00 40 06 b6 12 c0 a8 01 fe c0 a8 01 6e # 40 bytes, ID 1, DF, TTL 64
			` + tcp,
		want: packet.Packet{Source: source, Destination: destination, SourcePort: 40000, DestinationPort: 80,
			Protocol: packet.TCPProtocol, TCPFlags: packet.SYN, TTL: 64, NetworkOffset: 14, TransportOffset: 34, End: 54, IPChecksum: 0xb612, Checksum: 0x8fbc},
	},
	{
		name: "TCP with every flag, options and payload",
		frame: link + `08 00
			45 00 00 2f 00 01 40 00 40 06 b6 0b c0 a8 01 fe c0 a8 01 6e # 47 bytes
			9c 40 00 50 00 00 03 e8 00 00 00 00 60 ff fa f0 00 00 00 00 # 24 bytes of header
			02 04 05 b4                                                 # MSS 1460
			61 62 63`,
		want: packet.Packet{Source: source, Destination: destination, SourcePort: 40000, DestinationPort: 80,
			Protocol: packet.TCPProtocol, TCPFlags: 0xff, TTL: 64, NetworkOffset: 14, TransportOffset: 34, End: 61, IPChecksum: 0xb60b},
	},
	{
		name: "TCP without any flag",
		frame: link + `08 00
			45 00 00 28 00 01 40 00 40 06 b6 12 c0 a8 01 fe c0 a8 01 6e
			9c 40 00 50 00 00 03 e8 00 00 00 00 50 00 fa f0 00 00 00 00`,
		want: packet.Packet{Source: source, Destination: destination, SourcePort: 40000, DestinationPort: 80,
			Protocol: packet.TCPProtocol, TTL: 64, NetworkOffset: 14, TransportOffset: 34, End: 54, IPChecksum: 0xb612},
	},
	{
		name: "TCP behind the most IP options and with the most of its own",
		frame: link + `08 00
			4f 00 00 78 00 01 40 00 40 06 05 ad c0 a8 01 fe c0 a8 01 6e # 60 bytes of header
			94 04 00 00                                                 # router alert, RFC 2113
			01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01
			01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 00       # no operation, end of options
			9c 40 00 50 00 00 03 e8 00 00 00 00 f0 10 fa f0 00 00 00 00 # 60 bytes of header, ACK
			01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01
			01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 00`,
		want: packet.Packet{Source: source, Destination: destination, SourcePort: 40000, DestinationPort: 80,
			Protocol: packet.TCPProtocol, TCPFlags: packet.ACK, TTL: 64, NetworkOffset: 14, TransportOffset: 74, End: 134, IPChecksum: 0x05ad},
	},
	{
		name: "IP options that are nonsense, which are the ends' affair",
		frame: link + `08 00
			46 00 00 20 00 01 40 00 40 11 ad 10 c0 a8 01 fe c0 a8 01 6e
			07 ff 00 00                                                 # record route of 255 bytes
			` + udp,
		want: packet.Packet{Source: source, Destination: destination, SourcePort: 40000, DestinationPort: 80,
			Protocol: packet.UDPProtocol, TTL: 64, NetworkOffset: 14, TransportOffset: 38, End: 46, IPChecksum: 0xad10},
	},
	{
		name: "UDP with payload",
		frame: link + `08 00
			45 00 00 1f 00 01 40 00 40 11 b6 10 c0 a8 01 fe c0 a8 01 6e # 31 bytes
			9c 40 00 50 00 0b 12 34 61 62 63`,
		want: packet.Packet{Source: source, Destination: destination, SourcePort: 40000, DestinationPort: 80,
			Protocol: packet.UDPProtocol, TTL: 64, NetworkOffset: 14, TransportOffset: 34, End: 45, IPChecksum: 0xb610, Checksum: 0x1234},
	},
	{
		name: "UDP shorter than its datagram",
		frame: link + `08 00
			45 00 00 1f 00 01 40 00 40 11 b6 10 c0 a8 01 fe c0 a8 01 6e
			9c 40 00 50 00 08 00 00 61 62 63`,
		want: packet.Packet{Source: source, Destination: destination, SourcePort: 40000, DestinationPort: 80,
			Protocol: packet.UDPProtocol, TTL: 64, NetworkOffset: 14, TransportOffset: 34, End: 45, IPChecksum: 0xb610},
	},
	{
		name: "an echo request",
		frame: link + `08 00
			45 00 00 1f 00 01 40 00 40 01 b6 20 c0 a8 01 fe c0 a8 01 6e
			08 00 21 68 12 34 00 01 61 62 63                            # identifier 0x1234, sequence number 1`,
		want: packet.Packet{Source: source, Destination: destination,
			Protocol: packet.ICMPProtocol, TTL: 64, NetworkOffset: 14, TransportOffset: 34, End: 45, IPChecksum: 0xb620, Checksum: 0x2168},
	},
	{
		name: "padding up to 60 bytes",
		frame: link + `08 00
			45 00 00 1c 00 01 40 00 40 11 b6 13 c0 a8 01 fe c0 a8 01 6e
			` + udp + `
			a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5`,
		want: packet.Packet{Source: source, Destination: destination, SourcePort: 40000, DestinationPort: 80,
			Protocol: packet.UDPProtocol, TTL: 64, NetworkOffset: 14, TransportOffset: 34, End: 42, IPChecksum: 0xb613},
	},
	{
		name: "padding behind ICMP, which its checksum does not cover",
		frame: link + `08 00
			45 00 00 1c 00 01 40 00 40 01 b6 23 c0 a8 01 fe c0 a8 01 6e
			08 00 e5 ca 12 34 00 01
			a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5`,
		want: packet.Packet{Source: source, Destination: destination,
			Protocol: packet.ICMPProtocol, TTL: 64, NetworkOffset: 14, TransportOffset: 34, End: 42, IPChecksum: 0xb623, Checksum: 0xe5ca},
	},
	{
		name: "a VLAN tag",
		frame: link + `81 00 60 07 08 00                                    # priority 3, VLAN 7
			45 00 00 1c 00 01 40 00 40 11 b6 13 c0 a8 01 fe c0 a8 01 6e
			` + udp,
		want: packet.Packet{Source: source, Destination: destination, SourcePort: 40000, DestinationPort: 80,
			Protocol: packet.UDPProtocol, TTL: 64, VLAN: true, NetworkOffset: 18, TransportOffset: 38, End: 46, IPChecksum: 0xb613},
	},
	{
		name: "QinQ",
		frame: link + `88 a8 00 64 81 00 00 07 08 00                        # VLAN 100 of a provider, VLAN 7
			45 00 00 1c 00 01 40 00 40 11 b6 13 c0 a8 01 fe c0 a8 01 6e
			` + udp,
		want: packet.Packet{Source: source, Destination: destination, SourcePort: 40000, DestinationPort: 80,
			Protocol: packet.UDPProtocol, TTL: 64, VLAN: true, NetworkOffset: 22, TransportOffset: 42, End: 50, IPChecksum: 0xb613},
	},
	{
		name: "TTL 0, which is for the forwarder to refuse",
		frame: link + `08 00
			45 00 00 1c 00 01 40 00 00 11 f6 13 c0 a8 01 fe c0 a8 01 6e
			` + udp,
		want: packet.Packet{Source: source, Destination: destination, SourcePort: 40000, DestinationPort: 80,
			Protocol: packet.UDPProtocol, NetworkOffset: 14, TransportOffset: 34, End: 42, IPChecksum: 0xf613},
	},
	{
		name: "source and destination the same (LAND), from a class E network",
		frame: link + `08 00
			45 00 00 1c 00 01 40 00 40 11 5a cd f0 00 00 01 f0 00 00 01 # 240.0.0.1
			` + udp,
		want: packet.Packet{Source: 0xf0000001, Destination: 0xf0000001, SourcePort: 40000, DestinationPort: 80,
			Protocol: packet.UDPProtocol, TTL: 64, NetworkOffset: 14, TransportOffset: 34, End: 42, IPChecksum: 0x5acd},
	},
	{
		name: "the reserved (evil) flag, RFC 3514",
		frame: link + `08 00
			45 00 00 1c 00 01 80 00 40 11 76 13 c0 a8 01 fe c0 a8 01 6e
			` + udp,
		want: packet.Packet{Source: source, Destination: destination, SourcePort: 40000, DestinationPort: 80,
			Protocol: packet.UDPProtocol, TTL: 64, NetworkOffset: 14, TransportOffset: 34, End: 42, IPChecksum: 0x7613},
	},
}

// malformed are frames that Parse must refuse, with the reason.
var malformed = []struct {
	name  string
	frame string
	want  packet.Status
}{
	{"nothing", ``, packet.Short},
	{"a runt of 13 bytes", link + `08`, packet.Short},
	{"a VLAN tag cut off", link + `81 00 00 07 08`, packet.Short},
	{"a second VLAN tag cut off", link + `88 a8 00 07 81 00 00 07 08`, packet.Short},
	{"an Ethernet header alone", link + `08 00`, packet.Short},
	{"an IP header cut off", link + `08 00
		45 00 00 1c 00 01 40 00 40 11 b6 13 c0 a8 01 fe c0 a8 01`, packet.Short},

	{"IPv6", link + `86 dd 60 00 00 00 00 00 3b 40`, packet.NotIPv4},
	{"ARP", link + `08 06
		00 01 08 00 06 04 00 01 02 00 00 00 00 01 c0 a8 01 fe 00 00 00 00 00 00 c0 a8 01 6e`, packet.NotIPv4},
	{"an 802.3 length and LLC", link + `00 26 42 42 03 00 00 00 00 00`, packet.NotIPv4},
	{"three VLAN tags", link + `88 a8 00 01 88 a8 00 02 81 00 00 03 08 00
		45 00 00 1c 00 01 40 00 40 11 b6 13 c0 a8 01 fe c0 a8 01 6e ` + udp, packet.NotIPv4},
	{"VLAN tags without end", link + `81 00 00 01 81 00 00 02 81 00 00 03 81 00 00 04 81 00`, packet.NotIPv4},

	{"version 6 behind IPv4's EtherType", link + `08 00
		65 00 00 1c 00 01 40 00 40 11 96 13 c0 a8 01 fe c0 a8 01 6e ` + udp, packet.BadVersion},
	{"version 0", link + `08 00
		05 00 00 1c 00 01 40 00 40 11 f6 13 c0 a8 01 fe c0 a8 01 6e ` + udp, packet.BadVersion},

	{"a header of 16 bytes", link + `08 00
		44 00 00 1c 00 01 40 00 40 11 79 2a c0 a8 01 fe c0 a8 01 6e ` + udp, packet.BadHeaderLength},
	{"a header of no bytes", link + `08 00
		40 00 00 1c 00 01 40 00 40 11 ff ff c0 a8 01 fe c0 a8 01 6e ` + udp, packet.BadHeaderLength},
	{"neither header nor datagram has a length", link + `08 00
		40 00 00 00 00 01 40 00 40 11 ff ff c0 a8 01 fe c0 a8 01 6e ` + udp, packet.BadHeaderLength},
	{"neither header nor datagram of a fragment has a length", link + `08 00
		40 00 00 00 00 01 00 01 40 11 ff ff c0 a8 01 fe c0 a8 01 6e ` + udp, packet.BadHeaderLength},

	{"a datagram of no bytes", link + `08 00
		45 00 00 00 00 01 40 00 40 11 b6 2f c0 a8 01 fe c0 a8 01 6e ` + udp, packet.BadTotalLength},
	{"a datagram one byte shorter than its header", link + `08 00
		45 00 00 13 00 01 40 00 40 11 b6 1c c0 a8 01 fe c0 a8 01 6e ` + udp, packet.BadTotalLength},
	{"a datagram one byte shorter than its header with options", link + `08 00
		46 00 00 17 00 01 40 00 40 11 21 14 c0 a8 01 fe c0 a8 01 6e 94 04 00 00 ` + udp, packet.BadTotalLength},
	{"a datagram one byte longer than the frame", link + `08 00
		45 00 00 1d 00 01 40 00 40 11 b6 12 c0 a8 01 fe c0 a8 01 6e ` + udp, packet.BadTotalLength},
	{"a header longer than the frame", link + `08 00
		4f 00 00 3c 00 01 40 00 40 11 0f 5b c0 a8 01 fe c0 a8 01 6e ` + udp, packet.BadTotalLength},

	{"a wrong header checksum", link + `08 00
		45 00 00 1c 00 01 40 00 40 11 12 34 c0 a8 01 fe c0 a8 01 6e ` + udp, packet.BadHeaderChecksum},
	{"a header checksum of zero", link + `08 00
		45 00 00 1c 00 01 40 00 40 11 00 00 c0 a8 01 fe c0 a8 01 6e ` + udp, packet.BadHeaderChecksum},
	{"a header checksum that leaves out the options", link + `08 00
		46 00 00 20 00 01 40 00 40 11 b5 0f c0 a8 01 fe c0 a8 01 6e 94 04 00 00 ` + udp, packet.BadHeaderChecksum},

	{"from 0.0.0.0", link + `08 00
		45 00 00 1c 00 01 40 00 40 11 78 ba 00 00 00 00 c0 a8 01 6e ` + udp, packet.BadAddress},
	{"from 0.1.2.3", link + `08 00
		45 00 00 1c 00 01 40 00 40 11 76 b6 00 01 02 03 c0 a8 01 6e ` + udp, packet.BadAddress},
	{"from 127.0.0.1", link + `08 00
		45 00 00 1c 00 01 40 00 40 11 f9 b8 7f 00 00 01 c0 a8 01 6e ` + udp, packet.BadAddress},
	{"from the multicast group 224.0.0.1", link + `08 00
		45 00 00 1c 00 01 40 00 40 11 98 b8 e0 00 00 01 c0 a8 01 6e ` + udp, packet.BadAddress},
	{"from the multicast group 239.255.255.255", link + `08 00
		45 00 00 1c 00 01 40 00 40 11 88 ba ef ff ff ff c0 a8 01 6e ` + udp, packet.BadAddress},
	{"from 255.255.255.255", link + `08 00
		45 00 00 1c 00 01 40 00 40 11 78 ba ff ff ff ff c0 a8 01 6e ` + udp, packet.BadAddress},

	{"a first fragment", link + `08 00
		45 00 00 1c 00 01 20 00 40 11 d6 13 c0 a8 01 fe c0 a8 01 6e ` + udp, packet.Fragment},
	{"a first fragment without the whole of its transport header, RFC 3128", link + `08 00
		45 00 00 18 00 01 20 00 40 06 d6 22 c0 a8 01 fe c0 a8 01 6e 9c 40 00 50`, packet.Fragment},
	{"a middle fragment", link + `08 00
		45 00 00 1c 00 01 20 01 40 11 d6 12 c0 a8 01 fe c0 a8 01 6e ` + udp, packet.Fragment},
	{"a last fragment", link + `08 00
		45 00 00 1c 00 01 00 01 40 11 f6 12 c0 a8 01 fe c0 a8 01 6e ` + udp, packet.Fragment},
	{"a last fragment past 65,535 bytes", link + `08 00
		45 00 00 1c 00 01 1f ff 40 11 d6 14 c0 a8 01 fe c0 a8 01 6e ` + udp, packet.Fragment},
	{"a fragment with DF", link + `08 00
		45 00 00 1c 00 01 60 00 40 11 96 13 c0 a8 01 fe c0 a8 01 6e ` + udp, packet.Fragment},
	{"a fragment without payload", link + `08 00
		45 00 00 14 00 01 20 00 40 11 d6 1b c0 a8 01 fe c0 a8 01 6e`, packet.Fragment},

	{"no transport header", link + `08 00
		45 00 00 14 00 01 40 00 40 06 b6 26 c0 a8 01 fe c0 a8 01 6e`, packet.BadTransportLength},
	{"19 bytes of TCP", link + `08 00
		45 00 00 27 00 01 40 00 40 06 b6 13 c0 a8 01 fe c0 a8 01 6e
		9c 40 00 50 00 00 03 e8 00 00 00 00 50 02 fa f0 00 00 00 00`, packet.BadTransportLength},
	{"a TCP header of 16 bytes", link + `08 00
		45 00 00 28 00 01 40 00 40 06 b6 12 c0 a8 01 fe c0 a8 01 6e
		9c 40 00 50 00 00 03 e8 00 00 00 00 40 02 fa f0 00 00 00 00`, packet.BadTransportLength},
	{"a TCP header past the datagram's end", link + `08 00
		45 00 00 28 00 01 40 00 40 06 b6 12 c0 a8 01 fe c0 a8 01 6e
		9c 40 00 50 00 00 03 e8 00 00 00 00 60 02 fa f0 00 00 00 00
		02 04 05 b4                                                    # options in the padding`, packet.BadTransportLength},
	{"7 bytes of UDP", link + `08 00
		45 00 00 1b 00 01 40 00 40 11 b6 14 c0 a8 01 fe c0 a8 01 6e ` + udp, packet.BadTransportLength},
	{"a UDP length of 7", link + `08 00
		45 00 00 1c 00 01 40 00 40 11 b6 13 c0 a8 01 fe c0 a8 01 6e
		9c 40 00 50 00 07 00 00`, packet.BadTransportLength},
	{"a UDP length of 0", link + `08 00
		45 00 00 1c 00 01 40 00 40 11 b6 13 c0 a8 01 fe c0 a8 01 6e
		9c 40 00 50 00 00 00 00`, packet.BadTransportLength},
	{"UDP past the datagram's end", link + `08 00
		45 00 00 1c 00 01 40 00 40 11 b6 13 c0 a8 01 fe c0 a8 01 6e
		9c 40 00 50 00 09 00 00 61                                     # its last byte is padding`, packet.BadTransportLength},
	{"7 bytes of ICMP", link + `08 00
		45 00 00 1b 00 01 40 00 40 01 b6 24 c0 a8 01 fe c0 a8 01 6e
		08 00 f7 ff 00 00 00`, packet.BadTransportLength},

	{"ESP", link + `08 00
		45 00 00 1c 00 01 40 00 40 32 b5 f2 c0 a8 01 fe c0 a8 01 6e 00 00 00 01 00 00 00 01`, packet.UnknownProtocol},
	{"SCTP", link + `08 00
		45 00 00 20 00 01 40 00 40 84 b5 9c c0 a8 01 fe c0 a8 01 6e 9c 40 00 50 00 00 00 00 00 00 00 00`, packet.UnknownProtocol},
	{"IP in IP", link + `08 00
		45 00 00 30 00 01 40 00 40 04 b6 0c c0 a8 01 fe c0 a8 01 6e
		45 00 00 1c 00 01 40 00 40 11 b6 13 c0 a8 01 fe c0 a8 01 6e ` + udp, packet.UnknownProtocol},
	{"protocol 0 without a payload", link + `08 00
		45 00 00 14 00 01 40 00 40 00 b6 2c c0 a8 01 fe c0 a8 01 6e`, packet.UnknownProtocol},

	{"a wrong ICMP checksum", link + `08 00
		45 00 00 1c 00 01 40 00 40 01 b6 23 c0 a8 01 fe c0 a8 01 6e
		08 00 12 34 12 34 00 01`, packet.BadICMPChecksum},
	{"an ICMP checksum that covers padding", link + `08 00
		45 00 00 1c 00 01 40 00 40 01 b6 23 c0 a8 01 fe c0 a8 01 6e
		08 00 e5 c9 12 34 00 01 00 01`, packet.BadICMPChecksum},
}

func TestParseFindsEveryHeader(t *testing.T) {
	for _, tt := range wellFormed {
		t.Run(tt.name, func(t *testing.T) {
			// What an earlier frame left must not show.
			got := packet.Packet{TCPFlags: 0xff, VLAN: true, SourcePort: 1, DestinationPort: 1}
			if status := got.Parse(unhex(t, tt.frame)); status != packet.OK {
				t.Fatalf("status %d, want OK", status)
			}
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
			if got, want := got.Len(), int(tt.want.End)-int(tt.want.NetworkOffset); got != want {
				t.Errorf("Len = %d, want %d", got, want)
			}
		})
	}
}

func TestParseNamesWhatIsWrong(t *testing.T) {
	for _, tt := range malformed {
		t.Run(tt.name, func(t *testing.T) {
			var p packet.Packet
			if got := p.Parse(unhex(t, tt.frame)); got != tt.want {
				t.Errorf("status %d, want %d", got, tt.want)
			}
		})
	}
}

// A frame cut short anywhere may be padding that is gone, but never more.
func TestParseAcceptsNoFrameThatIsCutOff(t *testing.T) {
	for _, tt := range wellFormed {
		frame := unhex(t, tt.frame)
		for n := range len(frame) {
			var p packet.Packet
			if status := p.Parse(frame[:n:n]); (status == packet.OK) != (n >= int(tt.want.End)) {
				t.Errorf("%s: status %d with %d bytes of %d", tt.name, status, n, tt.want.End)
			}
		}
	}
}

func TestParseTakesTheLargestDatagram(t *testing.T) {
	frame := append(unhex(t, link+`08 00
		45 00 ff ff 00 01 40 00 40 11 b6 2f c0 a8 01 fe c0 a8 01 6e
		9c 40 00 50 ff eb 00 00`), make([]byte, 65535-28)...)
	var p packet.Packet
	if status := p.Parse(frame); status != packet.OK || p.Len() != 65535 || p.End != 65535+14 {
		t.Errorf("status %d, %+v", status, p)
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	for _, tt := range wellFormed {
		frame := unhex(t, tt.frame)
		var p packet.Packet
		if n := testing.AllocsPerRun(10, func() { p.Parse(frame) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
	for _, tt := range malformed {
		frame := unhex(t, tt.frame)
		var p packet.Packet
		if n := testing.AllocsPerRun(10, func() { p.Parse(frame) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, tt := range wellFormed {
		b.Run(tt.name, func(b *testing.B) {
			frame := unhex(b, tt.frame)
			b.ReportAllocs()
			var p packet.Packet
			for b.Loop() {
				p.Parse(frame)
			}
		})
	}
}
