package conntrack

// Expire removes connections that were idle for longer than their timeout. It
// looks at no more than budget entries and returns at how many it did; when
// that is all of the budget, more may be due and it should soon be called
// again. A clock that stands still or goes back expires nothing.
func (t *Table) Expire(now Ticks, budget int) int {
	// The wheel must go on during a review, which may take many calls.
	visited := t.review(now, (budget+1)/2)
	var group [leavers]uint32
	for visited < budget {
		due := t.due(now, group[:min(leavers, budget-visited)])
		if len(due) == 0 {
			break
		}
		t.approach(due)
		for _, entry := range due {
			t.visit(&t.entries[entry], now)
		}
		visited += len(due)
	}
	return visited + t.review(now, budget-visited)
}

// visit removes an entry that is due and lists any other under its deadline.
func (t *Table) visit(e *Entry, now Ticks) {
	deadline := t.deadline(e)
	// The packet may have come late in its tick, so a deadline counts as
	// passed only with the tick after it.
	if now.since(deadline) > 0 {
		t.Remove(e)
		return
	}
	t.unlink(e)
	t.link(e, deadline)
}

// SetTimeouts changes the timeouts, of the connections in the table too. The
// next calls of Expire look at each of them for deadlines that have come
// forward, with half of their budgets or what the wheel leaves of them.
func (t *Table) SetTimeouts(timeouts Timeouts) {
	before := t.timeouts
	t.timeouts = timeouts.ticks()
	for s := range before {
		if t.timeouts[s] < before[s] {
			t.reviewed, t.reviewEnd = 1, t.fresh
		}
	}
}

// review looks at up to n entries that may be listed under longer timeouts than
// those in force, and returns at how many it did.
func (t *Table) review(now Ticks, n int) int {
	n = max(0, min(n, int(t.reviewEnd-t.reviewed)))
	for range n {
		e := &t.entries[t.reviewed]
		t.reviewed++
		if e.flags&inUse != 0 && t.deadline(e).since(e.armed) < 0 {
			t.visit(e, now)
		}
	}
	return n
}
