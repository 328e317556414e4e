package dataplane

import (
	"context"
	"math/bits"
	"runtime"
	"sync/atomic"
	"time"
)

// longestWait is how long an idle thread sleeps before it looks at its workers'
// timers again.
const longestWait = 100 * time.Millisecond

// A thread is one of the operating system's, and carries workers: by itself its
// own, and in a group those that follow, too, whose threads rest meanwhile.
// Groups are of 1, 2, 4... workers. Only the thread that carries a worker
// touches it.
type thread struct {
	id    int // of its worker
	plane *Dataplane

	group   int       // the size of the groups when it last looked
	workers []*worker // those that it carries, its own first; none: it rests
	bell    bell      // it rests until that is rung, or a worker is put down

	began  int64        // ns; the last turn
	loaded bool         // there was something to do in it
	busy   atomic.Int64 // ns in such turns, for whoever is not the thread
}

func newThread(w *worker) *thread {
	return &thread{id: w.id, plane: w.plane, bell: newBell()}
}

// GroupsOf returns the sizes of the groups that begin with a worker.
func GroupsOf(id, workers int) []int {
	var sizes []int
	for size := 1; id%size == 0 && size < 2*workers; size *= 2 {
		sizes = append(sizes, size)
	}
	return sizes
}

// run carries workers until ctx ends.
func (t *thread) run(ctx context.Context) {
	// Rings stay warm in one core's cache as long as the thread stays there. It
	// ends with the goroutine, because Prepare may have changed it.
	runtime.LockOSThread()
	if prepare := t.plane.prepare; prepare != nil {
		prepare()
	}
	defer t.putDown()
	for ctx.Err() == nil {
		if t.group != t.plane.groups() {
			t.regroup(ctx)
		}
		if len(t.workers) == 0 {
			t.rest(ctx)
		} else if !t.turn() {
			t.sleep(ctx)
		}
	}
}

// regroup takes up the workers of the thread's group, which the threads that
// carry them put down when they come here. That takes its time, as what they do
// does, and the groups may be others again before.
func (t *thread) regroup(ctx context.Context) {
	t.putDown()
	t.group = t.plane.groups()
	if t.id%t.group != 0 {
		return
	}
	all := t.plane.workers
	for _, w := range all[t.id:min(t.id+t.group, len(all))] {
		for !w.carried.CompareAndSwap(false, true) {
			if ctx.Err() != nil || t.group != t.plane.groups() {
				t.putDown()
				return
			}
			<-t.bell
		}
		t.workers = append(t.workers, w)
	}
}

// putDown leaves the workers to other threads, and tells them.
func (t *thread) putDown() {
	if len(t.workers) == 0 {
		return
	}
	for _, w := range t.workers {
		w.carried.Store(false)
	}
	t.workers, t.loaded = t.workers[:0], false
	t.plane.ring()
}

// turn does once all there is to do for the workers and reports whether there
// was anything.
func (t *thread) turn() bool {
	busy := false
	for _, w := range t.workers {
		if w.turn() {
			busy = true
		}
	}
	now := t.workers[0].now
	if t.loaded {
		t.busy.Store(t.busy.Load() + now - t.began)
	}
	t.began, t.loaded = now, busy
	return busy
}

// sleep waits for frames, calls, other groups or the next look at the timers.
//
// Whoever has something for a worker looks at sleeping after that is to be seen;
// the thread looks for such things after it has set sleeping. One of the two
// sees the other.
func (t *thread) sleep(ctx context.Context) {
	waiters := t.workers[0].waiters
	waiter := &waiters[min(bits.Len(uint(t.group)), len(waiters))-1]
	for _, w := range t.workers {
		w.waiter.Store(waiter)
		w.sleeping.Store(true)
	}
	if !t.wanted(ctx) {
		(*waiter).Wait(longestWait)
	}
	for _, w := range t.workers {
		w.sleeping.Store(false)
	}
}

// wanted reports whether there is something to do besides frames in the rings.
func (t *thread) wanted(ctx context.Context) bool {
	if ctx.Err() != nil || t.group != t.plane.groups() {
		return true
	}
	for _, w := range t.workers {
		if len(w.mailbox.calls) > 0 || w.handedOver() {
			return true
		}
	}
	return false
}

// rest waits until the groups change.
func (t *thread) rest(ctx context.Context) {
	for ctx.Err() == nil && t.group == t.plane.groups() {
		<-t.bell
	}
}

// groups is the size of the groups in force.
func (d *Dataplane) groups() int { return int(d.group.Load()) }

// threadsOf is how many threads carry the workers in groups of a size.
func (d *Dataplane) threadsOf(size int) int { return (len(d.workers) + size - 1) / size }

// setGroups changes the size of the groups, a power of two. Threads follow
// between two batches.
func (d *Dataplane) setGroups(size int) {
	d.group.Store(int32(size))
	d.rouse()
}

// rouse has all threads look at what is to be done.
func (d *Dataplane) rouse() {
	for _, w := range d.workers {
		w.wake()
	}
	d.ring()
}

// ring ends the rest of all threads.
func (d *Dataplane) ring() {
	for _, t := range d.threads {
		t.bell.Wake()
	}
}

// A bell is a Waiter without receivers: that of a resting thread, and of a
// worker that has no ports yet.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

// Wait returns when Wake was called or after timeout.
func (b bell) Wait(timeout time.Duration) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-b:
	case <-timer.C:
	}
}

// Wake ends the current Wait or the next one.
func (b bell) Wake() {
	select {
	case b <- struct{}{}:
	default:
	}
}
