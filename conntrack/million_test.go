package conntrack

import (
	"testing"
	"time"
)

const million = 1_000_000

func TestAMillionConnections(t *testing.T) {
	removed := 0
	table := newTable(t, Options{Capacity: million, Seed: 1, Removed: func(*Entry) { removed++ }})
	if perConnection := float64(table.Bytes()) / million; perConnection > 76 {
		t.Errorf("%.1f bytes a connection, want at most 76", perConnection)
	}
	// They open over a minute, so that they expire over a minute.
	openedAt := func(n int) Ticks { return Ticks(n) * TicksFor(time.Minute) / million }
	for n := range million {
		e := insert(table, numbered(n, protocolTCP), openedAt(n))
		if e == nil {
			t.Fatalf("no room for connection %d", n)
		}
		table.Observe(e, Request, flagSYN, openedAt(n))
		table.Observe(e, Reply, flagSYN|flagACK, openedAt(n))
		table.Observe(e, Request, flagACK, openedAt(n))
	}
	for n := range million {
		c := numbered(n, protocolTCP)
		e := findRequest(table, c)
		if e == nil || e.Dest != uint32(n) || findReply(table, c) != e {
			t.Fatalf("connection %d is lost", n)
		}
		if findRequest(table, numbered(n+million, protocolTCP)) != nil {
			t.Fatalf("connection %d is found, which was never opened", n+million)
		}
	}
	timeout := TicksFor(DefaultTimeouts().Of(Established))
	for now := Ticks(0); table.Len() > 0; now++ {
		for table.Expire(now, 10_000) == 10_000 {
		}
		// Those opened before the oldest that must still be there are gone,
		// but for one slot of them.
		left := table.Len()
		if now <= timeout && left != million {
			t.Fatalf("%d connections left at tick %d, before the first timeout", left, now)
		}
		if late := now - timeout - slotTicks; now > timeout+slotTicks && left > 0 && openedAt(million-left) < late {
			t.Fatalf("%d connections left at tick %d, the oldest opened at %d", left, now, openedAt(million-left))
		}
	}
	if removed != million || table.HalfOpen() != 0 {
		t.Errorf("told of %d removals, %d half-open in the empty table", removed, table.HalfOpen())
	}
}

func TestTheTableNeverAllocates(t *testing.T) {
	table := newTable(t, Options{Capacity: 1000, Removed: func(*Entry) {}})
	now, n := Ticks(0), 0
	allocations := testing.AllocsPerRun(5000, func() {
		now += 7
		n++
		// Twice the capacity at first, then all of it expires again and again.
		c := numbered(n%3000, protocolTCP)
		h := table.Hash(c.ClientAddr, c.ClientPort, c.Protocol)
		table.Touch([]Hash{h}, make([]*Entry, 1))
		e := findRequest(table, c)
		if e == nil {
			if e = insert(table, c, now); e == nil {
				return
			}
		}
		table.Observe(e, Request, flagSYN, now)
		table.Observe(e, Reply, flagSYN|flagACK, now)
		table.Observe(e, Request, flagACK, now)
		if n%5 == 0 {
			table.Remove(findReply(table, c))
		}
		table.Expire(now, 100)
		table.Walk(0, 10, func(*Entry) {})
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func TestHashesSpreadOverBucketsAndTags(t *testing.T) {
	// Neighbouring clients must fill buckets like thrown balls: the number in
	// one varies by about the square root of its mean.
	table := newTable(t, Options{Capacity: 8192, Seed: 7})
	const perBucket = 256
	counts := make([]int, len(table.buckets))
	tags := map[uint64]int{}
	for n := range perBucket * len(counts) {
		c := numbered(n, protocolTCP)
		h := table.Hash(c.ClientAddr, c.ClientPort, c.Protocol)
		counts[table.home(h)]++
		tags[h.tag()]++
	}
	variance := 0.0
	for _, c := range counts {
		variance += float64((c-perBucket)*(c-perBucket)) / float64(len(counts))
	}
	if variance < 0.8*perBucket || variance > 1.2*perBucket {
		t.Errorf("the number in a bucket varies by %.0f, want about %d", variance, perBucket)
	}
	if len(tags) < 64_000 {
		t.Errorf("%d different tags of 262144 hashes, want nearly all 65535", len(tags))
	}
}

func TestTheSeedChangesTheHash(t *testing.T) {
	one, two := newTable(t, Options{Capacity: 1, Seed: 1}), newTable(t, Options{Capacity: 1, Seed: 2})
	same := 0
	for n := range 1000 {
		c := numbered(n, protocolTCP)
		if one.Hash(c.ClientAddr, c.ClientPort, c.Protocol).tag() == two.Hash(c.ClientAddr, c.ClientPort, c.Protocol).tag() {
			same++
		}
	}
	if same > 10 {
		t.Errorf("%d of 1000 tags are the same under two seeds", same)
	}
}
