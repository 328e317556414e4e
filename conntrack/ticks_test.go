package conntrack

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDurationsAreRoundedUpToTicks(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want Ticks
	}{
		{math.MinInt64, 0},
		{-1, 0},
		{0, 0},
		{1, 1},
		{1 << 26, 1},
		{1<<26 + 1, 2},
		{15 * time.Minute, 13412}, // 900e9 / 2^26 = 13411.04...
		{math.MaxInt64, maxTicks},
	} {
		if got := TicksFor(c.d); got != c.want {
			t.Errorf("TicksFor(%v) = %d, want %d", c.d, got, c.want)
		}
	}
}

func TestTicksGoOnAcrossTheirWrap(t *testing.T) {
	const wrap = int64(1) << (32 + tickShift)
	before, after := TicksOf(wrap-1), TicksOf(wrap)
	if after != 0 || after.since(before) != 1 || before.since(after) != -1 {
		t.Errorf("%d is followed by %d, %d later", before, after, after.since(before))
	}
}

func TestTicksForIsTheShortestThatCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(1, int64(365*24*time.Hour)).Draw(t, "duration"))
		ticks := TicksFor(d)
		if ticks.Duration() < d || (ticks-1).Duration() >= d {
			t.Fatalf("%v becomes %d ticks of %v together", d, ticks, ticks.Duration())
		}
	})
}

func TestSetChangesWhatIpvsadmSetDoes(t *testing.T) {
	timeouts := DefaultTimeouts()
	timeouts.Set(time.Hour, 0, -1)
	if timeouts.Of(Established) != time.Hour {
		t.Errorf("ESTABLISHED: %v, want 1h", timeouts.Of(Established))
	}
	timeouts.Set(0, time.Second, 2*time.Second)
	want := map[State]time.Duration{Established: time.Hour, FinWait: time.Second, UDP: 2 * time.Second}
	for s := range numStates {
		if want[s] == 0 {
			want[s] = DefaultTimeouts().Of(s)
		}
		if got := timeouts.Of(s); got != want[s] {
			t.Errorf("%v: %v, want %v", s, got, want[s])
		}
	}
}

func TestTheDefaultTimeoutsAreThoseOfIPVS(t *testing.T) {
	want := map[State]int{
		None: 3, Established: 900, SynSent: 120, SynRecv: 60, FinWait: 120, TimeWait: 120, Close: 10,
		CloseWait: 60, LastAck: 30, Listen: 120, SynAck: 120, UDP: 300,
	}
	for s := range numStates {
		if got := DefaultTimeouts().Of(s); got != time.Duration(want[s])*time.Second {
			t.Errorf("%v: %v, want %d s", s, got, want[s])
		}
	}
}
