package conntrack

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

const plenty = 1 << 30 // a budget that is never reached

// lifetime returns how many ticks after now the table drops e, by a clock that
// goes on tick by tick.
func lifetime(t *testing.T, table *Table, e *Entry, now Ticks) Ticks {
	t.Helper()
	c := connectionOf(e)
	for passed := Ticks(0); passed < 100*turnTicks; passed++ {
		table.Expire(now+passed, plenty)
		if findRequest(table, c) == nil {
			return passed
		}
	}
	t.Fatal("the connection never goes")
	return 0
}

func TestAnIdleConnectionLivesItsTimeoutAndAtMostOneSlotMore(t *testing.T) {
	states := map[State][]step{
		None:        {},
		SynRecv:     {{dir: Request, flags: flagSYN}},
		Established: {{dir: Request, flags: flagSYN}, {dir: Request, flags: flagACK}},
		CloseWait:   {{dir: Request, flags: flagSYN}, {dir: Request, flags: flagACK}, {dir: Request, flags: flagFIN}},
		FinWait:     {{dir: Request, flags: flagSYN}, {dir: Request, flags: flagACK}, {dir: Reply, flags: flagFIN}},
		TimeWait:    {{dir: Request, flags: flagSYN}, {dir: Reply, flags: flagFIN}},
		Close:       {{dir: Request, flags: flagSYN}, {dir: Reply, flags: flagRST}},
	}
	for state, packets := range states {
		t.Run(state.String(), func(t *testing.T) {
			for start := range Ticks(slotTicks) {
				table := newTable(t, Options{Capacity: 10, Now: start})
				e := insert(table, numbered(1, protocolTCP), start)
				for _, p := range packets {
					table.Observe(e, p.dir, p.flags, start)
				}
				if e.State != state {
					t.Fatalf("state %v, want %v", e.State, state)
				}
				timeout := TicksFor(DefaultTimeouts().Of(state))
				if got := lifetime(t, table, e, start); got <= timeout || got > timeout+slotTicks {
					t.Errorf("lives %d ticks from tick %d, timeout %d", got, start, timeout)
				}
			}
		})
	}
}

func TestAConnectionIsOverdueFromItsDeadlineOn(t *testing.T) {
	table := newTable(t, Options{Capacity: 10})
	e := insert(table, numbered(1, protocolTCP), 0)
	table.Observe(e, Request, flagSYN, 0)
	deadline := TicksFor(DefaultTimeouts().Of(SynRecv))
	for late, want := range map[Ticks]Ticks{0: 0, 1: 1, 100: 100} {
		if got := table.Overdue(e, deadline+late); got != want.Duration() {
			t.Errorf("%d ticks late: overdue by %v, want %v", late, got, want.Duration())
		}
	}
	if got := table.Overdue(e, deadline-1); got != 0 {
		t.Errorf("overdue by %v before its deadline", got)
	}
}

func TestADeadlineBeyondTheTurnIsKept(t *testing.T) {
	timeouts := DefaultTimeouts()
	timeouts.Set(2*time.Hour, 0, 0)
	table := newTable(t, Options{Capacity: 10, Timeouts: timeouts})
	e := open(t, table, numbered(1, protocolTCP), 0)
	timeout := TicksFor(2 * time.Hour)
	if got := lifetime(t, table, e, 0); got <= timeout || got > timeout+slotTicks {
		t.Errorf("lives %d ticks, timeout %d", got, timeout)
	}
}

func TestEachPacketKeepsTheConnectionForAnotherTimeout(t *testing.T) {
	table := newTable(t, Options{Capacity: 10})
	e := open(t, table, numbered(1, protocolTCP), 0)
	timeout := TicksFor(DefaultTimeouts().Of(Established))
	now := Ticks(0)
	for range 10 {
		now += timeout
		table.Expire(now, plenty)
		if findReply(table, connectionOf(e)) != e {
			t.Fatal("gone in the last tick of its timeout")
		}
		table.Observe(e, Reply, flagACK, now)
	}
	if got := lifetime(t, table, e, now); got <= timeout || got > timeout+slotTicks {
		t.Errorf("lives %d ticks after the last packet, timeout %d", got, timeout)
	}
}

