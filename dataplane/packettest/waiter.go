package packettest

import (
	"sync"
	"testing"
	"time"
)

// A Waiter stands in for a worker's sleep. Wait ends when one of its receivers
// has a frame, when Wake was called, or when the Clock reaches the timeout; no
// real time counts. AwaitIdle is how a test knows that a worker has done all
// it can.
type Waiter struct {
	clock     *Clock
	receivers []*Receiver

	mu       sync.Mutex
	changed  *sync.Cond
	woken    bool  // guarded by mu, as are all below: Wake was called since Wait returned last
	waiting  bool  // somebody is in Wait
	deadline int64 // of the present Wait, on the clock
	wakes    int
}

// NewWaiter returns the waiter of a worker, or of several, that have these
// receivers.
func NewWaiter(clock *Clock, receivers ...*Receiver) *Waiter {
	w := &Waiter{clock: clock, receivers: receivers}
	w.changed = sync.NewCond(&w.mu)
	clock.add(w)
	for _, r := range receivers {
		r.wakeOnInject(w)
	}
	return w
}

// Wait waits as described at Waiter.
func (w *Waiter) Wait(timeout time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = w.clock.Now() + int64(timeout)
	w.waiting = true
	for !w.due() {
		w.changed.Wait()
	}
	w.waiting = false
	w.woken = false
}

// Wake ends the current Wait or the next one, and is counted.
func (w *Waiter) Wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.woken = true
	w.wakes++
	w.changed.Broadcast()
}

// Wakes is the number of calls of Wake so far.
func (w *Waiter) Wakes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wakes
}

// due reports whether Wait has a reason to return. mu is held.
func (w *Waiter) due() bool {
	if w.woken || w.clock.Now() >= w.deadline {
		return true
	}
	for _, r := range w.receivers {
		if r.Pending() > 0 {
			return true
		}
	}
	return false
}

// look lets Wait look again whether it is due.
func (w *Waiter) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changed.Broadcast()
}

// AwaitIdle returns when all these workers wait at the same time and none has
// a reason to go on: every frame injected so far has been dealt with, those
// handed from worker to worker included. It ends the test if that does not
// come about within ten seconds.
func AwaitIdle(t testing.TB, waiters ...*Waiter) {
	t.Helper()
	const patience = 10 * time.Second
	for start := time.Now(); !allIdle(waiters); {
		if time.Since(start) > patience {
			t.Fatalf("workers are not idle after %v", patience)
		}
		time.Sleep(20 * time.Microsecond)
	}
}

// allIdle holds all locks at once: what one waiter is woken for by another's
// worker is then seen at one of the two.
func allIdle(waiters []*Waiter) bool {
	for _, w := range waiters {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.waiting || w.due() {
			return false
		}
	}
	return true
}
