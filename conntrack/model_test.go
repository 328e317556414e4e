package conntrack

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A reference is the naive table: a map of what each connection is known to
// be. It does not say when an expired connection goes, nor which one makes
// way, but it judges every connection that does.
type reference struct {
	t        failer
	table    *Table
	now      Ticks
	timeouts Timeouts
	known    map[Connection]*known
	leaving  reason // why a connection may leave at the moment
	evicted  uint64
}

// A failer is what the tests and fuzz targets have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

type known struct {
	state    State
	replied  bool
	active   bool
	lastSeen Ticks
}

type reason int

const (
	mustStay reason = iota
	isRemoved
	mayExpire
	mayMakeWay
)

func newReference(t failer, capacity int, seed uint64, now Ticks) *reference {
	m := &reference{t: t, now: now, timeouts: DefaultTimeouts(), known: map[Connection]*known{}}
	var err error
	m.table, err = New(Options{Capacity: capacity, Seed: seed, Timeouts: m.timeouts, Now: now, Removed: m.removed})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return m
}

func (m *reference) close() {
	if err := m.table.Close(); err != nil {
		m.t.Fatalf("%v", err)
	}
}

// idle returns how long a connection has been idle, and its timeout.
func (m *reference) idle(k *known) (idle, timeout Ticks) {
	return m.now - k.lastSeen, TicksFor(m.timeouts.Of(k.state))
}

func (k *known) evictable() bool {
	return k.state.Evictable() || !k.replied
}

func (k *known) halfOpen() bool {
	switch k.state {
	case None, SynSent, SynRecv, SynAck:
		return true
	case TimeWait, Close, LastAck:
		return false
	}
	return !k.replied
}

// removed judges a connection that leaves the table.
func (m *reference) removed(e *Entry) {
	c := connectionOf(e)
	k := m.known[c]
	if k == nil {
		m.t.Fatalf("unknown connection %+v leaves", c)
	}
	if e.State != k.state || e.Active() != k.active || e.Replied() != k.replied {
		m.t.Fatalf("%+v leaves as %v, active %v, replied %v, want %+v", c, e.State, e.Active(), e.Replied(), *k)
	}
	idle, timeout := m.idle(k)
	switch m.leaving {
	case mustStay:
		m.t.Fatalf("%+v leaves without a reason", c)
	case mayExpire:
		if idle <= timeout {
			m.t.Fatalf("%+v in %v expires after %d ticks, timeout %d", c, k.state, idle, timeout)
		}
	case mayMakeWay:
		if !k.evictable() {
			m.t.Fatalf("%+v makes way in %v", c, k.state)
		}
		if !k.halfOpen() && m.table.HalfOpen() > 0 {
			m.t.Fatalf("%+v makes way in %v, though %d others are half-open", c, k.state, m.table.HalfOpen())
		}
		if atOnce := 1 + m.table.Capacity()/64; len(m.known) <= m.table.Capacity()-atOnce {
			m.t.Fatalf("%+v makes way in a table that is not full", c)
		}
		m.evicted++
	}
	delete(m.known, c)
}

// during does one call that connections may leave in, for one reason.
func (m *reference) during(r reason, call func()) {
	m.leaving = r
	call()
	m.leaving = mustStay
}

func (m *reference) insert(c Connection) {
	if m.known[c] != nil {
		return
	}
	full := len(m.known) == m.table.Capacity()
	var e *Entry
	m.during(mayMakeWay, func() { e = insert(m.table, c, m.now) })
	if e == nil {
		if !full {
			m.t.Fatalf("no room with %d of %d", len(m.known), m.table.Capacity())
		}
		for other, k := range m.known {
			if k.evictable() {
				m.t.Fatalf("no room, though %+v in %v could make way", other, k.state)
			}
		}
		return
	}
	k := &known{state: UDP, lastSeen: m.now}
	if c.Protocol == protocolTCP {
		k.state = None
	}
	m.known[c] = k
}

