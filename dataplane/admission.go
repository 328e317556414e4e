package dataplane

// admission decides whether a worker opens another connection. As long as the
// worker keeps up, it always does. When frames pile up in a receive ring, most
// of what arrives are new connections, and there was no moment without work, it
// admits only so many of clients that are not known to be real as leave such
// moments, and tries slowly for more. A crowded ring alone says little: it is
// that after each time the worker had to wait for its processor. And where
// nothing has come for a second but new connections, nobody is to be protected
// from them: then all are opened that the worker finds the time for, a tenth
// more.
//
// To pass over a SYN costs a small part of what it costs to forward it, so that
// established connections and known clients go on undisturbed. The client behind
// a SYN that was passed over sends it again after a second.
//
// The limit falls by an eighth in each interval without such a moment and grows
// by as much in the others, and ends when nothing had to be passed over for a
// second.
type admission struct {
	clients *clients

	limited bool
	limit   int64 // connections of unknown clients a second
	credit  int64 // of these, in this interval
	calm    int   // intervals in a row in which nothing was passed over
	others  int64 // ns; when something else than new connections came

	evicting int64  // ns; when half-open connections last made way
	evicted  uint64 // how many had by then

	// This interval.
	begun   int64 // ns
	crowded bool
	idle    bool
	frames  int64
	opened  int64 // new connections asked for
	shed    int64 // of these, passed over
}

const (
	admissionInterval = int64(20 * 1e6) // ns, several time slices of the kernel's scheduler
	admissionCalm     = 50              // intervals until the limit ends
	admissionLeast    = 1000            // connections a second that are always admitted
	admissionOthers   = int64(1e9)      // ns that something else is waited for
)

// A FloodStage is what a worker does about more new connections than it has
// room or time for.
type FloodStage uint8

// The stages, from the mildest to the severest.
const (
	FloodNone     FloodStage = iota // all are admitted
	FloodEvicting                   // the table is full: half-open connections make way for new ones
	FloodShedding                   // the receive ring is crowded: of unknown clients only some are admitted

	NumFloodStages // their number
)

// String returns the stage's name, a label of director_flood_stage.
func (s FloodStage) String() string {
	return [...]string{"none", "evicting", "shedding"}[s]
}

// stage is the one in force.
func (a *admission) stage(now int64) FloodStage {
	switch {
	case a.limited:
		return FloodShedding
	case a.evicted > 0 && now-a.evicting < admissionCalm*admissionInterval:
		return FloodEvicting
	}
	return FloodNone
}

// admit reports whether a connection may be opened to a client.
func (a *admission) admit(addr uint32) bool {
	a.opened++
	if !a.limited || a.clients.known(addr) {
		return true
	}
	if a.credit <= 0 {
		a.shed++
		return false
	}
	a.credit--
	return true
}

// received counts a batch of frames, and that the ring they came from is
// crowded.
func (a *admission) received(frames int, crowded bool) {
	a.frames += int64(frames)
	a.crowded = a.crowded || crowded
}

// rested says that the worker had nothing to do.
func (a *admission) rested() { a.idle = true }

// review sets the limit anew when an interval is over. It is told how many
// connections have made way in all.
func (a *admission) review(now int64, evicted uint64) {
	elapsed := now - a.begun
	if elapsed < admissionInterval {
		return
	}
	if evicted != a.evicted {
		a.evicted, a.evicting = evicted, now
	}
	if a.frames > a.opened {
		a.others = now
	}
	overloaded := a.crowded && !a.idle
	switch {
	case now-a.others >= admissionOthers:
		a.limited = false
	case !a.limited:
		if overloaded && a.opened > a.frames/2 {
			a.limited, a.calm = true, 0
			a.limit = a.opened * 1e9 / elapsed
			a.lower()
		}
	case overloaded:
		a.lower()
	case a.shed > 0:
		a.limit += a.limit / 8
		a.calm = 0
	default:
		if a.calm++; a.calm >= admissionCalm {
			a.limited = false
		}
	}
	// A worker that slept has no claim to what it did not need.
	a.credit = a.limit * min(elapsed, 10*admissionInterval) / 1e9
	a.begun, a.crowded, a.idle, a.frames, a.opened, a.shed = now, false, false, 0, 0, 0
}

func (a *admission) lower() {
	a.limit = max(a.limit-a.limit/8, admissionLeast)
}
