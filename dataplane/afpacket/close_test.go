package afpacket

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestSocketsThatAreClosedTogetherWaitTogether(t *testing.T) {
	const sockets = 3 * closedAtOnce
	var closing, closed atomic.Int32
	var once sync.Once
	full := make(chan struct{})
	err := closeEach(make([]int, sockets), func(int) error {
		now := closing.Add(1)
		if now > closedAtOnce {
			t.Errorf("%d are closed at once", now)
		}
		if now == closedAtOnce {
			once.Do(func() { close(full) })
		}
		select {
		case <-full:
		case <-time.After(10 * time.Second):
			t.Error("waited in vain for as many as may be closed at once")
		}
		closing.Add(-1)
		closed.Add(1)
		return nil
	})
	if err != nil || closed.Load() != sockets {
		t.Errorf("%d of %d were closed, %v", closed.Load(), sockets, err)
	}
}

func TestEachSocketThatCannotBeClosedIsTold(t *testing.T) {
	failures := []error{errors.New("a"), nil, errors.New("c")}
	if err := closeEach(failures, func(err error) error { return err }); err == nil || err.Error() != "a\nc" {
		t.Errorf("got %v", err)
	}
}
