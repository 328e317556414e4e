package conntrack

import (
	"fmt"
	"testing"
	"time"
)

// benchSizes are the numbers of connections that tables are measured with.
var benchSizes = []int{1_000, 100_000, 1_000_000, 10_000_000}

// fullTable returns a full table of established connections, numbered from 0.
func fullTable(b *testing.B, size int) *Table {
	table := newTable(b, Options{Capacity: size, Seed: 1})
	for n := range size {
		e := insert(table, numbered(n, protocolTCP), 0)
		if e == nil {
			b.Fatalf("no room for connection %d of %d", n, size)
		}
		table.Observe(e, Request, flagSYN, 0)
		table.Observe(e, Reply, flagSYN|flagACK, 0)
		table.Observe(e, Request, flagACK, 0)
	}
	return table
}

// A sequence gives connections of a table in an order that no cache foresees.
type sequence struct {
	state uint64
	size  uint64
}

func (s *sequence) next() Connection {
	s.state = s.state*6364136223846793005 + 1442695040888963407
	return numbered(int(s.state>>33*s.size>>31), protocolTCP)
}

// batchSize is how many packets a worker takes at once.
const batchSize = 32

// BenchmarkFind looks up connections of full tables: single ones, and batches
// with a packet for the state machine each, whose memory was touched before or
// not.
func BenchmarkFind(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("connections=%d", size), func(b *testing.B) {
			table := fullTable(b, size)
			order := sequence{size: uint64(size)}
			b.Run("hit", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if findRequest(table, order.next()) == nil {
						b.Fatal("lost")
					}
				}
			})
			b.Run("miss", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					c := order.next()
					c.ClientAddr += 1 << 30
					if findRequest(table, c) != nil {
						b.Fatal("found")
					}
				}
			})
			b.Run("batch", func(b *testing.B) { benchmarkBatch(b, table, &order, false) })
			b.Run("touched batch", func(b *testing.B) { benchmarkBatch(b, table, &order, true) })
		})
	}
}

func benchmarkBatch(b *testing.B, table *Table, order *sequence, touch bool) {
	b.ReportAllocs()
	var connections [batchSize]Connection
	var hashes [batchSize]Hash
	var likely [batchSize]*Entry
	for b.Loop() {
		for i := range connections {
			c := order.next()
			connections[i], hashes[i] = c, table.Hash(c.ClientAddr, c.ClientPort, c.Protocol)
		}
		if touch {
			table.Touch(hashes[:], likely[:])
		}
		for i := range connections {
			c := &connections[i]
			e := likely[i]
			if !touch || !e.Carries(Request, c.ClientAddr, c.ClientPort, c.VirtualAddr, c.VirtualPort, c.Protocol) {
				e = table.FindRequest(hashes[i], c.ClientAddr, c.ClientPort, c.VirtualAddr, c.VirtualPort, c.Protocol)
			}
			table.Observe(e, Request, flagACK, 1)
		}
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/batchSize, "ns/packet")
}

// BenchmarkOpenAndExpire measures all that a connection of one SYN costs from
// Insert until the wheel removes it.
func BenchmarkOpenAndExpire(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("connections=%d", size), func(b *testing.B) {
			table := newTable(b, Options{Capacity: size, Seed: 1})
			// In the lifetime of a SYN the table is to fill up to nine tenths.
			lifetime := int(TicksFor(time.Minute)) + slotTicks
			perTick := max(1, size*9/10/lifetime)
			now, n := Ticks(0), 0
			b.ReportAllocs()
			for b.Loop() {
				if n++; n%perTick == 0 {
					now++
					table.Expire(now, plenty)
				}
				e := insert(table, numbered(n, protocolTCP), now)
				if e == nil {
					b.Fatal("no room")
				}
				table.Observe(e, Request, flagSYN, now)
			}
		})
	}
}

// BenchmarkFloodOfAFullTable measures a SYN that takes the place of another.
func BenchmarkFloodOfAFullTable(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("connections=%d", size), func(b *testing.B) {
			table := newTable(b, Options{Capacity: size, Seed: 1})
			flood := func(n int) {
				e := insert(table, numbered(n, protocolTCP), 0)
				table.Observe(e, Request, flagSYN, 0)
			}
			n := 0
			for ; n < size; n++ {
				flood(n)
			}
			b.ReportAllocs()
			for b.Loop() {
				flood(n)
				n++
			}
			if table.Evicted() == 0 {
				b.Fatal("nothing made way")
			}
		})
	}
}
