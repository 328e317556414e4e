package dataplane

import (
	"lvsnat/conntrack"
	"lvsnat/dataplane/packet"
)

const (
	// maxPending is how many frames of one worker may wait for neighbours
	// that are being resolved.
	maxPending = 256

	// maxPendingEach is how many may wait for one of them, so that a flood
	// towards dead addresses leaves room for the others.
	maxPendingEach = 8

	// pendingFrameLen is the longest frame that may wait, in bytes: the
	// largest that a link takes as it is. What is longer, a super-packet,
	// comes in the middle of a transfer and is sent again.
	pendingFrameLen = 9728
)

// pending are frames that are ready but for the next hop's link address.
type pending struct {
	frames []pendingFrame // in the order of arrival
	memory []byte         // pendingFrameLen bytes for each
	free   []int          // unused pieces of memory
	frame  packet.Frame   // the one that is being queued
	sent   uint64
	lost   uint64
}

type pendingFrame struct {
	to      Neighbour
	piece   int
	length  int
	offload packet.Offload
}

func newPending() pending {
	p := pending{
		frames: make([]pendingFrame, 0, maxPending),
		memory: make([]byte, maxPending*pendingFrameLen),
		free:   make([]int, maxPending),
	}
	for i := range p.free {
		p.free[i] = i
	}
	return p
}

// await rewrites a frame and keeps it until its next hop is resolved, unless
// that has failed. One that has failed is asked for anew from time to time.
func (w *worker) await(h *hop, f *packet.Frame, p *packet.Packet, e *conntrack.Entry, direction conntrack.Direction) Verdict {
	q := &w.pending
	// The packet for which a failed neighbour is asked anew waits for the
	// answer. It is a SYN sent again, or a keepalive: its sender would else wait
	// several times as long for its next try, though the neighbour is back.
	if h.state == failed || h.state == askedAgain && h.waiting > 0 {
		return NeighbourFailed
	}
	if len(f.Data) > pendingFrameLen || h.waiting >= maxPendingEach || len(q.free) == 0 {
		return NeighbourQueueFull
	}
	piece := q.free[len(q.free)-1]
	q.free = q.free[:len(q.free)-1]
	out := q.piece(piece)[:len(f.Data)]
	copy(out, f.Data)
	rewrite(out, p, f.Offload.PartialChecksum(), e, direction)
	q.frames = append(q.frames, pendingFrame{h.Neighbour, piece, len(out), f.Offload})
	h.waiting++
	return Queued
}

func (q *pending) piece(i int) []byte {
	return q.memory[i*pendingFrameLen : (i+1)*pendingFrameLen]
}

// sendPending sends what has waited for a hop that is resolved now.
func (w *worker) sendPending(h *hop) {
	if h.waiting == 0 {
		return
	}
	sender := w.ports[h.Port].Sender
	w.takePending(h, func(f *packet.Frame) {
		out := sender.Reserve(f)
		if out == nil {
			w.pending.lost++
			return
		}
		packet.Ethernet(out).SetAddresses(&h.mac, &w.network.links[h.Port].MAC)
		sender.Commit()
		w.pending.sent++
	})
	sender.Flush()
}

// forgetPending drops what has waited for a hop that does not answer.
func (w *worker) forgetPending(h *hop) {
	w.takePending(h, func(*packet.Frame) { w.pending.lost++ })
}

// dropPending drops everything that waits.
func (w *worker) dropPending() {
	for i := range w.hops.list {
		if w.hops.list[i].waiting > 0 {
			w.forgetPending(&w.hops.list[i])
		}
	}
}

// takePending takes the frames for h out of the queue, in their order.
func (w *worker) takePending(h *hop, each func(*packet.Frame)) {
	q := &w.pending
	kept := q.frames[:0]
	for _, f := range q.frames {
		if f.to != h.Neighbour {
			kept = append(kept, f)
			continue
		}
		q.frame = packet.Frame{Data: q.piece(f.piece)[:f.length], Offload: f.offload}
		each(&q.frame)
		q.free = append(q.free, f.piece)
	}
	q.frames = kept
	h.waiting = 0
}
