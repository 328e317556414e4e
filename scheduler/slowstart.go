package scheduler

import "sync/atomic"

// shareUnit is a share of one whole unit of weight. Shares are this fine so
// that a server of weight 1 has something to rise through. A load of 2^36 (2^28
// active connections, the most that a director holds, 256 parts each) times a
// weight of 2^16 in these parts is still below 2^63.
const shareUnit = 256

// slowStartLeast is the part of its weight with which a server begins, one in
// so many: enough that it is tried, too little to flood it.
const slowStartLeast = 10

// A warmup is the time after a realserver joined a service that was there
// before it. Meanwhile the server counts with less than its weight, so that
// caches fill before the crowd comes: least-connection algorithms would
// otherwise send it everything until it has as many connections as the others.
type warmup struct {
	since  atomic.Int64 // ns; 0: warm
	length atomic.Int64 // ns
}

// begin starts a warm-up of a server at now. It may be called concurrently.
func (w *warmup) begin(now, length int64) {
	w.length.Store(length)
	w.since.Store(max(now, 1))
}

// end makes the server count in full.
func (w *warmup) end() { w.since.Store(0) }

// share is what a weight is worth now, in parts of shareUnit: from a tenth of it
// the value rises in a straight line to the whole. A weight of 1 or more is never
// worth nothing.
func (w *warmup) share(weight int32, now int64) int64 {
	whole := int64(weight) * shareUnit
	since := w.since.Load()
	if since == 0 {
		return whole
	}
	// A batch's time may be a little older than the change of services.
	elapsed, length := max(0, now-since), w.length.Load()
	if elapsed >= length {
		w.since.CompareAndSwap(since, 0)
		return whole
	}
	risen := (1 - 1.0/slowStartLeast) * float64(elapsed) / float64(length)
	return int64(float64(whole) * (1.0/slowStartLeast + risen))
}

// share is the server's weight in parts of shareUnit, less while it starts
// slowly. Now is in ns.
func (r *Realserver) share(now int64) int64 {
	return r.warmup.share(r.weight.Load(), now)
}

// Share is the weight by which slow-start algorithms go now (ns): Weight, or
// less while the server starts slowly.
func (r *Realserver) Share(now int64) float64 {
	return float64(r.share(now)) / shareUnit
}

// startsSlowly reports whether the server's share changes by itself, or did when it
// was last asked for.
func (r *Realserver) startsSlowly() bool { return r.warmup.since.Load() != 0 }

// warming reports whether the server starts slowly at now.
func (r *Realserver) warming(now int64) bool {
	return r.startsSlowly() && r.share(now) < int64(r.Weight())*shareUnit
}

// takesTurn is for algorithms that go by turns of whole weights: it reports
// whether a server takes its turn or, while it starts slowly, leaves it. Of
// its turns it takes the part that its share is of its weight, evenly spread;
// saved is what it has of the next one, 0 at first.
func (r *Realserver) takesTurn(saved *int64, now int64) bool {
	if !r.warming(now) {
		return true
	}
	whole := int64(r.Weight()) * shareUnit
	if *saved += r.share(now); *saved < whole {
		return false
	}
	*saved -= whole
	return true
}
