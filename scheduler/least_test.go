package scheduler

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// naiveLeast are the algorithms that take the least of all, each as its file in
// the kernel has it, but for slow start and the place at which the search
// begins.
var naiveLeast = map[string]func(inOrder []*Realserver, now int64) *Realserver{
	"lc": func(inOrder []*Realserver, _ int64) *Realserver {
		var least *Realserver
		for _, rs := range inOrder {
			if rs.eligible() && (least == nil || rs.overhead() < least.overhead()) {
				least = rs
			}
		}
		return least
	},
	"wlc": func(inOrder []*Realserver, now int64) *Realserver {
		return leastForShare(inOrder, now, (*Realserver).overhead)
	},
	"sed": func(inOrder []*Realserver, now int64) *Realserver {
		return leastForShare(inOrder, now, func(rs *Realserver) int64 { return int64(rs.Active()) + 1 })
	},
	"nq": func(inOrder []*Realserver, now int64) *Realserver {
		for _, rs := range inOrder {
			if rs.eligible() && rs.Active() == 0 && !rs.warming(now) {
				return rs
			}
		}
		return leastForShare(inOrder, now, func(rs *Realserver) int64 { return int64(rs.Active()) + 1 })
	},
}

func leastForShare(inOrder []*Realserver, now int64, load func(*Realserver) int64) *Realserver {
	var least *Realserver
	for _, rs := range inOrder {
		if rs.eligible() && (least == nil || load(least)*rs.share(now) > load(rs)*least.share(now)) {
			least = rs
		}
	}
	return least
}

// from is the list in the order of a search that begins behind a server.
func from(servers []*Realserver, last *Realserver) []*Realserver {
	for at, rs := range servers {
		if rs == last {
			return append(append([]*Realserver(nil), servers[at+1:]...), servers[:at+1]...)
		}
	}
	return servers
}

// disturb changes a server's counts as connections that come and go do.
func disturb(rs *Realserver, event int) {
	switch {
	case event == 0:
		rs.Opened()
	case event == 1 && rs.Inactive() > 0:
		rs.Activated()
	case event == 2 && rs.Active() > 0:
		rs.Deactivated()
	case event == 3 && rs.Inactive() > 0:
		rs.Closed(false)
	case event == 4 && rs.Active() > 0:
		rs.Closed(true)
	}
}

func TestTheLeastOfAllIsFoundWithoutLookingAtAll(t *testing.T) {
	for name, choice := range naiveLeast {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				now := sec
				set := &Set{Now: func() int64 { return now }}
				rotate, slowly := rapid.Bool().Draw(t, "rotate ties"), name != "lc" && rapid.Bool().Draw(t, "slow start")
				var last *Realserver // taken, as long as ties rotate
				for range rapid.IntRange(1, 4).Draw(t, "changes") {
					wanted := drawManyServers(t, name)
					wanted.RotateTies = rotate
					if slowly {
						wanted.SlowStart = 10 * time.Second
					}
					if err := set.Apply([]ServiceSpec{wanted}); err != nil {
						t.Fatal(err)
					}
					service := set.Snapshot().Services()[0]
					servers := service.Realservers()
					last = nil
					service.scheduler.(*leastCost).next = 0
					for range rapid.IntRange(1, 60).Draw(t, "events") {
						switch event := rapid.IntRange(0, 9).Draw(t, "event"); event {
						case 5:
							now += int64(rapid.IntRange(0, 3).Draw(t, "seconds")) * sec
						case 6, 7, 8, 9:
							got, want := choose(service, Client{Now: now}), choice(from(servers, last), now)
							if got != want {
								t.Fatalf("chose %+v, want %+v", got, want)
							}
							if got == nil {
								continue
							}
							if got.Opened(); event > 7 {
								got.Activated()
							}
							if rotate {
								last = got
							}
						default:
							disturb(rapid.SampledFrom(servers).Draw(t, "server"), event)
						}
					}
				}
			})
		})
	}
}

// drawManyServers draws a service with up to 150 servers, so that changes are
// noted in several words.
func drawManyServers(t *rapid.T, scheduler string) ServiceSpec {
	wanted := spec(scheduler)
	for at := range rapid.SampledFrom([]int{1, 2, 3, 5, few + 1, 64, 65, 150}).Draw(t, "servers") {
		one := spec(scheduler, fmt.Sprintf("10.1.1.%d*%d", at+2, rapid.SampledFrom([]int{0, 1, 1, 2, 3}).Draw(t, "weight"))).Realservers[0]
		one.Upper = rapid.SampledFrom([]int{0, 0, 0, 2}).Draw(t, "upper threshold")
		wanted.Realservers = append(wanted.Realservers, one)
	}
	return wanted
}

// Workers count while others choose and an operator edits. Once they rest, not
// one change of theirs has been missed.
func TestNoChangeOfAnyWorkerIsMissed(t *testing.T) {
	const servers, workers, rounds, events = 100, 4, 20, 2000
	for name, choice := range naiveLeast {
		set := newSet()
		service := manyServersOf(t, set, name, servers)
		for round := range rounds {
			var wg sync.WaitGroup
			for worker := range workers {
				// Each worker counts what it has opened itself, as in the
				// director, so that no count falls below 0.
				wg.Go(func() { work(service, rand.New(rand.NewPCG(uint64(round), uint64(worker))), events) })
			}
			wg.Go(func() { must(t, set.Apply([]ServiceSpec{manySpec(name, servers, round)})) })
			wg.Wait()
			if got, want := choose(service, Client{}), choice(service.Realservers(), 0); got != want {
				t.Fatalf("%s, round %d: chose %+v, want %+v", name, round, got, want)
			}
			known := service.scheduler.(*leastCost)
			for at, rs := range service.Realservers() {
				if got, want := known.costs.costs[at], known.costOf(rs, 0); got != want {
					t.Fatalf("%s, round %d: the cost of %+v is taken for %v, want %v", name, round, rs, got, want)
				}
			}
		}
	}
}

// work opens connections on servers that are chosen and on others, and closes
// most of them.
func work(service *Service, random *rand.Rand, events int) {
	all := service.Realservers()
	for range events {
		rs := all[random.IntN(len(all))]
		if random.IntN(4) == 0 {
			rs = choose(service, Client{})
		}
		rs.Opened()
		rs.Activated()
		if random.IntN(8) != 0 {
			rs.Deactivated()
			rs.Closed(false)
		}
	}
}

// A thousand servers' costs in any order: each entry plays the right games.
func TestATournamentKnowsTheFirstOfTheLeastFromAnyPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		costs := make([]cost, rapid.IntRange(1, 40).Draw(t, "places"))
		for at := range costs {
			costs[at] = unavailable
		}
		games := newTournament(len(costs))
		for range rapid.IntRange(1, 80).Draw(t, "entries") {
			at := rapid.IntRange(0, len(costs)-1).Draw(t, "place")
			costs[at] = cost{rapid.Int64Range(0, 3).Draw(t, "load"), rapid.Int64Range(1, 2).Draw(t, "share")}
			if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
				costs[at] = unavailable
			}
			games.enter(at, costs[at])
			begin := rapid.IntRange(0, len(costs)-1).Draw(t, "begin")
			want := begin
			for i := range costs {
				if next := (begin + i) % len(costs); costs[want].above(costs[next]) {
					want = next
				}
			}
			if got, least := games.least(begin); got != want || least != costs[want] {
				t.Fatalf("from %d the least of %v is at %d, want %d", begin, costs, got, want)
			}
		}
	})
}
