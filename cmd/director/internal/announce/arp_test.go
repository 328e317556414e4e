package announce

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"lvsnat/dataplane/packet"
)

// A request as tcpdump shows it: who has 192.0.2.10, tell 192.0.2.99.
var requestFrame = unhex(
	"ffffffffffff 020000000009 0806" + // Ethernet: broadcast, sender, ARP
		"0001 0800 06 04 0001" + // Ethernet, IPv4, lengths, request
		"020000000009 c0000263" + // sender
		"000000000000 c000020a") // target

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func TestARequestIsReadAndWritten(t *testing.T) {
	want := message{
		operation: request,
		sender:    party{packet.MAC{2, 0, 0, 0, 0, 9}, netip.MustParseAddr("192.0.2.99")},
		target:    party{addr: netip.MustParseAddr("192.0.2.10")},
	}
	got, ok := parse(requestFrame)
	if !ok || got != want {
		t.Errorf("read as %+v, want %+v", got, want)
	}
	if b := want.marshal(broadcast); !bytes.Equal(b, requestFrame) {
		t.Errorf("written as %x, want %x", b, requestFrame)
	}
}

func TestOtherFramesAreNotRead(t *testing.T) {
	for _, tt := range []struct {
		name string
		at   int
		to   byte
	}{
		{"another EtherType", 13, 0},
		{"another hardware", 15, 6},
		{"another protocol", 17, 6},
		{"another hardware address length", 18, 8},
		{"another protocol address length", 19, 16},
	} {
		t.Run(tt.name, func(t *testing.T) {
			frame := bytes.Clone(requestFrame)
			frame[tt.at] = tt.to
			if _, ok := parse(frame); ok {
				t.Error("read")
			}
		})
	}
	for n := range requestFrame {
		if _, ok := parse(requestFrame[:n]); ok {
			t.Errorf("%d bytes are read", n)
		}
	}
}

// What is read says everything that counts: written again, the frame is the
// same up to its padding.
func FuzzParse(f *testing.F) {
	f.Add(requestFrame)
	f.Add(append(bytes.Clone(requestFrame), make([]byte, 18)...))
	f.Add(requestFrame[:30])
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, ok := parse(frame)
		if !ok {
			return
		}
		again := m.marshal(packet.Ethernet(frame).Destination())
		copy(again[6:12], frame[6:12]) // the Ethernet source need not be the ARP sender
		if !bytes.Equal(again, frame[:frameLen]) {
			t.Errorf("%x becomes %x", frame[:frameLen], again)
		}
	})
}
