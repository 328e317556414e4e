package packettest

import (
	"bytes"
	"sync"
	"testing"

	"lvsnat/dataplane/packet"
)

// A Receiver stands in for a receive ring that is fed by the test. It fails
// the test when lent memory was written, and overwrites it on Release, so that
// whoever still reads it is found out.
//
// Inject and Pending may be called from any goroutine, the other methods are
// for the one worker that owns the receiver.
type Receiver struct {
	t testing.TB

	mu      sync.Mutex
	queue   []packet.Frame       // guarded by mu, as are all below: injected, not received yet
	lent    []loan               // received, not released yet
	waiters []*Waiter            // to be woken by Inject
	stats   packet.ReceiverStats // what Stats returns
}

// A loan is a frame that was lent and what it was when it was lent.
type loan struct {
	data     []byte
	original []byte
}

// poison is what released memory is overwritten with.
const poison = 0xdb

// NewReceiver returns an empty receiver that reports misuse to t.
func NewReceiver(t testing.TB) *Receiver { return &Receiver{t: t} }

// Inject puts copies of frames at the end of the queue, as if they had just
// arrived.
func (r *Receiver) Inject(frames ...packet.Frame) {
	r.mu.Lock()
	for _, f := range frames {
		r.queue = append(r.queue, packet.Frame{Data: bytes.Clone(f.Data), Offload: f.Offload})
	}
	waiters := r.waiters
	r.mu.Unlock()
	for _, w := range waiters {
		w.look()
	}
}

// Lose counts frames as if the ring had had no room for them.
func (r *Receiver) Lose(frames int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Dropped += uint64(frames)
}

// Pending is the number of frames that were injected and not received yet.
func (r *Receiver) Pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue)
}

// Receive lends the next frames, at most len(frames), and returns their
// number. What it lends is read-only and valid until Release.
func (r *Receiver) Receive(frames []packet.Frame) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := copy(frames, r.queue)
	for _, f := range r.queue[:n] {
		r.lent = append(r.lent, loan{data: f.Data, original: bytes.Clone(f.Data)})
	}
	r.queue = r.queue[n:]
	r.stats.Received += uint64(n)
	return n
}

// Release takes back all frames lent so far.
func (r *Receiver) Release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lent {
		if i := firstDifference(l.data, l.original); i >= 0 {
			r.t.Errorf("received memory was written: byte %d of a frame of %d bytes is %#02x, was %#02x; frame: %s",
				i, len(l.data), l.data[i], l.original[i], Describe(packet.Frame{Data: l.original}))
		}
		for i := range l.data {
			l.data[i] = poison
		}
	}
	r.lent = nil
}

// Crowded reports whether more than 512 frames are pending or lent: half of the
// director's rings.
func (r *Receiver) Crowded() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue)+len(r.lent) > 512
}

// Stats reads the counts so far.
func (r *Receiver) Stats() packet.ReceiverStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

func (r *Receiver) wakeOnInject(w *Waiter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiters = append(r.waiters, w)
}

// firstDifference is the index of the first byte that differs in slices of the
// same length, or -1.
func firstDifference(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}
