package conntrack

import (
	"fmt"
	"testing"
	"time"

	"lvsnat/checksum"
)

// The other half of the tests' connections: one service on one realserver.
const (
	testVIP, testVPort = 0xc0a8016e, 80   // 192.168.1.110:80
	testRIP, testRPort = 0x0a010102, 8000 // 10.1.1.2:8000
)

// newTable returns a table that is closed with the test.
func newTable(t testing.TB, o Options) *Table {
	t.Helper()
	table, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	})
	return table
}

// numbered returns the connection of client n to the test's service. Clients
// 16 apart share an address.
func numbered(n int, protocol uint8) Connection {
	return Connection{
		ClientAddr: 0x0a000000 + uint32(n>>4), ClientPort: 1024 + uint16(n&15),
		VirtualAddr: testVIP, VirtualPort: testVPort,
		RealAddr: testRIP, RealPort: testRPort,
		Protocol: protocol, Dest: uint32(n),
	}
}

const protocolUDP = 17

// The table's methods for a whole connection.

func insert(t *Table, c Connection, now Ticks) *Entry {
	return t.Insert(t.Hash(c.ClientAddr, c.ClientPort, c.Protocol), c, now)
}

func carriesRequest(e *Entry, c Connection) bool {
	return e.Carries(Request, c.ClientAddr, c.ClientPort, c.VirtualAddr, c.VirtualPort, c.Protocol)
}

func findRequest(t *Table, c Connection) *Entry {
	h := t.Hash(c.ClientAddr, c.ClientPort, c.Protocol)
	return t.FindRequest(h, c.ClientAddr, c.ClientPort, c.VirtualAddr, c.VirtualPort, c.Protocol)
}

func findReply(t *Table, c Connection) *Entry {
	h := t.Hash(c.ClientAddr, c.ClientPort, c.Protocol)
	return t.FindReply(h, c.ClientAddr, c.ClientPort, c.RealAddr, c.RealPort, c.Protocol)
}

// open inserts a TCP connection and shakes hands.
func open(t testing.TB, table *Table, c Connection, now Ticks) *Entry {
	t.Helper()
	e := insert(table, c, now)
	if e == nil {
		t.Fatal("no room for a connection")
	}
	table.Observe(e, Request, flagSYN, now)
	table.Observe(e, Reply, flagSYN|flagACK, now)
	table.Observe(e, Request, flagACK, now)
	if e.State != Established {
		t.Fatalf("state %v after the handshake", e.State)
	}
	return e
}

// connectionOf returns what an entry says of its connection.
func connectionOf(e *Entry) Connection {
	return Connection{e.ClientAddr, e.VirtualAddr, e.RealAddr, e.ClientPort, e.VirtualPort, e.RealPort, e.Protocol, e.Dest}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, capacity := range []int{-1, 0, maxCapacity + 1} {
		if table, err := New(Options{Capacity: capacity}); err == nil {
			t.Errorf("capacity %d is accepted", capacity)
			table.Close()
		}
	}
}

func TestAConnectionIsFoundFromBothDirections(t *testing.T) {
	table := newTable(t, Options{Capacity: 10})
	c := numbered(1, protocolTCP)
	if findRequest(table, c) != nil || findReply(table, c) != nil {
		t.Fatal("found in an empty table")
	}
	e := insert(table, c, 0)
	if connectionOf(e) != c {
		t.Errorf("the entry says %+v, want %+v", connectionOf(e), c)
	}
	if findRequest(table, c) != e || findReply(table, c) != e {
		t.Error("not found after Insert")
	}
	table.Remove(e)
	if findRequest(table, c) != nil || findReply(table, c) != nil {
		t.Error("found after Remove")
	}
}

