package scheduler

import (
	"testing"
	"time"
)

const ms = int64(time.Millisecond)

func TestAHandshakeIsSmoothed(t *testing.T) {
	var h handshake
	if h.average.Load() != 0 || h.expected(0) != 0 {
		t.Fatal("a time was known before one was measured")
	}
	h.add(8*ms, 0)
	h.add(16*ms, 0)
	if got := h.average.Load(); got != 9*ms {
		t.Errorf("8 ms and then 16 ms give %v, want 9 ms", time.Duration(got))
	}
	h.add(1*ms, 0)
	if got := h.average.Load(); got != 8*ms {
		t.Errorf("and then 1 ms gives %v, want 8 ms", time.Duration(got))
	}
}

func TestOneLostSYNDoesNotPutAServerOutOfUse(t *testing.T) {
	var h handshake
	for range 10 {
		h.add(ms, 0)
	}
	h.add(int64(time.Second), 0)
	if got := h.average.Load(); got >= 2*ms {
		t.Errorf("one second after many milliseconds gives %v", time.Duration(got))
	}
	for range 20 {
		h.add(int64(time.Second), 0)
	}
	if got := h.average.Load(); got < 800*ms {
		t.Errorf("a server that takes a second each time has %v", time.Duration(got))
	}
}

func TestAnOldMeasurementCountsLess(t *testing.T) {
	var h handshake
	h.add(80*ms, 0)
	later := int64(handshakeHalfLife)
	if got := h.expected(later); got != float64(40*ms) {
		t.Errorf("80 ms are worth %v a half-life later, want 40 ms", time.Duration(got))
	}
	if got := h.average.Load(); got != 80*ms {
		t.Errorf("what was measured became %v by time alone", time.Duration(got))
	}
	h.add(4*ms, later)
	if got := h.average.Load(); got != 42*ms {
		t.Errorf("a server that has recovered has %v after a half-life and 4 ms, want 42 ms", time.Duration(got))
	}
	h.add(4*ms, 20*later)
	if got := h.average.Load(); got > 5*ms {
		t.Errorf("after a long silence the new time should count nearly alone, got %v", time.Duration(got))
	}
}

func TestAHandshakeHasBounds(t *testing.T) {
	var h handshake
	h.add(0, 0)
	if got := h.average.Load(); got != 1 {
		t.Errorf("an answer in the same batch is kept as %d, want 1, which is measured", got)
	}
	var long handshake
	long.add(int64(time.Hour), 5)
	if got := long.average.Load(); got != int64(time.Minute) {
		t.Errorf("an hour is kept as %v, want a minute", time.Duration(got))
	}
	if got := long.trust(0); got != 1 {
		t.Errorf("trust is %v at a time before the measurement, want 1", got)
	}
}
