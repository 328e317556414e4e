package dataplane

import (
	"sync/atomic"

	"lvsnat/conntrack"
	"lvsnat/dataplane/packet"
	"lvsnat/scheduler"
)

const (
	// batchSize is how many frames are taken from a ring at once. Below 32
	// the system call per flush shows; above 64 nothing is gained.
	batchSize = 64

	// expireBudget is how many entries' timers a worker looks at per turn, so
	// that a million connections that end together do not hold up packets.
	expireBudget = 256
)

// A worker forwards the packets of its share of the connections. Only the
// thread that carries it touches it; see mailbox for the way in.
type worker struct {
	id      int
	count   int    // of workers
	place   uint32 // seed of packet.Owner
	plane   *Dataplane
	mailbox mailbox

	ports    []Port
	replaced []PortStats // counts of the rings that each port had before
	table    *conntrack.Table
	profile  conntrack.Profile // of the table
	hops     hops
	pending  pending
	answers  answers

	admission admission
	inboxes   []*inbox // frames from each other worker, by its ID; nil at the own place
	outboxes  []*inbox // frames to each other worker
	verdicts  [NumVerdicts]uint64

	realservers []realserver // by ID

	// What holds for the whole batch.
	now      int64 // ns
	ticks    conntrack.Ticks
	snapshot *scheduler.Snapshot
	network  *network

	// The batch, after the first pass over it.
	frames [batchSize]packet.Frame
	staged [batchSize]staged
	hashes [batchSize]conntrack.Hash
	likely [batchSize]*conntrack.Entry

	alone   conntrack.Entry // of a packet that is translated without a connection
	expired conntrack.Ticks // up to when timers were looked at

	carried  atomic.Bool            // some thread has taken the worker up
	waiters  []Waiter               // for groups of 1, 2, 4... workers that begin with this one
	waiter   atomic.Pointer[Waiter] // the one that its thread sleeps on, while sleeping
	sleeping atomic.Bool

	// For whoever is not the thread.
	requests, replies atomic.Uint64 // forwarded
	crowded           atomic.Uint64 // batches from crowded rings
}

// staged is what the first pass over a batch finds in a frame.
type staged struct {
	packet packet.Packet
	status packet.Status
}

func newWorker(id int, d *Dataplane, o Options) (*worker, error) {
	w := &worker{
		id:      id,
		count:   o.Workers,
		place:   o.Placement,
		plane:   d,
		profile: o.Profile,
		mailbox: mailbox{calls: make(chan call, 16), gone: make(chan struct{})},
		hops:    newHops(o.Resolver),
		pending: newPending(),
		answers: newAnswers(),
		waiters: []Waiter{newBell()},
	}
	w.admission.clients = d.clients
	w.beginBatch()
	var err error
	w.table, err = conntrack.New(conntrack.Options{
		Capacity: o.Connections / o.Workers,
		Seed:     o.Seed + uint64(id),
		Profile:  o.Profile,
		Timeouts: o.Timeouts,
		Now:      w.ticks,
		Removed:  w.connectionRemoved,
	})
	return w, err
}

// turn does once all there is to do and reports whether there was anything.
func (w *worker) turn() bool {
	w.beginBatch()
	w.admission.review(w.now, w.table.Evicted())
	w.serveCalls()
	frames := 0
	for i := range w.ports {
		frames += w.receive(i)
	}
	for _, box := range w.inboxes {
		frames += w.takeOver(box)
	}
	w.requests.Store(w.verdicts[ForwardedRequest])
	w.replies.Store(w.verdicts[ForwardedReply])
	busy := w.expire() || frames > 0
	if !busy {
		w.admission.rested()
	}
	return busy
}

// beginBatch loads what holds for the batch.
func (w *worker) beginBatch() {
	w.now = w.plane.now()
	w.ticks = conntrack.TicksOf(w.now)
	w.snapshot = w.plane.services.Snapshot()
	w.knowRealservers()
	if network := w.plane.network.Load(); network != w.network {
		w.network = network
		w.hops.newEpoch()
	}
}

// receive carries one batch from a port and returns its size.
func (w *worker) receive(port int) int {
	receiver := w.ports[port].Receiver
	n := receiver.Receive(w.frames[:])
	if n == 0 {
		return 0
	}
	crowded := n == batchSize && receiver.Crowded()
	if crowded {
		w.crowded.Add(1)
	}
	w.admission.received(n, crowded)
	direction := conntrack.Request
	if port != VIPPort {
		direction = conntrack.Reply
	}
	w.stage(n, direction)
	for i := range n {
		w.verdicts[w.handle(i, port, direction)]++
	}
	w.flush()
	receiver.Release()
	return n
}

// stage parses a batch and touches the table where each packet's connection
// should be, so that the memory of all of them is on its way at once. It is
// kept apart for the reason given at transmit.
//
//go:noinline
func (w *worker) stage(n int, direction conntrack.Direction) {
	for i := range n {
		s := &w.staged[i]
		s.status = s.packet.Parse(w.frames[i].Data)
		if s.status != packet.OK {
			continue // the hash of an earlier frame is as good as any
		}
		p := &s.packet
		if direction == conntrack.Request {
			w.hashes[i] = w.table.Hash(p.Source, p.SourcePort, p.Protocol)
		} else {
			w.hashes[i] = w.table.Hash(p.Destination, p.DestinationPort, p.Protocol)
		}
	}
	w.table.Touch(w.hashes[:n], w.likely[:n])
}

// flush sends what the batch has queued; nothing of it is borrowed afterwards.
func (w *worker) flush() {
	for i := range w.ports {
		w.ports[i].Sender.Flush()
	}
	w.answers.reset()
}

// expire removes connections whose time has come and reports whether more are
// waiting.
func (w *worker) expire() bool {
	if w.expired == w.ticks {
		return false
	}
	if w.table.Expire(w.ticks, expireBudget) >= expireBudget {
		return true
	}
	w.expired = w.ticks
	return false
}

// wake ends the sleep of the thread that carries the worker. Any goroutine may
// call it.
func (w *worker) wake() {
	if w.sleeping.Load() {
		(*w.waiter.Load()).Wake()
	}
}

// attach replaces the worker's ports. Those that stay are given again and go on
// counting.
func (w *worker) attach(ports []Port, waiters []Waiter) {
	replaced := make([]PortStats, len(ports))
	for i := range w.ports {
		if i >= len(ports) {
			break
		}
		if ports[i] != w.ports[i] {
			replaced[i] = w.portStats(i)
		} else if i < len(w.replaced) {
			replaced[i] = w.replaced[i]
		}
	}
	w.ports, w.replaced = ports, replaced
	w.waiters = waiters
	w.hops.newEpoch()
}
