package conntrack

import "time"

// tickShift is log2 of a tick in nanoseconds.
const tickShift = 26

// Ticks is time in units of 2^26 ns (67 ms) since an arbitrary start. It wraps
// after 9 years, so two of them are compared by their signed difference, and
// no difference may be longer than half of that.
type Ticks uint32

// TicksOf returns the ticks that have passed at a time of a monotonic clock,
// in ns.
func TicksOf(ns int64) Ticks {
	return Ticks(ns >> tickShift)
}

// maxTicks bounds durations to about two years, so that a deadline stays
// comparable with the present.
const maxTicks = 1 << 30

// TicksFor returns a duration, rounded up to whole ticks and cut off at two
// years. A negative duration is none.
func TicksFor(d time.Duration) Ticks {
	if d <= 0 {
		return 0
	}
	ticks := (uint64(d) + 1<<tickShift - 1) >> tickShift
	return Ticks(min(ticks, maxTicks))
}

// Duration returns the length of t ticks, t being a difference of two times.
func (t Ticks) Duration() time.Duration {
	return time.Duration(t) << tickShift
}

// since returns how many ticks u lies before t; negative when it lies after.
func (t Ticks) since(u Ticks) int32 {
	return int32(t - u)
}
