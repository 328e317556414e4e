package scheduler

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// handshakeGain is what a measurement adds of its difference to the
	// average, as TCP smooths its round-trip time (RFC 6298 section 2.3).
	handshakeGain = 1.0 / 8

	// handshakeLeap is how many times the average a measurement counts at most.
	// One lost SYN costs its sender a second, thousands of times a handshake
	// in a local network; it must not put a server out of use. A server that is
	// truly slow is known as such after a few measurements all the same, for
	// each may nearly double the average.
	handshakeLeap = 8

	// handshakeHalfLife is the time in which a measurement loses half of its
	// weight. A server that was turned away from is not measured, and so is
	// tried again sooner or later.
	handshakeHalfLife = 10 * time.Second

	// handshakeMost is the longest that counts. The clock in a connection's
	// entry could tell up to 71 minutes.
	handshakeMost = time.Minute
)

// A handshake is how long a realserver takes to answer a connection's first
// packet, smoothed. Writers of several workers may meet: one of two
// measurements is then lost, which an average of many does not feel. So there
// is no lock and no loop.
type handshake struct {
	average  atomic.Int64 // ns; 0: not measured yet
	measured atomic.Int64 // ns; when the last time
}

// add takes a measurement in, at now; both are in ns. What was measured before
// counts the less the longer ago it was.
func (h *handshake) add(took, now int64) {
	took = min(max(took, 1), int64(handshakeMost))
	average := h.average.Load()
	if average != 0 {
		took = min(took, handshakeLeap*average)
		gain := max(handshakeGain, 1-h.trust(now))
		took = max(1, average+int64(gain*float64(took-average)))
	}
	h.average.Store(took)
	h.measured.Store(now)
}

// expected is what the average is worth at now, in ns: less and less while
// nothing is measured.
func (h *handshake) expected(now int64) float64 {
	return float64(h.average.Load()) * h.trust(now)
}

// trust is 1 just after a measurement and halves with each half-life.
func (h *handshake) trust(now int64) float64 {
	age := max(0, now-h.measured.Load())
	return math.Exp2(-float64(age) / float64(handshakeHalfLife))
}

// Answered tells how long the server took to answer the first packet of a new
// connection, at now in ns on the clock of Client.Now. It may be called
// concurrently.
func (r *Realserver) Answered(took time.Duration, now int64) {
	r.handshake.add(int64(took), now)
}

// Handshake is the smoothed time that the server took to answer the first packet
// of a connection, as last measured; 0 when it never was. It may be called
// concurrently.
func (r *Realserver) Handshake() time.Duration {
	return time.Duration(r.handshake.average.Load())
}