func TestAPacketMustNameTheConnectionExactly(t *testing.T) {
	table := newTable(t, Options{Capacity: 10})
	c := numbered(1, protocolTCP)
	insert(table, c, 0)
	for name, change := range map[string]func(*Connection){
		"another client address":  func(c *Connection) { c.ClientAddr++ },
		"another client port":     func(c *Connection) { c.ClientPort++ },
		"another protocol":        func(c *Connection) { c.Protocol = protocolUDP },
		"another server address":  func(c *Connection) { c.VirtualAddr++; c.RealAddr++ },
		"another server port":     func(c *Connection) { c.VirtualPort++; c.RealPort++ },
		"servers' ends exchanged": func(c *Connection) { c.VirtualAddr, c.RealAddr = c.RealAddr, c.VirtualAddr },
	} {
		t.Run(name, func(t *testing.T) {
			other := c
			change(&other)
			// Under the hash of the true connection: the entry itself must
			// tell the difference, not only the hash.
			h := table.Hash(c.ClientAddr, c.ClientPort, c.Protocol)
			if table.FindRequest(h, other.ClientAddr, other.ClientPort, other.VirtualAddr, other.VirtualPort, other.Protocol) != nil {
				t.Error("found as a request")
			}
			if table.FindReply(h, other.ClientAddr, other.ClientPort, other.RealAddr, other.RealPort, other.Protocol) != nil {
				t.Error("found as a reply")
			}
		})
	}
}

func TestTheDeltasAreThoseOfARequest(t *testing.T) {
	table := newTable(t, Options{Capacity: 10})
	e := insert(table, numbered(1, protocolTCP), 0)
	address := checksum.Delta32(testVIP, testRIP)
	if e.AddrDelta != address {
		t.Errorf("address delta %#x, want %#x", e.AddrDelta, address)
	}
	if want := address.Add(checksum.Delta16(testVPort, testRPort)); e.FullDelta != want {
		t.Errorf("full delta %#x, want %#x", e.FullDelta, want)
	}
}

func TestANewConnectionIsInactiveAndHalfOpen(t *testing.T) {
	for protocol, want := range map[uint8]State{protocolTCP: None, protocolUDP: UDP} {
		table := newTable(t, Options{Capacity: 10})
		e := insert(table, numbered(1, protocol), 100)
		if e.State != want || e.Active() || e.Replied() || e.Hop != 0 || e.HopEpoch != 0 {
			t.Errorf("protocol %d begins as %+v", protocol, *e)
		}
		if table.Len() != 1 || table.HalfOpen() != 1 || !e.HalfOpen() || !e.Evictable() {
			t.Errorf("protocol %d: %d connections, %d half-open", protocol, table.Len(), table.HalfOpen())
		}
	}
}

// A step is one packet and what it is to do.
type step struct {
	dir      Direction
	flags    uint8
	state    State
	change   int
	halfOpen int
}

func TestALifeOfATCPConnection(t *testing.T) {
	table := newTable(t, Options{Capacity: 10})
	e := insert(table, numbered(1, protocolTCP), 0)
	now := Ticks(0)
	for i, s := range []step{
		{Request, flagSYN, SynRecv, +1, 1},
		{Request, flagSYN, SynRecv, 0, 1},
		{Reply, flagSYN | flagACK, SynRecv, 0, 1},
		{Request, flagACK, Established, 0, 0},
		{Request, flagACK | flagPSH, Established, 0, 0},
		{Reply, flagACK | flagPSH, Established, 0, 0},
		{Request, flagFIN | flagACK, CloseWait, -1, 0},
		{Reply, flagACK, CloseWait, 0, 0},
		{Reply, flagFIN | flagACK, TimeWait, 0, 0},
		{Request, flagACK, TimeWait, 0, 0},
		{Request, flagSYN, SynRecv, +1, 1},
		{Request, flagRST, SynRecv, 0, 1},
		{Reply, flagRST, Close, -1, 0},
	} {
		now += 3
		change := table.Observe(e, s.dir, s.flags, now)
		if got := (step{s.dir, s.flags, e.State, change, table.HalfOpen()}); got != s {
			t.Errorf("packet %d: %+v, want %+v", i, got, s)
		}
		if e.Active() != e.State.Active() {
			t.Errorf("packet %d: active %v in state %v", i, e.Active(), e.State)
		}
		if got, want := table.Expires(e, now), TicksFor(DefaultTimeouts().Of(s.state)).Duration(); got != want {
			t.Errorf("packet %d: expires in %v, want %v", i, got, want)
		}
	}
}

