package conntrack

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestATableOfProfileRFCStaysWhole shows a small table any segments of few
// connections, with numbers that are often right, and holds its links and counts
// against one another.
func TestATableOfProfileRFCStaysWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, err := New(Options{Capacity: rapid.IntRange(1, 20).Draw(t, "capacity"), Profile: RFC, Timeouts: RFC.Timeouts()})
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close()
		now, active := Ticks(0), 0
		table.removed = func(e *Entry) {
			if e.Active() {
				active--
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				checkTable(t, table)
				checkRFC(t, table, active)
			},
			"segment": func(t *rapid.T) {
				c := numbered(rapid.IntRange(0, 9).Draw(t, "connection"), protocolTCP)
				e := findRequest(table, c)
				if e == nil {
					e = insert(table, c, now)
				}
				if e == nil {
					return // all that are there are established
				}
				dir := Direction(rapid.IntRange(0, 1).Draw(t, "direction"))
				before := *e
				active += table.ObserveSegment(e, dir, drawSegment(t, dir, &table.numbers[e.self]), now)
				if e.lastSeen != now && (e.State != before.State || e.flags != before.flags) {
					t.Fatalf("from %v to %v without being seen", before.State, e.State)
				}
			},
			"expire": func(t *rapid.T) {
				now += Ticks(rapid.IntRange(0, 2*int(TicksFor(rfcTransitory))).Draw(t, "ticks"))
				table.Expire(now, plenty)
			},
		})
	})
}

// drawSegment draws one whose numbers are near those of the connection.
func drawSegment(t *rapid.T, dir Direction, n *numbers) Segment {
	near := rapid.SampledFrom([]uint32{0, 0, 0, 1, ^uint32(0), 100, 1 << 31})
	return Segment{
		Sequence:       rapid.SampledFrom([]uint32{n.next[dir], n.acked[1-dir]}).Draw(t, "sequence") + near.Draw(t, "away"),
		Acknowledgment: rapid.SampledFrom([]uint32{n.next[1-dir], n.acked[dir]}).Draw(t, "acknowledgment") + near.Draw(t, "away"),
		Length:         rapid.SampledFrom([]uint32{0, 0, 1, 100, 65_000}).Draw(t, "length"),
		Flags:          uint8(rapid.IntRange(0, numFlags-1).Draw(t, "flags")),
	}
}

// checkRFC fails when a connection is in a state that the profile has not, or the
// changes of the active ones do not add up.
func checkRFC(t failer, table *Table, active int) {
	t.Helper()
	reached := []State{None, SynRecv, SynAck, Established, CloseWait, FinWait, TimeWait, Close}
	table.Walk(0, table.Capacity()+1, func(e *Entry) {
		if e.Active() {
			active--
		}
		if !slices.Contains(reached, e.State) || RFC.Timeouts().Of(e.State) == 0 {
			t.Fatalf("state %v", e.State)
		}
		if open := e.State == Established || e.State == CloseWait || e.State == FinWait; open && e.flags&proven == 0 {
			t.Fatalf("%v, and nobody has proven that it is a connection", e.State)
		}
	})
	if active != 0 {
		t.Fatalf("the changes of active connections do not add up: %d too many", active)
	}
}
