package dataplane

import (
	"sync/atomic"

	"lvsnat/conntrack"
	"lvsnat/dataplane/packet"
)

// inboxSize is how many frames may be on their way from one worker to another;
// a power of two.
const inboxSize = 256

// An inbox brings frames from one worker to one other: a ring with a single
// writer and a single reader.
type inbox struct {
	slots [inboxSize]handedFrame
	taken atomic.Uint32 // slots read and free again; written by the reader
	given atomic.Uint32 // slots filled; written by the writer
}

type handedFrame struct {
	data    []byte // grown to what has come by, then used again
	offload packet.Offload
	port    int
}

// connectInboxes gives each worker an inbox from every other one.
func connectInboxes(workers []*worker) {
	for _, from := range workers {
		from.outboxes = make([]*inbox, len(workers))
	}
	for _, to := range workers {
		to.inboxes = make([]*inbox, 0, len(workers)-1)
		for _, from := range workers {
			if from == to {
				continue
			}
			box := new(inbox)
			from.outboxes[to.id] = box
			to.inboxes = append(to.inboxes, box)
		}
	}
}

// handOver gives a frame that arrived by port to the worker that owns it.
func (w *worker) handOver(f *packet.Frame, port, owner int) Verdict {
	box := w.outboxes[owner]
	given := box.given.Load()
	if given-box.taken.Load() == inboxSize {
		return HandoverFull
	}
	slot := &box.slots[given%inboxSize]
	slot.data = append(slot.data[:0], f.Data...)
	slot.offload, slot.port = f.Offload, port
	box.given.Store(given + 1)
	if to := w.plane.workers[owner]; to.sleeping.Load() {
		to.wake()
	}
	return HandedOver
}

// handedOver reports whether a frame from another worker waits.
func (w *worker) handedOver() bool {
	for _, box := range w.inboxes {
		if box.given.Load() != box.taken.Load() {
			return true
		}
	}
	return false
}

// takeOver carries what another worker has handed over and returns how many
// frames that were. The worker that gave them counted them as handed over; here
// they get their own verdict.
func (w *worker) takeOver(box *inbox) int {
	taken := box.taken.Load()
	n := min(int(box.given.Load()-taken), batchSize)
	if n == 0 {
		return 0
	}
	for i := range n {
		slot := &box.slots[(taken+uint32(i))%inboxSize]
		w.frames[i] = packet.Frame{Data: slot.data, Offload: slot.offload}
	}
	w.admission.received(n, false)
	w.stage(n, conntrack.Request)
	for i := range n {
		slot := &box.slots[(taken+uint32(i))%inboxSize]
		w.verdicts[w.handle(i, slot.port, conntrack.Request)]++
	}
	w.flush()
	box.taken.Store(taken + uint32(n))
	return n
}
