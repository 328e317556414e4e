package dataplane

import (
	"context"
	"time"
)

// As a rule each worker has a thread of its own. But where interrupts or other
// programs need the processors, too, a second thread can take more from those
// than it brings: in a flood of SYNs between programs on two processors, one
// thread for both workers forwarded 1.2 times as much. It shows in rings that
// get crowded, because a worker had to wait for its processor, while all that
// the threads do would fit into fewer. Then the two ways take turns for a
// moment, and the fewer threads stay if they do as well.
//
// That is for traffic in one direction only: floods, logs, media. As soon as
// anything is answered, somebody waits for the answer, and each worker has its
// own thread. Fewer threads are busier, and a ring is full sooner: during a
// flood that was half of what one thread could carry, the SYN of one client in
// a hundred was lost and came again after a second, and 50 clients that asked
// and were answered in turn got 0.87 of their answers.
const (
	gatherEvery = 200 * time.Millisecond // how often a look is taken at the load

	trialWindow = 60 * time.Millisecond // a turn of one way
	trialSettle = 20 * time.Millisecond // of that, until the kernel has found each thread its processor
	trialPairs  = 3                     // turns of each way

	// asGood is how much of what more threads forward fewer must forward to be
	// taken, since they leave more of the processors to others. Short turns tell
	// no finer: the same flood came out between 0.95 and 1.5.
	asGood = 0.95

	// possible is for which part of their time fewer threads may have to be busy
	// to be tried, at the most. Some of what the present ones need is waiting.
	possible = 1.1

	// firstHold is how long a result holds, twice as long with each time that it
	// is the same, up to lastHold.
	firstHold = 2 * time.Second
	lastHold  = 5 * time.Minute

	// calmAfter is how long no ring must be crowded for each worker to have its
	// own thread again.
	calmAfter = 5 * time.Second
)

// A gatherer decides how many workers one thread carries.
type gatherer struct {
	plane *Dataplane
	pause func(ctx context.Context, d time.Duration)

	last    work
	hold    time.Duration
	next    int64   // ns; when another trial may be
	rate    float64 // packets a second at the last trial
	crowded int64   // ns; when a ring was last
}

func newGatherer(d *Dataplane) *gatherer {
	return &gatherer{plane: d, pause: pause, last: d.read(), hold: firstHold}
}

// pause returns after d or when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// run looks at the load until ctx ends.
func (g *gatherer) run(ctx context.Context) {
	for ctx.Err() == nil {
		g.pause(ctx, gatherEvery)
		g.look(ctx)
	}
}

// look takes a trial when it is time for one.
func (g *gatherer) look(ctx context.Context) {
	now := g.plane.read()
	load := now.since(g.last)
	g.last = now
	size := g.plane.groups()
	if load.crowded > 0 {
		g.crowded = now.ns
	}
	switch {
	case size > 1 && (load.replies > 0 || load.rate() < g.rate/2 || now.ns-g.crowded >= int64(calmAfter)):
		// This is another load.
		g.plane.setGroups(1)
		g.hold, g.next = firstHold, now.ns
	case load.replies > 0 || load.crowded == 0 || now.ns < g.next:
	case size < len(g.plane.workers) && load.share(g.plane.threadsOf(2*size)) <= possible:
		g.try(ctx, size, size, 2*size)
	case size > 1:
		g.try(ctx, size, size/2, size)
	}
}

// try has groups of two sizes take turns, and leaves the better one in force.
func (g *gatherer) try(ctx context.Context, present, small, large int) {
	var some, many float64
	for range trialPairs {
		some += g.measure(ctx, small) / trialPairs
		many += g.measure(ctx, large) / trialPairs
	}
	better := small
	if many > asGood*some {
		better = large
	}
	g.hold = min(2*g.hold, lastHold)
	if better != present {
		g.hold = firstHold
	}
	g.plane.setGroups(better)
	g.rate = max(some, many)
	g.last = g.plane.read()
	g.next = g.last.ns + int64(g.hold)
}

// measure lets groups of a size have their turn and returns how many packets a
// second they forwarded.
func (g *gatherer) measure(ctx context.Context, size int) float64 {
	g.plane.setGroups(size)
	g.pause(ctx, trialSettle)
	begin := g.plane.read()
	g.pause(ctx, trialWindow-trialSettle)
	return g.plane.read().since(begin).rate()
}

// work is what has been done since the start, or between two readings.
type work struct {
	ns        int64  // on the clock, or between
	forwarded uint64 // packets
	replies   uint64 // of these
	busy      int64  // ns, of all threads together
	crowded   uint64 // batches from crowded rings
}

// read is the work since the start. It asks nobody, so that it costs the packet
// path nothing.
func (d *Dataplane) read() work {
	all := work{ns: d.now()}
	for i, w := range d.workers {
		requests, replies := w.requests.Load(), w.replies.Load()
		all.forwarded += requests + replies
		all.replies += replies
		all.busy += d.threads[i].busy.Load()
		all.crowded += w.crowded.Load()
	}
	return all
}

func (w work) since(o work) work {
	return work{w.ns - o.ns, w.forwarded - o.forwarded, w.replies - o.replies, w.busy - o.busy, w.crowded - o.crowded}
}

// rate is packets a second.
func (w work) rate() float64 {
	return float64(w.forwarded) * 1e9 / float64(max(1, w.ns))
}

// share is for which part of their time so many threads would have been busy.
func (w work) share(threads int) float64 {
	return float64(w.busy) / float64(max(1, w.ns)) / float64(threads)
}
