package afpacket

import (
	"testing"
	"time"
)

// assertSleeps fails when Wait returns before it is woken.
func assertSleeps(t testing.TB, w *Waiter) {
	t.Helper()
	awake := make(chan struct{})
	go func() {
		w.Wait(time.Hour)
		close(awake)
	}()
	select {
	case <-awake:
		t.Error("Wait returns though nothing has happened")
	case <-time.After(50 * time.Millisecond):
		w.Wake()
		<-awake
	}
}

func TestWait(t *testing.T) {
	c := newCable(t)
	s, r := c.near.sender(t, Options{}), c.far.receiver(t, Options{})
	w := must(NewWaiter(r))
	defer w.Close()

	t.Run("sleeps while there is nothing to do", func(t *testing.T) { assertSleeps(t, w) })
	t.Run("returns at once when woken before", func(t *testing.T) {
		w.Wake()
		w.Wake()
		w.Wait(time.Hour)
		assertSleeps(t, w)
	})
	t.Run("is woken by every Wake", func(t *testing.T) {
		for range 1000 {
			done := make(chan struct{})
			go func() {
				w.Wake()
				close(done)
			}()
			w.Wait(time.Hour)
			<-done
		}
	})
	t.Run("returns when a frame arrives", func(t *testing.T) {
		s.Reserve(new(c.udp(c.near, c.far, 1, 2, 50, 5)))
		s.Commit()
		flushed := make(chan struct{})
		go func() {
			s.Flush()
			close(flushed)
		}()
		w.Wait(time.Hour)
		<-flushed
		if got := collect(t, r, 1)[0]; numberOf(got) != 5 {
			t.Errorf("frame %d arrives, want 5", numberOf(got))
		}
		assertSleeps(t, w)
	})
	t.Run("returns after the timeout", func(*testing.T) {
		w.Wait(0)
		w.Wait(-time.Second)
		w.Wait(time.Millisecond)
	})
}
