package afpacket

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A Waiter lets a worker sleep until one of its receivers has a frame. Wait is
// for one goroutine; Wake may be called from any.
type Waiter struct {
	receivers []*Receiver
	polls     []unix.PollFd // the first is that of an eventfd
	woken     atomic.Bool   // the eventfd has been written and not yet read
}

// looks is how often Wait looks for a frame itself before it has the kernel
// wake it, about a third of a millisecond. To wake a thread, and the processor
// that has gone to sleep with it, takes longer than all that is done with a
// packet: with one connection that asks and is answered in turn, looking
// brought twice the requests (0.55 of the kernel's NAT without, 1.8 with).
// Between two looks the processor is offered to others; without that, 50
// connections got a quarter fewer.
const looks = 1024

// NewWaiter makes a waiter for the receivers of one worker.
func NewWaiter(receivers ...*Receiver) (*Waiter, error) {
	event, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an eventfd to wake a worker: %w%s", err, advice(err))
	}
	w := &Waiter{receivers: receivers, polls: []unix.PollFd{{Fd: int32(event), Events: unix.POLLIN}}}
	for _, r := range receivers {
		w.polls = append(w.polls, unix.PollFd{Fd: int32(r.FD()), Events: unix.POLLIN})
	}
	return w, nil
}

// Wait returns when a receiver has a frame, when Wake was called since the last
// Wait returned, or after timeout. A signal or a dead link may end it early. A
// receiver whose frames were not released counts as having one.
func (w *Waiter) Wait(timeout time.Duration) {
	for look := 0; look < looks && !w.woken.Load(); look++ {
		if w.framed() {
			return
		}
		schedYield()
	}
	deadline := unix.NsecToTimespec(max(0, timeout.Nanoseconds()))
	n, err := unix.Ppoll(w.polls, &deadline, nil)
	if err != nil || n == 0 {
		return
	}
	if w.polls[0].Revents != 0 {
		w.clearWake()
	}
	for _, p := range w.polls[1:] {
		if p.Revents&unix.POLLERR != 0 {
			clearError(int(p.Fd))
		}
	}
}

// framed reports whether a receiver has a frame.
func (w *Waiter) framed() bool {
	for _, r := range w.receivers {
		if r.ready() {
			return true
		}
	}
	return false
}

// clearWake makes the waiter ready for the next Wake. One that comes between
// the two steps is lost, but it is for the Wait that ends now.
func (w *Waiter) clearWake() {
	var count [8]byte
	// The count does not matter, and an error means that there is none.
	_, _ = unix.Read(int(w.polls[0].Fd), count[:])
	w.woken.Store(false)
}

// clearError takes the error a socket has from its link going down, which would
// end every Wait at once. The socket receives again when the link is back.
func clearError(fd int) {
	_, _ = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
}

// Wake ends the current Wait or the next one. It must not be called after
// Close.
func (w *Waiter) Wake() {
	if w.woken.Swap(true) {
		return
	}
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	// The only possible error says that the count is at its limit: it is set.
	_, _ = unix.Write(int(w.polls[0].Fd), one[:])
}

// Close frees the waiter. The receivers stay open.
func (w *Waiter) Close() error {
	if err := unix.Close(int(w.polls[0].Fd)); err != nil {
		return fmt.Errorf("close the eventfd of a worker: %w", err)
	}
	return nil
}