func TestAnOrdinaryPacketDoesNotTouchTheWheel(t *testing.T) {
	table := newTable(t, Options{Capacity: 10})
	e := open(t, table, numbered(1, protocolTCP), 0)
	other := open(t, table, numbered(2, protocolTCP), 0)
	before := *e
	if before.armed != TicksFor(time.Minute) {
		t.Errorf("armed for tick %d, want the deadline of SYN_RECV", before.armed)
	}
	if before.prev != other.self || before.armed != other.armed {
		t.Fatal("two connections opened at once are not listed together")
	}
	table.Observe(e, Request, flagACK, 100)
	table.Observe(e, Request, flagFIN|flagACK, 200)
	if e.armed != before.armed || e.next != before.next || e.prev != before.prev {
		t.Error("a later deadline moved the connection in the wheel")
	}
	table.Observe(e, Reply, flagRST, 201)
	if want := 201 + TicksFor(10*time.Second); e.armed != want {
		t.Errorf("armed for tick %d after a reset, want %d", e.armed, want)
	}
}

func TestAResetShortensTheConnection(t *testing.T) {
	table := newTable(t, Options{Capacity: 10})
	e := open(t, table, numbered(1, protocolTCP), 0)
	// Visits of the wheel have moved it to the deadline of ESTABLISHED.
	now := TicksFor(2 * time.Minute)
	table.Expire(now, plenty)
	table.Observe(e, Reply, flagRST, now)
	timeout := TicksFor(DefaultTimeouts().Of(Close))
	if got := lifetime(t, table, e, now); got <= timeout || got > timeout+slotTicks {
		t.Errorf("lives %d ticks after the reset, timeout %d", got, timeout)
	}
}

func TestNothingExpiresWhileTheClockStandsStillOrGoesBack(t *testing.T) {
	start := TicksFor(time.Hour)
	table := newTable(t, Options{Capacity: 10, Now: start})
	c := numbered(1, protocolTCP)
	insert(table, c, start)
	for _, now := range []Ticks{start, start, start - 1, start - turnTicks, start - 10*turnTicks} {
		if visited := table.Expire(now, plenty); visited != 0 {
			t.Errorf("looked at %d entries at %d", visited, now)
		}
	}
	early := numbered(2, protocolTCP)
	insert(table, early, start-turnTicks)
	table.Expire(start+slotTicks, plenty)
	if findRequest(table, early) != nil {
		t.Error("a connection whose time was long past at Insert is still there")
	}
	if findRequest(table, c) == nil {
		t.Error("the clock's way back cost a connection its time")
	}
}

func TestALeapOfTheClockExpiresWhatIsDueAndNoMore(t *testing.T) {
	for _, leap := range []Ticks{turnTicks - 1, turnTicks, turnTicks + 1, 2*turnTicks + 5, 100*turnTicks + 3, maxTicks} {
		timeouts := DefaultTimeouts()
		timeouts.Set((leap + 10).Duration(), 0, 0)
		table := newTable(t, Options{Capacity: 2000, Timeouts: timeouts})
		long := open(t, table, numbered(0, protocolTCP), 0)
		for n := 1; n < 1000; n++ {
			insert(table, numbered(n, protocolTCP), Ticks(n%40))
		}
		if visited := table.Expire(leap, plenty); visited > 1000 {
			t.Errorf("looked %d times at 1000 entries after a leap of %d ticks", visited, leap)
		}
		if table.Len() != 1 || findRequest(table, connectionOf(long)) != long {
			t.Fatalf("%d connections left after a leap of %d ticks, want the long one", table.Len(), leap)
		}
		if leap+10 > maxTicks {
			continue
		}
		if got := lifetime(t, table, long, leap); got <= 10 || got > 10+slotTicks {
			t.Errorf("after a leap of %d ticks it lives %d, want 10 and at most one slot", leap, got)
		}
	}
}

