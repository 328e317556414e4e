package packettest

import "lvsnat/dataplane/packet"

// A Repeater is a receiver that never runs dry: it lends the same frames again
// and again, without copying or allocating. It is for benchmarks and for tests
// that count allocations.
type Repeater struct {
	frames []packet.Frame
	next   int
	stats  packet.ReceiverStats
}

// NewRepeater returns a receiver of these frames, which it does not copy. At
// least one is needed.
func NewRepeater(frames ...packet.Frame) *Repeater { return &Repeater{frames: frames} }

// Receive lends len(frames) frames and returns their number.
func (r *Repeater) Receive(frames []packet.Frame) int {
	for i := range frames {
		frames[i] = r.frames[r.next]
		r.next++
		if r.next == len(r.frames) {
			r.next = 0
		}
	}
	r.stats.Received += uint64(len(frames))
	return len(frames)
}

// Release takes back all frames; they stay as they are.
func (r *Repeater) Release() {}

// Crowded says no, although there is always more.
func (r *Repeater) Crowded() bool { return false }

// Stats reads the counts so far.
func (r *Repeater) Stats() packet.ReceiverStats { return r.stats }

// A Discarder is a sender that copies heads as a ring does, counts frames, and
// forgets them, without allocating. The zero value is ready to use.
type Discarder struct {
	heads     [discardSlots][packet.HeadLen]byte
	next      uint32
	committed uint64
	stats     packet.SenderStats
}

// discardSlots is a power of two, and so many that heads are not all in the
// first-level cache, as in a ring.
const discardSlots = 512

// Reserve returns a copy of frame's head.
func (d *Discarder) Reserve(frame *packet.Frame) []byte {
	head := d.heads[d.next%discardSlots][:]
	d.next++
	return head[:copy(head, frame.Data)]
}

// Commit counts the frame.
func (d *Discarder) Commit() { d.committed++ }

// Flush counts all committed frames as sent.
func (d *Discarder) Flush() {
	d.stats.Sent += d.committed
	d.committed = 0
}

// Stats reads the counts so far.
func (d *Discarder) Stats() packet.SenderStats { return d.stats }
