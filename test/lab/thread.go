package lab

import (
	"errors"
	"runtime"

	"github.com/vishvananda/netns"
)

// A thread is an operating system thread that lives inside a namespace for as
// long as the host does. Programs are started from it: the kernel sends a
// program its parent-death signal when the starting thread ends, not when the
// process does, so that thread has to be one that stays.
type thread struct {
	calls chan func()
	done  chan struct{}
}

func startThread() (*thread, error) {
	t := &thread{calls: make(chan func()), done: make(chan struct{})}
	ready := make(chan error)
	go t.run(ready)
	return t, <-ready
}

// run serves calls. At the end the thread goes home: one that just ended would
// do, but the process's first thread never ends, and would keep the namespace.
func (t *thread) run(ready chan<- error) {
	defer close(t.done)
	runtime.LockOSThread()
	home, err := netns.Get()
	ready <- err
	if err != nil {
		return
	}
	for call := range t.calls {
		call()
	}
	if errors.Join(netns.Set(home), home.Close()) == nil {
		runtime.UnlockOSThread()
	}
}

// do calls f on the thread and returns its error. Not to be called after stop.
func (t *thread) do(f func() error) error {
	result := make(chan error, 1)
	t.calls <- func() { result <- f() }
	return <-result
}

func (t *thread) stop() {
	close(t.calls)
	<-t.done
}
