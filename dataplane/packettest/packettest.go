// Package packettest is for testing code that receives and sends frames: it
// builds frames, checks frames, and stands in for NICs, clock and sleep.
//
// A test tells a story with it. A frame is built by a sentence, put into a
// [Receiver], and what comes out of a [Sender] is checked by another sentence:
//
//	receiver.Inject(packettest.TCP("192.168.1.254:40000", "192.168.1.110:80", packettest.SYN, packettest.TTL(64)))
//	...
//	packettest.Check(t, packettest.Only(t, sender.Sent()),
//		packettest.Source("192.168.1.254:40000"), packettest.Destination("10.1.1.2:8000"),
//		packettest.TTL(63), packettest.ChecksumsRight())
//
// What a frame can be built with is an [Option], what it can be checked for is
// a [Checker], and a [Fact] such as TTL(64) is both.
//
// Receiver and Sender hold their user to the contract: lent memory is
// compared with what it was and overwritten when it is released, and only the
// head of a reserved frame may be written. [Repeater] and [Discarder] do
// without all that and without allocation, for benchmarks.
//
// Builders panic on an argument that cannot be meant, an address that does not
// parse for example, as [regexp.MustCompile] does: it is a fault of the test.
package packettest

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"lvsnat/dataplane/packet"
)

// TCP flags, for TCP and Flags.
const (
	FIN = packet.FIN
	SYN = packet.SYN
	RST = packet.RST
	PSH = packet.PSH
	ACK = packet.ACK
	URG = packet.URG
)

// The MACs of a frame that is built without the option MACs. Both are locally
// administered unicast addresses.
var (
	DefaultSource      = packet.MAC{0x02, 0, 0, 0, 0, 0x01}
	DefaultDestination = packet.MAC{0x02, 0, 0, 0, 0, 0x02}
)

// Broadcast is the MAC of all hosts on a link.
var Broadcast = packet.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Addr is the IPv4 address written in s, in host order.
func Addr(s string) uint32 {
	a := netip.MustParseAddr(s)
	if !a.Is4() {
		panic(fmt.Sprintf("packettest: %s is not an IPv4 address", s))
	}
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// MAC is the Ethernet address written in s.
func MAC(s string) packet.MAC {
	m, err := net.ParseMAC(s)
	if err != nil || len(m) != 6 {
		panic(fmt.Sprintf("packettest: %q is not an Ethernet address", s))
	}
	return packet.MAC(m)
}

// Pattern is n bytes of payload in which no two neighbouring 16-bit words are
// the same, so that a moved or doubled piece shows.
func Pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// Only returns the one frame in frames and ends the test if there is none, or
// more than one.
func Only(t testing.TB, frames []packet.Frame) packet.Frame {
	t.Helper()
	if len(frames) != 1 {
		for _, f := range frames {
			t.Logf("frame: %s", Describe(f))
		}
		t.Fatalf("%d frames, want exactly one", len(frames))
	}
	return frames[0]
}

// formatAddr writes an address in host order as a dotted quad.
func formatAddr(a uint32) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], a)
	return netip.AddrFrom4(b).String()
}

// formatMAC writes a MAC with colons.
func formatMAC(m packet.MAC) string { return net.HardwareAddr(m[:]).String() }
