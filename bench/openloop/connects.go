package openloop

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// Connects opens connections to a web server, asks once on each, and closes it.
type Connects struct {
	Server   netip.AddrPort
	Rate     float64 // connections a second
	Duration time.Duration
	Timeout  time.Duration // after which a connection has failed
}

// Opened is what came of Connects.
type Opened struct {
	Tried     int
	Succeeded int                     // were answered
	Latency   *hdrhistogram.Histogram // ns, from when a connection was due until it was there; failed ones count as Timeout
	Reasons   map[string]int          // of those that failed
}

// Share is the part that succeeded.
func (o Opened) Share() float64 {
	if o.Tried == 0 {
		return 0
	}
	return float64(o.Succeeded) / float64(o.Tried)
}

// Run opens as scheduled, in the calling thread's network namespace, and
// returns when all connections have succeeded or failed.
func (c Connects) Run(ctx context.Context) (Opened, error) {
	defer precisely()()
	o := &opener{Connects: c, result: Opened{Latency: newHistogram(), Reasons: make(map[string]int)}}
	defer o.close()
	plan := newSchedule(time.Now(), c.Rate, c.Duration)
	for {
		due, more := plan.next()
		now := time.Now()
		switch {
		case ctx.Err() != nil:
			return o.result, ctx.Err()
		case more && !due.After(now):
			plan.done++
			if err := o.open(due); err != nil {
				return o.result, err
			}
			continue
		case !more && len(o.attempts) == 0:
			return o.result, nil
		case !more:
			due = o.attempts[0].due.Add(c.Timeout)
		}
		if err := o.progress(due.Sub(now)); err != nil {
			return o.result, err
		}
		o.expire(time.Now())
	}
}

// An opener has the connections that are under way, oldest first.
type opener struct {
	Connects
	attempts []attempt
	result   Opened
}

// An attempt is one connection on its way.
type attempt struct {
	fd        int
	due       time.Time
	connected bool
}

func (o *opener) open(due time.Time) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open a connection: %w", err)
	}
	o.result.Tried++
	if err := unix.Connect(fd, sockaddr(o.Server)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		o.fail(attempt{fd: fd, due: due}, err.Error())
		return nil
	}
	o.attempts = append(o.attempts, attempt{fd: fd, due: due})
	return nil
}

// progress waits for what comes first, news of a connection or the end of d,
// and takes each connection a step further.
func (o *opener) progress(d time.Duration) error {
	polls := make([]unix.PollFd, len(o.attempts))
	for i, a := range o.attempts {
		polls[i] = unix.PollFd{Fd: int32(a.fd), Events: unix.POLLOUT}
		if a.connected {
			polls[i].Events = unix.POLLIN
		}
	}
	if err := wait(polls, d); err != nil {
		return err
	}
	now := time.Now()
	kept := o.attempts[:0]
	for i, a := range o.attempts {
		if polls[i].Revents == 0 || o.step(&a, now) {
			kept = append(kept, a)
		}
	}
	o.attempts = kept
	return nil
}

// step handles news of a connection and reports whether it goes on.
func (o *opener) step(a *attempt, now time.Time) bool {
	if a.connected {
		var buffer [4096]byte
		switch n, err := unix.Read(a.fd, buffer[:]); {
		case err != nil:
			o.fail(*a, err.Error())
		case n == 0:
			o.fail(*a, "closed without an answer")
		default:
			o.result.Succeeded++
			unix.Close(a.fd)
		}
		return false
	}
	if code, err := unix.GetsockoptInt(a.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
		o.fail(*a, unix.Errno(code).Error())
		return false
	}
	a.connected = true
	record(o.result.Latency, now.Sub(a.due))
	if _, err := unix.Write(a.fd, []byte(request)); err != nil {
		o.fail(*a, err.Error())
		return false
	}
	return true
}

// expire fails the connections that have had their time.
func (o *opener) expire(now time.Time) {
	for len(o.attempts) > 0 && now.Sub(o.attempts[0].due) >= o.Timeout {
		o.fail(o.attempts[0], "timeout")
		o.attempts = o.attempts[1:]
	}
}

func (o *opener) fail(a attempt, reason string) {
	if !a.connected {
		record(o.result.Latency, o.Timeout)
	}
	o.result.Reasons[reason]++
	unix.Close(a.fd)
}

func (o *opener) close() {
	for _, a := range o.attempts {
		unix.Close(a.fd)
	}
}
