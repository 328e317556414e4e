package packettest

import (
	"sync"
	"sync/atomic"
	"time"
)

// A Clock is a monotonic clock that a test moves by hand. The zero value is
// ready to use. It may be used from any goroutine.
type Clock struct {
	moved atomic.Int64 // ns

	mu      sync.Mutex
	waiters []*Waiter // guarded by mu; woken when the clock moves
}

// clockStart is what a Clock shows at first, in ns. Not zero, because a
// machine's monotonic clock is not either, and zero often means "never".
const clockStart = int64(1000 * time.Second)

// Now is the time in ns.
func (c *Clock) Now() int64 { return clockStart + c.moved.Load() }

// Advance moves the clock on by d and ends every Wait whose timeout has come.
func (c *Clock) Advance(d time.Duration) {
	c.moved.Add(int64(d))
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.waiters {
		w.look()
	}
}

func (c *Clock) add(w *Waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiters = append(c.waiters, w)
}
