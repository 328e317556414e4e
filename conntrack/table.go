package conntrack

import (
	"fmt"
	"time"
)

// Options of [New].
type Options struct {
	Capacity int      // the hard cap, in connections; at least 1
	Seed     uint64   // secret that keys the hash
	Profile  Profile  // the rules for TCP; the same all the time
	Timeouts Timeouts // of idle connections; those of another profile are refused
	Now      Ticks    // the present

	// Removed, when set, is called when an entry leaves the table for whatever
	// reason, just before its memory may be used again. It must not call the
	// table, but for Overdue.
	Removed func(*Entry)
}

// maxCapacity keeps the table's size in bytes and the numbers of entries far
// from overflowing.
const maxCapacity = 1 << 30

// entriesPerBucket is how many connections there are to a bucket at capacity,
// for 10.7 bytes of index a connection. In a full table of 10 million, whose
// connections had all been replaced twice, no entry was farther than 10 buckets
// from its home. With 7 it was 24; with 8 some found no place within 32.
const entriesPerBucket = 6

// A Table holds the connections of one worker. It may be used by one goroutine
// at a time: it has no locks. No method but New and Close allocates, and none
// calls the system, but a page of the table that is used for the first time is
// cleared by the kernel then.
type Table struct {
	index
	wheel
	memory   memory
	numbers  []numbers // of each entry, under profile RFC
	secret   secret
	timeouts [numStates]Ticks
	removed  func(*Entry)

	capacity int
	length   int
	halfOpen queue // of the half-open connections
	closing  queue // of those that are over
	evicted  uint64

	free  uint32 // first of the freed entries, linked by next; 0: none
	fresh uint32 // first entry that was never used

	reviewed  uint32 // next entry whose deadline may have come forward by SetTimeouts
	reviewEnd uint32 // first entry that need not be looked at

	touched uint64 // what Touch read last; gives its loads a use
}

// New returns an empty table. It fails when the options make no sense or the
// memory cannot be mapped.
func New(o Options) (*Table, error) {
	if o.Capacity < 1 || o.Capacity > maxCapacity {
		return nil, fmt.Errorf("connection table of %d connections: the number must be between 1 and %d", o.Capacity, maxCapacity)
	}
	if o.Timeouts.profile != o.Profile {
		return nil, fmt.Errorf("connection table of profile %v with the timeouts of profile %v", o.Profile, o.Timeouts.profile)
	}
	m, err := mapMemory((o.Capacity+entriesPerBucket-1)/entriesPerBucket, o.Capacity+1, o.Profile == RFC)
	if err != nil {
		return nil, err
	}
	return &Table{
		index:    newIndex(m.buckets),
		wheel:    wheel{entries: m.entries, cursor: o.Now - o.Now%slotTicks},
		memory:   m,
		numbers:  m.numbers,
		secret:   newSecret(o.Seed),
		timeouts: o.Timeouts.ticks(),
		removed:  o.Removed,
		capacity: o.Capacity,
		halfOpen: newQueue(o.Capacity + 1),
		closing:  newQueue(o.Capacity + 1),
		fresh:    1,
	}, nil
}

// Close gives the table's memory back. Neither the table nor any entry may be
// used afterwards. Removed is not called.
func (t *Table) Close() error {
	return t.memory.unmap()
}

// FindRequest returns the connection of a request, or nil. The hash is that of
// the client end, the packet's source.
func (t *Table) FindRequest(h Hash, clientAddr uint32, clientPort uint16, virtualAddr uint32, virtualPort uint16, protocol uint8) *Entry {
	return t.find(h, Request, clientAddr, clientPort, virtualAddr, virtualPort, protocol)
}

// FindReply returns the connection of a reply, or nil. The hash is that of the
// client end, the packet's destination.
func (t *Table) FindReply(h Hash, clientAddr uint32, clientPort uint16, realAddr uint32, realPort uint16, protocol uint8) *Entry {
	return t.find(h, Reply, realAddr, realPort, clientAddr, clientPort, protocol)
}

func (t *Table) find(h Hash, dir Direction, source uint32, sourcePort uint16, destination uint32, destinationPort uint16, protocol uint8) *Entry {
	at := t.home(h)
	for range t.reach {
		b := &t.buckets[at]
		for found := b.match(h.tag()); found != 0; found &= found - 1 {
			e := &t.entries[b.entries[slotOf(found)]]
			if e.Carries(dir, source, sourcePort, destination, destinationPort, protocol) {
				return e
			}
		}
		if !b.overflowed() {
			return nil
		}
		at = t.after(at)
	}
	return nil
}

