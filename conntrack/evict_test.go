package conntrack

import "testing"

// fill opens n connections, numbered from first.
func fill(t *testing.T, table *Table, first, n int) {
	t.Helper()
	for i := range n {
		open(t, table, numbered(first+i, protocolTCP), 0)
	}
}

// flood inserts n connections of which only a SYN is seen, numbered from
// first, and returns how many found room.
func flood(table *Table, first, n int) (inserted int) {
	for i := range n {
		if e := insert(table, numbered(first+i, protocolTCP), 0); e != nil {
			table.Observe(e, Request, flagSYN, 0)
			inserted++
		}
	}
	return inserted
}

func TestAFullTableOfEstablishedConnectionsRefuses(t *testing.T) {
	table := newTable(t, Options{Capacity: 1000})
	fill(t, table, 0, 1000)
	if got := flood(table, 1000, 5000); got != 0 {
		t.Errorf("%d SYNs found room", got)
	}
	if table.Len() != 1000 || table.Evicted() != 0 {
		t.Errorf("%d connections, %d evicted", table.Len(), table.Evicted())
	}
}

func TestEstablishedConnectionsSurviveAFlood(t *testing.T) {
	table := newTable(t, Options{Capacity: 1000})
	fill(t, table, 0, 500)
	if got := flood(table, 1000, 100_000); got != 100_000 {
		t.Errorf("%d SYNs of 100000 found room", got)
	}
	for n := range 500 {
		if findRequest(table, numbered(n, protocolTCP)) == nil {
			t.Fatalf("established connection %d made way for a SYN", n)
		}
	}
	if unused := 1000 - table.Len(); unused >= leavers || table.Evicted() != uint64(99_500+unused) {
		t.Errorf("%d connections, %d evicted", table.Len(), table.Evicted())
	}
}

func TestEveryHalfOpenConnectionIsFoundHoweverRare(t *testing.T) {
	const capacity = 10_000
	table := newTable(t, Options{Capacity: capacity})
	fill(t, table, 0, capacity/2)
	flood(table, capacity/2, 1)
	fill(t, table, capacity/2+1, capacity/2-1)
	for n := range 100 {
		if flood(table, 2*capacity+n, 1) != 1 {
			t.Fatal("the half-open connection was not found")
		}
	}
	if findRequest(table, numbered(capacity/2, protocolTCP)) != nil || table.Len() != capacity {
		t.Errorf("%d connections, the half-open one among them", table.Len())
	}
}

// A client that answers within the time in which the flood fills its share of
// the table gets its connection, always.
func TestAHandshakeSurvivesAFloodOfOneTable(t *testing.T) {
	const capacity = 1000
	table := newTable(t, Options{Capacity: capacity})
	next := capacity
	flood(table, next, capacity)
	for n := range 200 {
		c := numbered(n, protocolTCP)
		e := insert(table, c, 0)
		if e == nil {
			t.Fatalf("connection %d finds no room", n)
		}
		table.Observe(e, Request, flagSYN, 0)
		next += capacity
		halfOpen := table.HalfOpen()
		flood(table, next, halfOpen-2*leavers)
		if e = findReply(table, c); e == nil {
			t.Fatalf("connection %d made way before %d newer ones", n, halfOpen-2*leavers)
		}
		table.Observe(e, Reply, flagSYN|flagACK, 0)
		table.Observe(e, Request, flagACK, 0)
	}
	next += capacity
	flood(table, next, 10*capacity)
	for n := range 200 {
		if e := findRequest(table, numbered(n, protocolTCP)); e == nil || e.State != Established {
			t.Fatalf("connection %d is lost", n)
		}
	}
}

func TestHalfOpenConnectionsMakeWayBeforeClosingOnes(t *testing.T) {
	table := newTable(t, Options{Capacity: 10})
	var closing []Connection
	for n := range 5 {
		c := numbered(n, protocolTCP)
		e := open(t, table, c, 0)
		table.Observe(e, Request, flagFIN|flagACK, 0)
		table.Observe(e, Reply, flagFIN|flagACK, 0)
		closing = append(closing, c)
	}
	flood(table, 100, 5)
	fill(t, table, 200, 5)
	for _, c := range closing {
		if findRequest(table, c) == nil {
			t.Fatalf("%+v made way though others were half-open", c)
		}
	}
	fill(t, table, 300, 5)
	for _, c := range closing {
		if findRequest(table, c) != nil {
			t.Fatalf("%+v is still there though only established ones should be", c)
		}
	}
	if insert(table, numbered(400, protocolTCP), 0) != nil {
		t.Error("an established connection made way")
	}
	if table.Evicted() != 10 || table.Len() != 10 {
		t.Errorf("%d evicted, %d left, want 10 and 10", table.Evicted(), table.Len())
	}
}

func TestAnUnansweredUDPExchangeMakesWayAndAnAnsweredOneStays(t *testing.T) {
	table := newTable(t, Options{Capacity: 2})
	answered, unanswered := numbered(1, protocolUDP), numbered(2, protocolUDP)
	table.Observe(insert(table, answered, 0), Reply, 0, 0)
	insert(table, unanswered, 0)
	if insert(table, numbered(3, protocolUDP), 0) == nil {
		t.Fatal("no room")
	}
	if findRequest(table, unanswered) != nil || findRequest(table, answered) == nil {
		t.Error("the answered exchange made way")
	}
}

func TestRemovedIsToldOfEvictedConnections(t *testing.T) {
	var removed []uint32
	table := newTable(t, Options{Capacity: 3, Removed: func(e *Entry) { removed = append(removed, e.Dest) }})
	flood(table, 0, 5)
	if len(removed) != 2 || removed[0] != 0 || removed[1] != 1 {
		t.Errorf("told of %v, want [0 1]", removed)
	}
}