func TestUDPIsHalfOpenUntilTheRealserverAnswers(t *testing.T) {
	table := newTable(t, Options{Capacity: 10})
	e := insert(table, numbered(1, protocolUDP), 0)
	for i, s := range []step{
		{Request, 0, UDP, 0, 1},
		{Request, 0xff, UDP, 0, 1},
		{Reply, 0, UDP, 0, 0},
		{Request, 0, UDP, 0, 0},
	} {
		change := table.Observe(e, s.dir, s.flags, Ticks(i))
		if got := (step{s.dir, s.flags, e.State, change, table.HalfOpen()}); got != s {
			t.Errorf("datagram %d: %+v, want %+v", i, got, s)
		}
	}
}

// Nobody but the client says that this connection is established.
func TestAHandshakeWithoutTheRealserverStaysHalfOpen(t *testing.T) {
	table := newTable(t, Options{Capacity: 10})
	e := insert(table, numbered(1, protocolTCP), 0)
	table.Observe(e, Request, flagSYN, 0)
	table.Observe(e, Request, flagACK, 0)
	if e.State != Established || !e.HalfOpen() || !e.Evictable() || table.HalfOpen() != 1 {
		t.Errorf("%v, half-open %v, evictable %v", e.State, e.HalfOpen(), e.Evictable())
	}
	table.Observe(e, Reply, flagACK, 0)
	if e.HalfOpen() || e.Evictable() || table.HalfOpen() != 0 {
		t.Error("still half-open after the realserver's answer")
	}
}

func TestRemovingTwiceRemovesOnce(t *testing.T) {
	calls := 0
	table := newTable(t, Options{Capacity: 10, Removed: func(*Entry) { calls++ }})
	e := insert(table, numbered(1, protocolTCP), 0)
	other := insert(table, numbered(2, protocolTCP), 0)
	table.Remove(e)
	table.Remove(e)
	if calls != 1 || table.Len() != 1 || findRequest(table, connectionOf(other)) != other {
		t.Errorf("%d removals told, %d connections left", calls, table.Len())
	}
}

func TestRemovedSeesTheEntryAsItWas(t *testing.T) {
	var seen []Entry
	table := newTable(t, Options{Capacity: 1, Removed: func(e *Entry) { seen = append(seen, *e) }})
	first := *open(t, table, numbered(1, protocolTCP), 5)
	table.Remove(findRequest(table, connectionOf(&first)))
	if len(seen) != 1 || connectionOf(&seen[0]) != connectionOf(&first) || !seen[0].Active() || seen[0].State != Established {
		t.Errorf("told of %+v, want %+v", seen, first)
	}
}

// One client port towards many services: all have the same hash.
func TestOneClientPortMayTalkToManyServices(t *testing.T) {
	table := newTable(t, Options{Capacity: 10_000})
	service := func(n int) Connection {
		c := numbered(1, protocolTCP)
		c.VirtualAddr, c.RealAddr = c.VirtualAddr+uint32(n), c.RealAddr+uint32(n)
		return c
	}
	inserted := 0
	for insert(table, service(inserted), 0) != nil {
		inserted++
	}
	if inserted != maxProbe*slots {
		t.Errorf("%d connections of one client port, want %d", inserted, maxProbe*slots)
	}
	if insert(table, numbered(1<<20, protocolTCP), 0) == nil {
		t.Error("another client is refused too")
	}
	// Every second goes; the rest must still be found behind the gaps.
	for n := 0; n < inserted; n += 2 {
		table.Remove(findRequest(table, service(n)))
	}
	for n := range inserted {
		if found := findReply(table, service(n)) != nil; found != (n%2 == 1) {
			t.Fatalf("connection %d of %d: found %v", n, inserted, found)
		}
	}
	for n := 1; n < inserted; n += 2 {
		table.Remove(findReply(table, service(n)))
	}
	table.Remove(findRequest(table, numbered(1<<20, protocolTCP)))
	for i := range table.buckets {
		if table.buckets[i] != (bucket{}) {
			t.Fatalf("bucket %d of the empty table is %+v", i, table.buckets[i])
		}
	}
}

