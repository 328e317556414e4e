package dataplane

import (
	"time"

	"lvsnat/dataplane/packet"
)

// A Receiver hands out the frames that one NIC received for one worker. It is
// used by that worker alone.
type Receiver interface {
	// Receive lends the next frames, at most len(frames), and returns their
	// number; 0 when there are none. It never blocks. What it lends is
	// read-only and valid until Release.
	Receive(frames []packet.Frame) int

	// Release takes back all frames lent so far.
	Release()

	// Crowded reports whether more than half of the room for frames is taken,
	// those that are lent included.
	Crowded() bool

	// Stats reads the counts since the receiver was opened.
	Stats() packet.ReceiverStats
}

// A Sender queues frames for one NIC. It is used by one worker alone.
type Sender interface {
	// Reserve queues frame and returns its beginning, at least the first
	// packet.HeadLen bytes (or all of a shorter frame), as a copy to be rewritten.
	// The rest is taken from frame itself, which must stay as it is until
	// Flush. It returns nil when there is no room or the frame is larger than
	// the NIC's MTU allows.
	Reserve(frame *packet.Frame) []byte

	// Commit lets the frame reserved last go with the next Flush. A frame that
	// is reserved but not committed is forgotten.
	Commit()

	// Flush puts all committed frames on the wire in the order of their
	// reservation. It never blocks: what the NIC does not take is lost and
	// counted.
	Flush()

	// Stats reads the counts since the sender was opened.
	Stats() packet.SenderStats
}

// A Waiter lets an idle worker sleep until there is something to do.
type Waiter interface {
	// Wait returns when a receiver has a frame, when Wake was called since the
	// last Wait returned, or after timeout. A signal or a dead link may end it
	// early.
	Wait(timeout time.Duration)

	// Wake ends the current Wait or the next one. It may be called from any
	// goroutine.
	Wake()
}

// A Port is one NIC as one worker uses it.
type Port struct {
	Receiver Receiver
	Sender   Sender
}
