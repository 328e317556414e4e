package conntrack

import "math/bits"

// A queue names the entries that may make way, one bit for each entry of the
// table, and a summary with a bit for each word that is not zero. To find one,
// a bit for every 64 entries must be looked at in the worst case, which takes
// 3 us with 10 million entries (BenchmarkEvictionFromATableOfTenMillion).
//
// It is served like a clock: the hand goes on from the last that made way. In
// a flood of SYNs that fills the table, the newcomer takes the place of a
// victim, just behind the hand, and has nearly a whole turn to become
// established: as long as the flood needs for as many SYNs as there are
// half-open connections. Random victims would hit one handshake in ten within
// a tenth of that time.
type queue struct {
	words   []uint64
	summary []uint64
	size    int
	hand    uint32 // where the search goes on
}

// newQueue returns an empty queue for entries of numbers below n.
func newQueue(n int) queue {
	words := (n + 63) / 64
	return queue{words: make([]uint64, words), summary: make([]uint64, (words+63)/64)}
}

func (q *queue) add(entry uint32) {
	q.size++
	q.words[entry/64] |= 1 << (entry % 64)
	q.summary[entry/4096] |= 1 << (entry / 64 % 64)
}

func (q *queue) remove(entry uint32) {
	q.size--
	word := &q.words[entry/64]
	*word &^= 1 << (entry % 64)
	if *word == 0 {
		q.summary[entry/4096] &^= 1 << (entry / 64 % 64)
	}
}

// next returns the first entry of the queue at or after the hand, all around,
// and moves the hand behind it. The queue must not be empty.
func (q *queue) next() uint32 {
	entry, ok := q.from(q.hand)
	if !ok {
		entry, _ = q.from(0)
	}
	q.hand = entry + 1
	return entry
}

// from returns the first entry of the queue that is not below first.
func (q *queue) from(first uint32) (entry uint32, ok bool) {
	word := first / 64
	if int(word) >= len(q.words) {
		return 0, false
	}
	if rest := q.words[word] >> (first % 64); rest != 0 {
		return first + uint32(bits.TrailingZeros64(rest)), true
	}
	word++
	mask := ^uint64(0) << (word % 64)
	for i := word / 64; int(i) < len(q.summary); i++ {
		if found := q.summary[i] & mask; found != 0 {
			word = i*64 + uint32(bits.TrailingZeros64(found))
			return word*64 + uint32(bits.TrailingZeros64(q.words[word])), true
		}
		mask = ^uint64(0)
	}
	return 0, false
}

// evict removes half-open connections, or else closing ones, and reports
// whether there were any. One would do; but of many it takes some together, up
// to a group of leavers, because that is cheaper (see approach).
func (t *Table) evict() bool {
	q := &t.halfOpen
	if q.size == 0 {
		q = &t.closing
	}
	if q.size == 0 {
		return false
	}
	var group [leavers]uint32
	victims := group[:min(leavers, 1+q.size/64)]
	for i := range victims {
		victims[i] = q.next()
	}
	t.approach(victims)
	for _, victim := range victims {
		t.Remove(&t.entries[victim])
		t.evicted++
	}
	return true
}

// enqueue adds an entry to the queue that it belongs to, if any.
func (t *Table) enqueue(e *Entry) {
	switch worthOf(e.State, e.Replied()) {
	case halfOpen:
		t.halfOpen.add(e.self)
	case closing:
		t.closing.add(e.self)
	}
}

// dequeue takes an entry off the queue that enqueue added it to.
func (t *Table) dequeue(e *Entry) {
	switch worthOf(e.State, e.Replied()) {
	case halfOpen:
		t.halfOpen.remove(e.self)
	case closing:
		t.closing.remove(e.self)
	}
}
