package scheduler

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// Of two servers whose bits are in one word, each is counted up by a worker of its
// own while a third looks at whatever has changed. It must have seen the last
// count of both. Each round is one more chance for a bit to be lost.
func TestABitIsNeverLostBetweenWorkers(t *testing.T) {
	const rounds = 50_000
	var servers [2]Realserver
	noted := watch([]*Realserver{&servers[0], &servers[1]})
	var seen [2]int
	look := func() {
		for at, due := 0, noted.take(0); due != 0; at, due = at+1, due>>1 {
			if due&1 != 0 {
				seen[at] = servers[at].Inactive()
			}
		}
	}
	var begun, ended atomic.Int32 // rounds, of all workers
	var wg sync.WaitGroup
	for at := range servers {
		wg.Go(func() {
			for round := range int32(rounds) {
				for begun.Load() <= round {
					runtime.Gosched()
				}
				servers[at].Opened()
				ended.Add(1)
			}
		})
	}
	for round := range int32(rounds) {
		begun.Add(1)
		for ended.Load() < 2*(round+1) {
			look()
			runtime.Gosched()
		}
		look()
		for at := range servers {
			if want := servers[at].Inactive(); seen[at] != want {
				t.Errorf("round %d: server %d has %d connections, seen were %d", round, at, want, seen[at])
			}
		}
		if t.Failed() {
			begun.Store(rounds)
			break
		}
	}
	wg.Wait()
}
