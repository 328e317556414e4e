package main

import (
	"context"
	"errors"
	"time"

	"lvsnat/dataplane/packet"
)

// A sender queues frames and sends them batch by batch: a transmit ring, or
// the standard output.
type sender interface {
	// Reserve queues a copy of the frame and returns its beginning to be
	// rewritten, nil when there is no room.
	Reserve(frame *packet.Frame) []byte
	// Commit lets what was reserved last go with the next Flush.
	Commit()
	// Flush sends what was committed.
	Flush()
}

// batchSize is the number of packets between two looks at the clock and for
// one system call.
const batchSize = 64

// A ring that is full for longer than stuckAfter belongs to a NIC that does
// not send; fullPause is a small part of the time a ring takes to drain.
const (
	stuckAfter = time.Second
	fullPause  = 50 * time.Microsecond
)

// errStuck says that nothing could be sent for stuckAfter.
var errStuck = errors.New("no packet could be sent for a second: is the link up?")

// A generator sends the packets of one worker. It is used by one goroutine.
type generator struct {
	sender   sender
	template *template
	sequence sequence
	limit    uint64  // packets
	pps      float64 // 0: as fast as it goes
	now      func() time.Time

	sent uint64
}

// run sends until the limit is reached or ctx ends.
func (g *generator) run(ctx context.Context) error {
	start := g.now()
	progress := start
	for g.sent < g.limit && ctx.Err() == nil {
		now := g.now()
		allowed, wait := due(now.Sub(start), g.pps, g.sent)
		if allowed == 0 {
			pause(ctx, wait)
			progress = g.now()
			continue
		}
		if g.batch(min(allowed, batchSize, g.limit-g.sent)) > 0 {
			progress = now
			continue
		}
		if now.Sub(progress) > stuckAfter {
			return errStuck
		}
		pause(ctx, fullPause)
	}
	return nil
}

// batch sends at most n packets and returns how many it could.
func (g *generator) batch(n uint64) uint64 {
	frame := packet.Frame{Data: g.template.frame}
	var done uint64
	for ; done < n; done++ {
		head := g.sender.Reserve(&frame)
		if head == nil {
			break
		}
		g.template.write(head, g.sequence.take())
		g.sender.Commit()
	}
	g.sender.Flush()
	g.sent += done
	return done
}

// due is how many packets may go now so that no second has more than pps, and
// when there is none, how long to wait for the next. What a sleep that took
// too long left behind is made up for.
func due(elapsed time.Duration, pps float64, sent uint64) (allowed uint64, wait time.Duration) {
	if pps == 0 {
		return batchSize, 0
	}
	// The first packet goes at once, so at any time one more than the
	// finished intervals is due.
	if total := uint64(elapsed.Seconds()*pps) + 1; total > sent {
		return total - sent, 0
	}
	next := time.Duration(float64(sent) / pps * float64(time.Second))
	return 0, max(next-elapsed, time.Nanosecond)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
