package packettest

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/gopacket/layers"

	"lvsnat/dataplane/packet"
)

const (
	client  = "192.168.1.254:40000"
	virtual = "192.168.1.110:80"
)

// unhex reads hex with spaces and with comments that begin with #.
func unhex(t *testing.T, s string) []byte {
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

func TestBuiltFramesAreByteForByteWhatTheStandardsSay(t *testing.T) {
	tests := []struct {
		name  string
		frame packet.Frame
		want  string
	}{
		{
			name:  "a SYN",
			frame: TCP(client, virtual, SYN),
			want: `
				02 00 00 00 00 02 02 00 00 00 00 01 08 00        # Ethernet
				45 00 00 28 00 01 40 00 40 06 b6 12              # IPv4, 40 bytes, ID 1, DF, TTL 64, TCP
				c0 a8 01 fe c0 a8 01 6e                          # 192.168.1.254 to 192.168.1.110
				9c 40 00 50 00 00 03 e8 00 00 00 00              # port 40000 to 80, sequence 1000
				50 02 fa f0 8f bc 00 00                          # 20 bytes, SYN, window 64240`,
		},
		{
			name:  "a UDP datagram in a VLAN of a provider's VLAN",
			frame: UDP(client, virtual, VLAN(100, 7), Payload([]byte("hi")), Padding(2)),
			want: `
				02 00 00 00 00 02 02 00 00 00 00 01              # Ethernet
				88 a8 00 64 81 00 00 07 08 00                    # outer VLAN 100, inner VLAN 7
				45 00 00 1e 00 01 40 00 40 11 b6 11
				c0 a8 01 fe c0 a8 01 6e
				9c 40 00 50 00 0a 76 23 68 69                    # 10 bytes, "hi"
				a5 a5                                            # padding`,
		},
		{
			name:  "a SYN whose checksum is left to the device",
			frame: TCP(client, virtual, SYN, PartialChecksum()),
			want: `
				02 00 00 00 00 02 02 00 00 00 00 01 08 00
				45 00 00 28 00 01 40 00 40 06 b6 12
				c0 a8 01 fe c0 a8 01 6e
				9c 40 00 50 00 00 03 e8 00 00 00 00
				50 02 fa f0 84 d7 00 00                          # c0a8+01fe+c0a8+016e+0006+0014`,
		},
		{
			name:  "a UDP datagram whose checksum comes out as zero",
			frame: UDP("0.0.0.1:65500", "0.0.0.0:1"),
			want: `
				02 00 00 00 00 02 02 00 00 00 00 01 08 00
				45 00 00 1c 00 01 40 00 40 11 3a d0
				00 00 00 01 00 00 00 00
				ff dc 00 01 00 08 ff ff                          # sent as 0xffff, RFC 768`,
		},
		{
			name:  "an announcement",
			frame: ARPRequest(DefaultSource, "192.168.1.110", "192.168.1.110"),
			want: `
				ff ff ff ff ff ff 02 00 00 00 00 01 08 06
				00 01 08 00 06 04 00 01                          # Ethernet, IPv4, request
				02 00 00 00 00 01 c0 a8 01 6e
				00 00 00 00 00 00 c0 a8 01 6e`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if want := unhex(t, tt.want); !bytes.Equal(tt.frame.Data, want) {
				t.Errorf("got  % x\nwant % x", tt.frame.Data, want)
			}
		})
	}
}

func TestEveryFactThatAFrameIsBuiltWithIsFoundInIt(t *testing.T) {
	mac := MAC("02:00:00:00:aa:01")
	options := []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}} // router alert, RFC 2113
	mss := []layers.TCPOption{{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 180}}}
	common := []Fact{
		MACs(mac, DefaultSource), VLAN(), VLAN(5), VLAN(5, 6), TTL(1), TOS(0x28), ID(77),
		DontFragment(true), DontFragment(false), IPOptions(options...), Payload(Pattern(1001)), Padding(6),
	}
	builders := map[string]struct {
		build func(...Option) packet.Frame
		facts []Fact
	}{
		"TCP": {
			func(o ...Option) packet.Frame { return TCP(client, virtual, ACK, o...) },
			[]Fact{Sequence(5), Acknowledgment(6), TCPOptions(mss...), PartialChecksum(), GSO(1448)},
		},
		"UDP": {
			func(o ...Option) packet.Frame { return UDP(client, virtual, o...) },
			[]Fact{PartialChecksum(), GSO(1400), NoChecksum()},
		},
		"echo": {
			func(o ...Option) packet.Frame { return Echo("192.0.2.1", "192.0.2.2", 1, 2, o...) },
			nil,
		},
	}
	for name, b := range builders {
		for i, fact := range append(common, b.facts...) {
			frame := b.build(fact)
			Check(t, frame, fact)
			if t.Failed() {
				t.Fatalf("fact %d of %s is not found", i, name)
			}
		}
		Check(t, b.build(), ChecksumsRight())
	}
}