func (m *reference) observe(c Connection, dir Direction, flags uint8) {
	e := m.find(c)
	if e == nil {
		return
	}
	k := m.known[c]
	k.lastSeen = m.now
	k.replied = k.replied || dir == Reply
	if k.state != UDP {
		k.state = k.state.next(dir, flags)
	}
	want := 0
	switch active := k.state.Active(); {
	case active && !k.active:
		want = +1
	case !active && k.active:
		want = -1
	}
	k.active = k.state.Active()
	if got := m.table.Observe(e, dir, flags, m.now); got != want {
		m.t.Fatalf("change of active connections %d, want %d", got, want)
	}
}

func (m *reference) remove(c Connection) {
	if e := m.find(c); e != nil {
		m.during(isRemoved, func() { m.table.Remove(e) })
		if m.known[c] != nil {
			m.t.Fatalf("%+v stays after Remove", c)
		}
	}
}

// find looks a connection up in all ways and compares it with what is known.
func (m *reference) find(c Connection) *Entry {
	var likely [1]*Entry
	m.table.Touch([]Hash{m.table.Hash(c.ClientAddr, c.ClientPort, c.Protocol)}, likely[:])
	e, back := findRequest(m.table, c), findReply(m.table, c)
	if l := likely[0]; l != e && carriesRequest(l, c) {
		m.t.Fatalf("%+v: %v carries it, but %v is found", c, *l, e)
	}
	k := m.known[c]
	if (e != nil) != (k != nil) || e != back {
		m.t.Fatalf("%+v: request finds %v, reply finds %v, known %v", c, e, back, k)
	}
	if e == nil {
		return nil
	}
	if connectionOf(e) != c || e.State != k.state || e.Active() != k.active || e.Replied() != k.replied || e.HalfOpen() != k.halfOpen() {
		m.t.Fatalf("found %+v, want %+v of %+v", *e, *k, c)
	}
	idle, timeout := m.idle(k)
	if got, want := m.table.Expires(e, m.now), Ticks(max(0, int32(timeout-idle))).Duration(); got != want {
		m.t.Fatalf("expires in %v, want %v", got, want)
	}
	return e
}

// expire lets time pass and calls Expire until nothing is due.
func (m *reference) expire(passed Ticks, budget int) {
	m.now += passed
	m.during(mayExpire, func() {
		for visited := budget; visited >= budget; {
			visited = m.table.Expire(m.now, budget)
			if visited > budget {
				m.t.Fatalf("looked at %d entries with a budget of %d", visited, budget)
			}
		}
	})
	for c, k := range m.known {
		if idle, timeout := m.idle(k); idle >= timeout+slotTicks {
			m.t.Fatalf("%+v in %v is still there after %d ticks, timeout %d", c, k.state, idle, timeout)
		}
	}
}

func (m *reference) setTimeouts(tcp, tcpfin, udp time.Duration) {
	m.timeouts.Set(tcp, tcpfin, udp)
	m.table.SetTimeouts(m.timeouts)
}

// compare holds the whole table against what is known.
func (m *reference) compare() {
	checkTable(m.t, m.table)
	halfOpen := 0
	for c, k := range m.known {
		m.find(c)
		if k.halfOpen() {
			halfOpen++
		}
	}
	if m.table.Len() != len(m.known) || m.table.HalfOpen() != halfOpen || m.table.Evicted() != m.evicted {
		m.t.Fatalf("%d connections, %d half-open, %d evicted, want %d, %d, %d",
			m.table.Len(), m.table.HalfOpen(), m.table.Evicted(), len(m.known), halfOpen, m.evicted)
	}
	shown := 0
	for cursor, more := uint32(0), true; more; {
		cursor, more = m.table.Walk(cursor, 3, func(e *Entry) {
			if m.known[connectionOf(e)] == nil {
				m.t.Fatalf("%+v is shown, but unknown", *e)
			}
			shown++
		})
	}
	if shown != len(m.known) {
		m.t.Fatalf("%d connections shown, want %d", shown, len(m.known))
	}
}

