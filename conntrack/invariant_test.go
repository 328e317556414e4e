package conntrack

import "slices"

// checkTable follows all links of a table and fails unless they agree with each
// other and with its counts.
func checkTable(t failer, table *Table) {
	t.Helper()
	used := checkEntries(t, table)
	checkWheel(t, table, used)
	checkIndex(t, table, used)
	freed := 0
	for i := table.free; i != 0; i = table.entries[i].next {
		if table.entries[i].flags&inUse != 0 {
			t.Fatalf("entry %d is in use and free", i)
		}
		if freed++; freed > table.capacity {
			t.Fatalf("the free list is a circle")
		}
	}
	if want := int(table.fresh) - 1 - len(used); freed != want {
		t.Fatalf("%d freed entries, want %d", freed, want)
	}
	if table.entries[0] != (Entry{}) {
		t.Fatalf("entry 0 is used: %+v", table.entries[0])
	}
}

// checkEntries returns the numbers of the entries in use.
func checkEntries(t failer, table *Table) map[uint32]bool {
	t.Helper()
	used := map[uint32]bool{}
	halfOpen, closed := newQueue(table.capacity+1), newQueue(table.capacity+1)
	for i := uint32(1); i < table.fresh; i++ {
		e := &table.entries[i]
		if e.flags&inUse == 0 {
			continue
		}
		used[i] = true
		if e.self != i {
			t.Fatalf("entry %d takes itself for %d", i, e.self)
		}
		switch {
		case e.HalfOpen():
			halfOpen.add(i)
		case e.Evictable():
			closed.add(i)
		}
	}
	if len(used) != table.length {
		t.Fatalf("%d entries, counted %d", len(used), table.length)
	}
	sameQueue(t, "half-open", &table.halfOpen, &halfOpen)
	sameQueue(t, "closing", &table.closing, &closed)
	return used
}

func sameQueue(t failer, name string, got, want *queue) {
	t.Helper()
	if got.size != want.size || !slices.Equal(got.words, want.words) || !slices.Equal(got.summary, want.summary) {
		t.Fatalf("queue of %s entries: %d %x %x, want %d %x %x", name, got.size, got.words, got.summary, want.size, want.words, want.summary)
	}
}

// checkWheel fails unless each used entry is listed once, no later than its
// deadline, except when the review that SetTimeouts began has yet to reach it.
func checkWheel(t failer, table *Table, used map[uint32]bool) {
	t.Helper()
	listed := 0
	for slot := range table.heads {
		before := uint32(0)
		for i := table.heads[slot]; i != 0; i = table.entries[i].next {
			e := &table.entries[i]
			if !used[i] || e.prev != before || table.head(e.armed) != &table.heads[slot] {
				t.Fatalf("entry %d is in slot %d after %d: used %v, armed %d, prev %d", i, slot, before, used[i], e.armed, e.prev)
			}
			if ahead := e.armed.since(table.cursor); ahead < 0 || ahead >= turnTicks {
				t.Fatalf("entry %d is armed %d ticks after the cursor", i, ahead)
			}
			if pending := i >= table.reviewed && i < table.reviewEnd; !pending && table.deadline(e).since(e.armed) < 0 && e.armed != table.cursor {
				t.Fatalf("entry %d is armed %d ticks after its deadline", i, e.armed-table.deadline(e))
			}
			before = i
			listed++
		}
	}
	if listed != len(used) {
		t.Fatalf("%d entries in the wheel, want %d", listed, len(used))
	}
}

// checkIndex fails unless each used entry has one slot, reachable from its
// home, and each overflow counts those that passed its bucket.
func checkIndex(t failer, table *Table, used map[uint32]bool) {
	t.Helper()
	overflow := make([]uint64, len(table.buckets))
	indexed := 0
	for at := range table.buckets {
		b := &table.buckets[at]
		for slot, i := range b.entries {
			tag := b.words[slot/4] >> (slot % 4 * 16) & 0xffff
			if (tag != 0) != (i != 0) || (i != 0 && !used[i]) {
				t.Fatalf("bucket %d, slot %d: tag %#x, entry %d, used %v", at, slot, tag, i, used[i])
			}
			if i == 0 {
				continue
			}
			indexed++
			e := &table.entries[i]
			h := table.Hash(e.ClientAddr, e.ClientPort, e.Protocol)
			if h.tag() != tag {
				t.Fatalf("entry %d has tag %#x, want %#x", i, tag, h.tag())
			}
			for passed := table.home(h); passed != at; passed = table.after(passed) {
				overflow[passed]++
			}
		}
	}
	if indexed != len(used) {
		t.Fatalf("%d entries in the index, want %d", indexed, len(used))
	}
	for at, want := range overflow {
		if got := table.buckets[at].words[2] >> 32; got != want {
			t.Fatalf("bucket %d has an overflow of %d, want %d", at, got, want)
		}
	}
}
