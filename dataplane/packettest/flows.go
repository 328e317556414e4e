package packettest

import (
	"lvsnat/checksum"
	"lvsnat/dataplane/packet"
)

// Flows is a receiver that never runs dry: its frames are copies of one, with
// client addresses that follow on each other or come in an order that no cache
// foresees. It writes them into few slots, as the kernel does with a ring, so
// that what is measured behind it is not the fetching of frames from memory. It
// is for benchmarks; it does not allocate.
type Flows struct {
	slots  [flowSlots]flowSlot
	frames [flowSlots]packet.Frame
	client uint32 // source address of the template
	sum    uint16 // checksums of the template
	tcpSum uint16
	count  uint32
	random bool
	next   uint32 // of the sequence, or the generator's state
	lent   int    // slots whose frames were lent since Refill
	stats  packet.ReceiverStats
}

// flowSlots is how many frames Flows writes at once, as many as a small ring has.
const flowSlots = 512

// A flowSlot leaves the room that the kernel leaves before a frame.
type flowSlot [128]byte

// NewFlows returns a receiver of frames like this one, a TCP segment of at most
// 100 bytes without a VLAN tag, from count client addresses, the first of which
// is the frame's own. With random they come in an order without a pattern, each
// with the same probability.
func NewFlows(frame packet.Frame, count int, random bool) *Flows {
	f := &Flows{count: uint32(count), random: random}
	ip := packet.IPv4(frame.Data[packet.EthernetLen:])
	f.client, f.sum = ip.Source(), ip.Checksum()
	f.tcpSum = packet.TCP(ip[packet.IPv4Len:]).Checksum()
	for i := range f.slots {
		n := copy(f.slots[i][16:], frame.Data)
		f.frames[i] = packet.Frame{Data: f.slots[i][16 : 16+n : 16+n], Offload: frame.Offload}
	}
	f.Refill()
	return f
}

// Refill writes the next frames into all slots and returns how many there are.
// Receive does so by itself when all have been lent. A benchmark that does not
// want to measure the writing calls Refill after that many frames, while its
// clock stands.
func (f *Flows) Refill() int {
	for i := range f.frames {
		f.write(f.frames[i].Data, f.draw())
	}
	f.lent = 0
	return flowSlots
}

// Receive lends at most len(frames) frames and returns their number, at least 1.
func (f *Flows) Receive(frames []packet.Frame) int {
	if f.lent == flowSlots {
		f.Refill()
	}
	n := copy(frames, f.frames[f.lent:])
	f.lent += n
	f.stats.Received += uint64(n)
	return n
}

// draw returns the number of the next frame's client.
func (f *Flows) draw() uint32 {
	if !f.random {
		n := f.next
		if f.next++; f.next == f.count {
			f.next = 0
		}
		return n
	}
	// A linear congruential generator (Numerical Recipes), whose upper bits
	// are scaled to the number of flows.
	f.next = f.next*1664525 + 1013904223
	return uint32(uint64(f.next) * uint64(f.count) >> 32)
}

func (f *Flows) write(data []byte, client uint32) {
	addr := f.client + client
	delta := checksum.Delta32(f.client, addr)
	ip := packet.IPv4(data[packet.EthernetLen:])
	ip.SetSource(addr)
	ip.SetChecksum(delta.Apply(f.sum))
	packet.TCP(ip[packet.IPv4Len:]).SetChecksum(delta.Apply(f.tcpSum))
}

// Release takes back all frames.
func (f *Flows) Release() {}

// Crowded says no, although there is always more.
func (f *Flows) Crowded() bool { return false }

// Stats reads the counts so far.
func (f *Flows) Stats() packet.ReceiverStats { return f.stats }