// Insert enters a connection that is not in the table yet, under the hash of
// its client end. It begins in state NONE (UDP: in its only state), inactive,
// with IPVS's timeout for a connection without a packet; the packet that opens
// it is to be told to Observe.
//
// When the table is full, a half-open connection makes way, or else one that is
// closing. Insert returns nil when there is none of them, or when the same
// client end has some 300 connections (to as many services) already.
func (t *Table) Insert(h Hash, c Connection, now Ticks) *Entry {
	at, slot, ok := t.room(h)
	if !ok {
		return nil
	}
	i := t.allocate()
	if i == 0 {
		return nil
	}
	e := &t.entries[i]
	*e = newEntry(c, i, now)
	t.put(h, at, slot, i)
	t.link(e, t.deadline(e))
	t.enqueue(e)
	t.length++
	return e
}

// allocate returns the number of an entry that is in no list, or 0. Freed
// entries go first, so that memory never used stays so.
func (t *Table) allocate() uint32 {
	if t.free == 0 && int(t.fresh) <= t.capacity {
		t.fresh++
		return t.fresh - 1
	}
	if t.free == 0 && !t.evict() {
		return 0
	}
	i := t.free
	t.free = t.entries[i].next
	return i
}

// Remove takes a connection out of the table. One that has left it already is
// let be.
func (t *Table) Remove(e *Entry) {
	if e.flags&inUse == 0 {
		return
	}
	t.take(t.Hash(e.ClientAddr, e.ClientPort, e.Protocol), e.self)
	t.unlink(e)
	t.dequeue(e)
	t.length--
	if t.removed != nil {
		t.removed(e)
	}
	e.flags = 0
	e.next = t.free
	t.free = e.self
}

// Observe tells the table of a packet of connection e; a TCP connection of
// profile [RFC] is for ObserveSegment. It moves the state
// machine (tcpFlags is the low byte of TCP's flags field, ignored for other
// protocols) and the deadline. It returns +1 when the connection became active,
// -1 when it became inactive, and otherwise 0.
func (t *Table) Observe(e *Entry, dir Direction, tcpFlags uint8, now Ticks) int {
	e.lastSeen = now
	state, flags := e.State.next(dir, tcpFlags), e.flags
	if dir == Reply {
		flags |= replied
	}
	if state == e.State && flags == e.flags {
		return 0
	}
	return t.move(e, state, flags)
}

// move brings an entry into a state and returns the change of the number of
// active connections.
func (t *Table) move(e *Entry, state State, flags uint8) (change int) {
	fresh := e.State == None
	t.dequeue(e)
	e.State, e.flags = state, flags
	t.enqueue(e)
	// A fresh entry is armed with the short timeout of NONE. It is moved now,
	// while its neighbours in the wheel are in the cache, not by a visit when
	// they have left it.
	if deadline := t.deadline(e); fresh || deadline.since(e.armed) < 0 {
		t.unlink(e)
		t.link(e, deadline)
	}
	if state.Active() == e.Active() {
		return 0
	}
	e.flags ^= active
	if e.Active() {
		return +1
	}
	return -1
}

// deadline returns the last time at which an idle entry is still kept.
func (t *Table) deadline(e *Entry) Ticks {
	return e.lastSeen + t.timeouts[e.State]
}

// Expires returns how long the connection has to live if no packet comes.
func (t *Table) Expires(e *Entry, now Ticks) time.Duration {
	return Ticks(max(0, t.deadline(e).since(now))).Duration()
}

// Overdue returns by how much a connection has outlived its timeout: entries
// are looked at some time after that.
func (t *Table) Overdue(e *Entry, now Ticks) time.Duration {
	return Ticks(max(0, now.since(t.deadline(e)))).Duration()
}

// Walk calls each with the connections among the next n entries of the table's
// memory, for listings in bounded pieces. The first cursor is 0; next is the
// following one, and more tells whether there is anything left. A connection that
// stays in the table throughout is seen exactly once; each may remove the one
// that it is given.
func (t *Table) Walk(cursor uint32, n int, each func(*Entry)) (next uint32, more bool) {
	begin := max(cursor, 1)
	end := max(begin, uint32(min(uint64(begin)+uint64(max(n, 0)), uint64(t.fresh))))
	for i := begin; i < end; i++ {
		if e := &t.entries[i]; e.flags&inUse != 0 {
			each(e)
		}
	}
	return end, end < t.fresh
}

// Len returns the number of connections.
func (t *Table) Len() int { return t.length }

// HalfOpen returns how many of them are opened but not established (see
// [Entry.HalfOpen]).
func (t *Table) HalfOpen() int { return t.halfOpen.size }

// Capacity returns the hard cap.
func (t *Table) Capacity() int { return t.capacity }

// Evicted returns how many connections have made way for new ones.
func (t *Table) Evicted() uint64 { return t.evicted }
