package dataplane

import (
	"context"
	"errors"
	"sync"
)

// ErrStopped says that the dataplane has stopped.
var ErrStopped = errors.New("dataplane: stopped")

// A mailbox brings functions from other goroutines to a worker, which runs
// them between two batches. It is why nothing of a worker needs a lock.
type mailbox struct {
	calls chan call
	gone  chan struct{} // closed when the worker has stopped

	mu    sync.Mutex
	stage stage // guarded by mu
}

type call struct {
	run  func(*worker)
	done chan<- struct{}
}

type stage uint8

const (
	waiting stage = iota // not run yet: whoever holds mu may act on the worker
	running
	stopped
)

// do runs f on the worker and returns when it has run.
func (w *worker) do(ctx context.Context, f func(*worker)) error {
	m := &w.mailbox
	m.mu.Lock()
	if m.stage == waiting {
		defer m.mu.Unlock()
		f(w)
		return nil
	}
	m.mu.Unlock()
	done := make(chan struct{})
	select {
	case m.calls <- call{f, done}:
	case <-m.gone:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	w.wake()
	select {
	case <-done:
		return nil
	case <-m.gone:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin leaves the worker to the threads, one of which carries it.
func (m *mailbox) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stage = running
}

// end lets all callers go, now and from now on.
func (m *mailbox) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stage = stopped
	close(m.gone)
}

// serveCalls runs what others asked for since the last batch.
func (w *worker) serveCalls() {
	for len(w.mailbox.calls) > 0 {
		c := <-w.mailbox.calls
		c.run(w)
		close(c.done)
	}
}
