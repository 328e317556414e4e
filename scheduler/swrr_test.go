package scheduler

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawServers draws a service's servers, of which at least one has a weight.
func drawServers(t *rapid.T, mostWeight int) []string {
	weights := rapid.SliceOfN(rapid.IntRange(0, mostWeight), 1, 8).Draw(t, "weights")
	weights[rapid.IntRange(0, len(weights)-1).Draw(t, "one")] = rapid.IntRange(1, mostWeight).Draw(t, "its weight")
	servers := make([]string, len(weights))
	for i, w := range weights {
		servers[i] = fmt.Sprintf("10.1.1.%d*%d", i+2, w)
	}
	return servers
}

// In a cycle of as many turns as all weights together, each server has exactly
// its weight in turns; at no time is it a whole turn ahead of its due, which
// bursts are; and each choice is that of the algorithm as nginx describes it.
func TestSmoothWeightedRoundRobinIsExactAndSmooth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := newSet()
		if err := set.Apply([]ServiceSpec{spec("swrr", drawServers(t, 20)...)}); err != nil {
			t.Fatal(err)
		}
		service := set.Snapshot().Services()[0]
		servers := service.Realservers()
		total := 0
		for _, rs := range servers {
			total += rs.Weight()
		}
		counts := make([]int, len(servers))
		earned := make([]int, len(servers))
		for turn := 1; turn <= 2*total; turn++ {
			want := nginxTurn(servers, earned)
			got := choose(service, Client{})
			if got != servers[want] {
				t.Fatalf("turn %d went to %v, want %v", turn, got.Addr&0xff, servers[want].Addr&0xff)
			}
			counts[want]++
			if ahead := counts[want]*total - turn*got.Weight(); ahead >= total {
				t.Fatalf("in turn %d a server of weight %d of %d has its turn %d", turn, got.Weight(), total, counts[want])
			}
			if turn%total != 0 {
				continue
			}
			for i, rs := range servers {
				if counts[i] != turn/total*rs.Weight() {
					t.Fatalf("a server of weight %d had %d of %d turns in %d cycles", rs.Weight(), counts[i], turn, turn/total)
				}
			}
		}
	})
}

// nginxTurn is the algorithm in whole weights, and returns the place of the
// server whose turn it is.
func nginxTurn(servers []*Realserver, earned []int) int {
	best, total := -1, 0
	for i, rs := range servers {
		if rs.Weight() == 0 {
			continue
		}
		earned[i] += rs.Weight()
		total += rs.Weight()
		if best < 0 || earned[i] > earned[best] {
			best = i
		}
	}
	earned[best] -= total
	return best
}

// Whether servers are taken together by their weights or looked at one by one,
// because thresholds or slow start change what they earn, each choice is the one
// of nginx's algorithm on the list.
func TestSmoothWeightedRoundRobinWhileServersFillUpAndWarmUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := sec
		set := &Set{Now: func() int64 { return now }}
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			if err := set.Apply(nil); err != nil { // so that the next state is a new one in any case
				t.Fatal(err)
			}
			wanted := drawManyServers(t, "swrr")
			wanted.SlowStart = time.Duration(rapid.IntRange(0, 1).Draw(t, "slow start")) * 10 * time.Second
			if rapid.Bool().Draw(t, "no thresholds") {
				for i := range wanted.Realservers {
					wanted.Realservers[i].Upper = 0
				}
			}
			whole := wanted.Realservers
			wanted.Realservers = whole[:rapid.IntRange(0, len(whole)-1).Draw(t, "servers at first")]
			for _, wanted.Realservers = range [][]RealserverSpec{wanted.Realservers, whole} {
				if err := set.Apply([]ServiceSpec{wanted}); err != nil {
					t.Fatal(err)
				}
				service := set.Snapshot().Services()[0]
				servers := service.Realservers()
				earned := make([]int64, len(servers))
				for range rapid.IntRange(0, 40).Draw(t, "connections") {
					now += int64(rapid.IntRange(0, 1).Draw(t, "seconds")) * sec
					got, want := choose(service, Client{Now: now}), nginxChoice(servers, earned, now)
					if got != want {
						t.Fatalf("chose %+v, want %+v", got, want)
					}
					if got != nil {
						got.Opened()
					}
				}
			}
		}
	})
}

// nginxChoice is the algorithm on a list, by shares.
func nginxChoice(servers []*Realserver, earned []int64, now int64) *Realserver {
	best, total := -1, int64(0)
	for i, rs := range servers {
		if !rs.eligible() {
			continue
		}
		earned[i] += rs.share(now)
		total += rs.share(now)
		if best < 0 || earned[i] > earned[best] {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	earned[best] -= total
	return servers[best]
}