// crossed returns a connection out of few ends, so that many share one.
func crossed(client, service int, protocol uint8) Connection {
	return Connection{
		ClientAddr: 0x0a000001 + uint32(client), ClientPort: 1024,
		VirtualAddr: testVIP, VirtualPort: uint16(service),
		RealAddr: testRIP, RealPort: 8000 + uint16(service),
		Protocol: protocol,
	}
}

func TestTheTableDoesWhatANaiveOneDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newReference(t,
			rapid.IntRange(1, 80).Draw(t, "capacity"),
			rapid.Uint64().Draw(t, "seed"),
			Ticks(rapid.Uint32().Draw(t, "start")))
		defer m.close()
		drawConnection := func(t *rapid.T) Connection {
			return crossed(rapid.IntRange(0, 9).Draw(t, "client"), rapid.IntRange(1, 9).Draw(t, "service"),
				rapid.SampledFrom([]uint8{protocolTCP, protocolUDP}).Draw(t, "protocol"))
		}
		flags := rapid.SampledFrom([]uint8{0, flagSYN, flagACK, flagACK, flagFIN | flagACK, flagRST, flagSYN | flagACK})
		t.Repeat(map[string]func(*rapid.T){
			"":       func(*rapid.T) { m.compare() },
			"insert": func(t *rapid.T) { m.insert(drawConnection(t)) },
			"open": func(t *rapid.T) {
				c := drawConnection(t)
				m.insert(c)
				m.observe(c, Request, flagSYN)
				m.observe(c, Reply, flagSYN|flagACK)
				m.observe(c, Request, flagACK)
			},
			"observe": func(t *rapid.T) {
				m.observe(drawConnection(t), Direction(rapid.IntRange(0, 1).Draw(t, "direction")), flags.Draw(t, "flags"))
			},
			"remove": func(t *rapid.T) { m.remove(drawConnection(t)) },
			"find":   func(t *rapid.T) { m.find(drawConnection(t)) },
			"expire": func(t *rapid.T) {
				passed := rapid.OneOf(rapid.Uint32Range(0, 100), rapid.Uint32Range(0, 3*turnTicks)).Draw(t, "ticks")
				m.expire(Ticks(passed), rapid.IntRange(1, 20).Draw(t, "budget"))
			},
			"set timeouts": func(t *rapid.T) {
				seconds := rapid.IntRange(0, 4000)
				m.setTimeouts(time.Duration(seconds.Draw(t, "tcp"))*time.Second,
					time.Duration(seconds.Draw(t, "tcpfin"))*time.Second,
					time.Duration(seconds.Draw(t, "udp"))*time.Second)
			},
		})
	})
}

// FuzzTable reads operations of three bytes each and holds the table against
// the naive one.
func FuzzTable(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{8, 0, 0x00, 0x01, 0, 0x00, 0x0b, 0, 0x00, 2, 0, 0x02, 3, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 3 {
			return
		}
		m := newReference(t, 1+int(data[0]%32), uint64(data[1]), Ticks(data[2])<<24)
		defer m.close()
		for data = data[3:min(len(data), 600)]; len(data) >= 3; data = data[3:] {
			protocol := uint8(protocolTCP)
			if data[1]&0x80 != 0 {
				protocol = protocolUDP
			}
			c := crossed(int(data[1]&7), 1+int(data[1]>>3&15), protocol)
			switch data[0] % 8 {
			case 0, 1:
				m.insert(c)
			case 2, 3:
				m.observe(c, Direction(data[0]>>3&1), data[2])
			case 4:
				m.remove(c)
			case 5:
				m.expire(Ticks(data[2]), 1+int(data[1]))
			case 6:
				m.expire(Ticks(data[1])<<8|Ticks(data[2]), 1+int(data[0]>>3))
			case 7:
				second := time.Second
				m.setTimeouts(time.Duration(data[1])*4*second, time.Duration(data[2])*second, time.Duration(data[0])*second)
			}
			if len(data)%4 == 0 {
				m.compare()
			}
		}
		m.compare()
	})
}
