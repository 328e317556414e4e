package scheduler

import "sync/atomic"

// changes tell which servers of a list may cost something else than when they
// were last looked at: a bit for each, by its place. Workers set bits when a
// connection opens or changes state, without a lock; whoever holds the service's
// lock takes them.
//
// No change is lost: the count is changed before the bit is set, and the bit
// is taken before the count is read. So the reader sees either the new count
// or, the next time, the bit. (Go's atomic operations have one order.)
type changes []atomic.Uint64

// A note is where a server's changes are noted.
type note struct {
	word *atomic.Uint64
	bit  uint64
}

// watch makes the servers note their changes here, and nowhere else any more. All
// of them count as changed at first.
func watch(servers []*Realserver) changes {
	c := make(changes, (len(servers)+63)/64)
	notes := make([]note, len(servers))
	for at, rs := range servers {
		notes[at] = note{&c[at/64], 1 << (at % 64)}
		rs.note.Store(&notes[at])
		notes[at].set()
	}
	return c
}

// unwatch makes the servers note their changes nowhere.
func unwatch(servers []*Realserver) {
	for _, rs := range servers {
		rs.note.Store(nil)
	}
}

// set notes a change. A bit that is set already is left alone, so that workers do
// not take the memory from one another for nothing.
func (n *note) set() {
	if n != nil && n.word.Load()&n.bit == 0 {
		n.word.Or(n.bit)
	}
}

// take returns the bits of one word and clears them.
func (c changes) take(word int) uint64 {
	if c[word].Load() == 0 {
		return 0
	}
	return c[word].Swap(0)
}
