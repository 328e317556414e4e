package conntrack

// The wheel has 4,096 slots of 4 ticks: a turn of 1,099 s, more than IPVS's
// longest timeout. A later deadline waits in the farthest slot and is looked
// at again there.
const (
	slotTicks  = 4
	wheelSlots = 4096
	turnTicks  = slotTicks * wheelSlots
)

// A wheel lists entries by the time at which they must be looked at. The lists
// are linked through the entries themselves, by number, in both directions, so
// that an entry can leave its list at any time.
type wheel struct {
	entries []Entry
	heads   [wheelSlots]uint32
	cursor  Ticks // beginning of the slot that is looked at next; a multiple of slotTicks
}

// head returns the head of the list that holds time t.
func (w *wheel) head(t Ticks) *uint32 {
	return &w.heads[t/slotTicks%wheelSlots]
}

// link lists an entry under a deadline. One that has passed comes up with the
// cursor's slot, one beyond the turn with the turn's last.
func (w *wheel) link(e *Entry, deadline Ticks) {
	switch ahead := deadline.since(w.cursor); {
	case ahead < 0:
		deadline = w.cursor
	case ahead >= turnTicks:
		deadline = w.cursor + turnTicks - 1
	}
	head := w.head(deadline)
	e.armed, e.prev, e.next = deadline, 0, *head
	if *head != 0 {
		w.entries[*head].prev = e.self
	}
	*head = e.self
}

// unlink takes an entry off its list.
func (w *wheel) unlink(e *Entry) {
	if e.prev != 0 {
		w.entries[e.prev].next = e.next
	} else {
		*w.head(e.armed) = e.next
	}
	if e.next != 0 {
		w.entries[e.next].prev = e.prev
	}
}

// due returns entries of a slot that has passed, as many as group has room for;
// none when no such slot has any. They stay listed: the caller unlinks all of
// them before the next call.
func (w *wheel) due(now Ticks, group []uint32) []uint32 {
	// Only a slot that has passed entirely is looked at: its deadlines have.
	// A clock that leapt by more than a turn is followed from one turn before,
	// in which each slot comes once.
	if now.since(w.cursor) > turnTicks {
		w.cursor = now - now%slotTicks - turnTicks
	}
	n := 0
	for now.since(w.cursor) >= slotTicks {
		for i := *w.head(w.cursor); i != 0 && n < len(group); i = w.entries[i].next {
			group[n] = i
			n++
		}
		if n > 0 {
			break
		}
		w.cursor += slotTicks
	}
	return group[:n]
}