func TestTablesOfEverySmallSizeFillUp(t *testing.T) {
	for capacity := 1; capacity <= 200; capacity++ {
		table := newTable(t, Options{Capacity: capacity, Seed: uint64(capacity)})
		for n := range capacity {
			if insert(table, numbered(n, protocolTCP), 0) == nil {
				t.Fatalf("capacity %d: no room for connection %d", capacity, n)
			}
		}
		for n := range capacity {
			if findRequest(table, numbered(n, protocolTCP)) == nil {
				t.Fatalf("capacity %d: connection %d is lost", capacity, n)
			}
		}
	}
}

func TestWalkShowsEachConnectionOnce(t *testing.T) {
	for _, piece := range []int{1, 7, 1000} {
		t.Run(fmt.Sprintf("in pieces of %d", piece), func(t *testing.T) {
			table := newTable(t, Options{Capacity: 100})
			for n := range 60 {
				insert(table, numbered(n, protocolTCP), 0)
			}
			for n := 0; n < 60; n += 3 {
				table.Remove(findRequest(table, numbered(n, protocolTCP)))
			}
			seen := map[uint32]int{}
			cursor, more := uint32(0), true
			for more {
				cursor, more = table.Walk(cursor, piece, func(e *Entry) {
					seen[e.Dest]++
					table.Remove(e)
				})
			}
			for n := range 60 {
				if want := min(1, n%3); seen[uint32(n)] != want {
					t.Errorf("connection %d is shown %d times, want %d", n, seen[uint32(n)], want)
				}
			}
			if table.Len() != 0 {
				t.Errorf("%d connections left, want all removed on the walk", table.Len())
			}
		})
	}
}

func TestWalkOfAnEmptyTableEnds(t *testing.T) {
	table := newTable(t, Options{Capacity: 10})
	for _, cursor := range []uint32{0, 1, 7, 1<<32 - 1} {
		if _, more := table.Walk(cursor, 100, func(*Entry) { t.Error("a connection is shown") }); more {
			t.Errorf("more after cursor %d", cursor)
		}
	}
}

func TestExpiresIsNeverNegative(t *testing.T) {
	table := newTable(t, Options{Capacity: 10})
	e := insert(table, numbered(1, protocolTCP), 0)
	if got := table.Expires(e, TicksFor(time.Hour)); got != 0 {
		t.Errorf("expires in %v, want 0 when the time has passed", got)
	}
}

func TestATableTakesItsCapacityHoweverOftenItsConnectionsChange(t *testing.T) {
	const capacity = 100_000
	table := newTable(t, Options{Capacity: capacity, Seed: 3})
	for n := range 4 * capacity {
		if insert(table, numbered(n, protocolTCP), 0) == nil {
			t.Fatalf("no room for connection %d with %d of %d", n, table.Len(), capacity)
		}
	}
	if table.Len() != capacity {
		t.Errorf("%d connections, want %d", table.Len(), capacity)
	}
}

func TestTouchTakesBatchesOfAnySize(t *testing.T) {
	table := newTable(t, Options{Capacity: 10_000})
	var hashes []Hash
	for n := range 1000 {
		c := numbered(n, protocolTCP)
		insert(table, c, 0)
		hashes = append(hashes, table.Hash(c.ClientAddr, c.ClientPort, c.Protocol))
	}
	table.Touch(nil, nil)
	for _, size := range []int{1, touchBatch - 1, touchBatch, touchBatch + 1, len(hashes)} {
		likely := make([]*Entry, size)
		table.Touch(hashes[:size], likely)
		right := 0
		for n, e := range likely {
			if carriesRequest(e, numbered(n, protocolTCP)) {
				right++
			}
		}
		// Another entry of the bucket may have the same tag, or the entry may
		// have found no room in its home.
		if right < size*9/10 {
			t.Errorf("of %d entries %d were found", size, right)
		}
	}
	checkTable(t, table)
}

func TestAnEntryThatHasLeftCarriesNothing(t *testing.T) {
	table := newTable(t, Options{Capacity: 10})
	c := numbered(1, protocolTCP)
	e := insert(table, c, 0)
	if !carriesRequest(e, c) {
		t.Error("the entry does not know its connection")
	}
	table.Remove(e)
	if carriesRequest(e, c) {
		t.Error("the entry carries packets of a connection that was removed")
	}
}
