// Package openloop is a client that works by the clock: what it does next is
// due at a time that was fixed beforehand, whether what came before is done or
// not, and a latency counts from that time. A client that waits for an answer
// before it asks again asks less while answers are slow, and so leaves out of
// its percentiles the very times that they are about (coordinated omission).
//
// [Requests] measures answers on connections that are kept, [Connects] measures
// new connections.
package openloop

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// A schedule is the times of n events, evenly spread.
type schedule struct {
	start    time.Time
	interval time.Duration
	n        int
	done     int
}

func newSchedule(start time.Time, rate float64, d time.Duration) schedule {
	interval := time.Duration(float64(time.Second) / rate)
	return schedule{start: start, interval: interval, n: int(d / interval)}
}

// next is when the next event is due; false: there is none.
func (s *schedule) next() (time.Time, bool) {
	return s.start.Add(time.Duration(s.done) * s.interval), s.done < s.n
}

// newHistogram counts latencies in ns, from 1 us to a minute with three digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(time.Microsecond), int64(time.Minute), 3)
}

// record adds a latency; one out of range counts as the range's end.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(int64(d), h.LowestTrackableValue()), h.HighestTrackableValue()))
}

// precisely has the calling goroutine's thread wake when it asked for: without
// it the kernel may add 50 us to each wait (PR_SET_TIMERSLACK, prctl(2)). The
// returned function ends that.
func precisely() (restore func()) {
	runtime.LockOSThread()
	// It cannot fail for the calling thread; if it did, latencies would only be
	// worse.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	return func() {
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // the thread's default
		runtime.UnlockOSThread()
	}
}

// wait sleeps until one of the descriptors has an event, or for d.
func wait(polls []unix.PollFd, d time.Duration) error {
	timeout := unix.NsecToTimespec(max(0, d.Nanoseconds()))
	_, err := unix.Ppoll(polls, &timeout, nil)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for answers: %w", err)
	}
	return nil
}

func sockaddr(a netip.AddrPort) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

// request is what is asked of a web server; the answer must not ask for more.
const request = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