func TestTheBudgetBoundsTheWork(t *testing.T) {
	table := newTable(t, Options{Capacity: 1000})
	for n := range 1000 {
		insert(table, numbered(n, protocolTCP), 0)
	}
	now := TicksFor(time.Minute)
	for left := 1000; left > 0; left -= 7 {
		if got, want := table.Expire(now, 7), min(7, left); got != want {
			t.Fatalf("looked at %d entries with %d left, want %d", got, left, want)
		}
		if want := max(0, left-7); table.Len() != want {
			t.Fatalf("%d connections left, want %d", table.Len(), want)
		}
	}
	if got := table.Expire(now, 7); got != 0 {
		t.Errorf("looked at %d entries of an empty table", got)
	}
	if got := table.Expire(now, 0); got != 0 {
		t.Errorf("looked at %d entries with a budget of 0", got)
	}
}

func TestAShorterTimeoutCountsForIdleConnectionsToo(t *testing.T) {
	table := newTable(t, Options{Capacity: 1000})
	for n := range 100 {
		open(t, table, numbered(n, protocolTCP), 0)
	}
	now := TicksFor(5 * time.Minute)
	table.Expire(now, plenty) // now listed under 15 minutes
	timeouts := DefaultTimeouts()
	timeouts.Set(6*time.Minute, 0, 0)
	table.SetTimeouts(timeouts)
	for table.Expire(now, 8) == 8 {
	}
	if table.Len() != 100 {
		t.Fatalf("%d connections left of 100, one minute before the new timeout", table.Len())
	}
	table.Expire(TicksFor(6*time.Minute)+slotTicks, plenty)
	if table.Len() != 0 {
		t.Errorf("%d connections outlive the new timeout", table.Len())
	}
}

func TestTheWheelDoesNotKeepAShorterTimeoutWaiting(t *testing.T) {
	table := newTable(t, Options{Capacity: 10_000})
	for n := range 100 {
		open(t, table, numbered(n, protocolTCP), 0)
	}
	now := TicksFor(5 * time.Minute)
	table.Expire(now, plenty)
	timeouts := DefaultTimeouts()
	timeouts.Set(time.Minute, 0, 0)
	table.SetTimeouts(timeouts)
	flood(table, 1000, 5000) // long past: all due at once
	now += slotTicks
	for range 30 {
		if visited := table.Expire(now, 8); visited != 8 {
			t.Fatalf("looked at %d entries, want all of the budget", visited)
		}
	}
	for n := range 100 {
		if findRequest(table, numbered(n, protocolTCP)) != nil {
			t.Fatalf("connection %d outlives the new timeout while others expire", n)
		}
	}
	if table.Len() >= 5000 {
		t.Error("nothing expires while connections are held against the new timeout")
	}
}

func TestALongerTimeoutCountsAtOnce(t *testing.T) {
	table := newTable(t, Options{Capacity: 10})
	e := open(t, table, numbered(1, protocolTCP), 0)
	timeouts := DefaultTimeouts()
	timeouts.Set(time.Hour, 0, 0)
	table.SetTimeouts(timeouts)
	timeout := TicksFor(time.Hour)
	if got := lifetime(t, table, e, 0); got <= timeout || got > timeout+slotTicks {
		t.Errorf("lives %d ticks, timeout %d", got, timeout)
	}
}

func TestInRealTimeNoConnectionGoesEarly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Int64Range(0, 1<<60).Draw(t, "start")
		timeout := time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "timeout"))
		timeouts := DefaultTimeouts()
		timeouts.Set(0, 0, timeout)
		table, err := New(Options{Capacity: 1, Timeouts: timeouts, Now: TicksOf(start)})
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close()
		insert(table, numbered(1, protocolUDP), TicksOf(start))
		table.Expire(TicksOf(start+int64(timeout)), plenty)
		if table.Len() != 1 {
			t.Fatal("gone before its timeout")
		}
		// One tick by rounding up, one for each end that a tick hides, and the slot.
		const late = slotTicks + 2
		table.Expire(TicksOf(start+int64(timeout))+late, plenty)
		if table.Len() != 0 {
			t.Fatalf("still there %v after its timeout", Ticks(late).Duration())
		}
	})
}
