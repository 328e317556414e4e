package conntrack

import (
	"testing"

	"pgregory.net/rapid"
)

func TestAQueueServesAllInTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 20_000).Draw(t, "size")
		q := newQueue(size)
		naive := map[uint32]bool{}
		hand := 0
		for _, n := range rapid.SliceOf(rapid.IntRange(0, size-1)).Draw(t, "entries") {
			entry := uint32(n)
			if naive[entry] {
				q.remove(entry)
				delete(naive, entry)
			} else {
				q.add(entry)
				naive[entry] = true
			}
			if len(naive) == 0 {
				continue
			}
			want := hand % size
			for !naive[uint32(want)] {
				want = (want + 1) % size
			}
			if got := q.next(); got != uint32(want) || q.size != len(naive) {
				t.Fatalf("entry %d of %d comes after the hand at %d, want %d of %d", got, q.size, hand, want, len(naive))
			}
			hand = want + 1
		}
	})
}

func TestAQueueBeginsAgainBehindItsLast(t *testing.T) {
	for _, size := range []int{1, 63, 64, 65, 4095, 4096, 4097, 8192} {
		q := newQueue(size)
		last := uint32(size - 1)
		q.add(last)
		for range 3 {
			if got := q.next(); got != last {
				t.Errorf("size %d: %d, want the only entry, %d", size, got, last)
			}
		}
	}
}

func BenchmarkEvictionFromATableOfTenMillion(b *testing.B) {
	const size = 10_000_000
	q := newQueue(size)
	for _, c := range []struct {
		name  string
		every uint32
	}{{"all half-open", 1}, {"one in 1,000", 1000}, {"a single one", size}} {
		b.Run(c.name, func(b *testing.B) {
			clear(q.words)
			clear(q.summary)
			for i := uint32(0); i < size; i += c.every {
				q.add(i)
			}
			for b.Loop() {
				q.next()
			}
		})
	}
}
