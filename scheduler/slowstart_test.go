package scheduler

import (
	"fmt"
	"math"
	"testing"
	"time"
)

const sec = int64(time.Second)

// slowly is a set with a clock and a service with slow start of 100 s.
func slowly(scheduler string, servers ...string) (*Set, *int64, ServiceSpec) {
	set, now := newSet(), new(int64)
	set.Now = func() int64 { return *now }
	wanted := spec(scheduler, servers...)
	wanted.SlowStart = 100 * time.Second
	return set, now, wanted
}

// join adds a server as an operator would.
func join(wanted *ServiceSpec, server string) {
	wanted.Realservers = append(wanted.Realservers, spec("wlc", server).Realservers...)
}

func TestAShareRisesFromATenthInAStraightLine(t *testing.T) {
	for _, weight := range []int{1, 7, 65535} {
		set, now, wanted := slowly("wlc", "10.1.1.2")
		apply(t, set, wanted)
		*now = 1000 * sec
		join(&wanted, fmt.Sprintf("10.1.1.3*%d", weight))
		rs := server(apply(t, set, wanted), 3)
		for _, at := range []struct{ seconds, part float64 }{{-1, 0.1}, {0, 0.1}, {50, 0.55}, {99.999, 1}, {100, 1}, {1e6, 1}} {
			got := rs.Share(*now + int64(at.seconds*1e9))
			if math.Abs(got-at.part*float64(weight)) > 0.01+0.001*float64(weight) {
				t.Errorf("weight %d is worth %v after %v of 100 seconds, want %v of it", weight, got, at.seconds, at.part)
			}
			if got <= 0 {
				t.Errorf("weight %d is worth %v after %v seconds", weight, got, at.seconds)
			}
		}
	}
}

func TestWhoStartsSlowly(t *testing.T) {
	const later = 1000 * sec
	tests := []struct {
		name string
		play func(set *Set, now *int64, wanted *ServiceSpec)
		slow bool // the server 10.1.1.3
	}{
		{"nobody at the director's start", func(*Set, *int64, *ServiceSpec) {}, false},
		{"a server whose weight changes does not", func(_ *Set, _ *int64, wanted *ServiceSpec) { wanted.Realservers[1].Weight = 9 }, false},
		{"a server with weight 0 that recovers does", func(set *Set, now *int64, wanted *ServiceSpec) {
			wanted.Realservers[1].Weight = 0
			must(t, set.Apply([]ServiceSpec{*wanted}))
			*now += sec
			wanted.Realservers[1].Weight = 1
		}, true},
		{"a server that was removed and comes back does", func(set *Set, now *int64, wanted *ServiceSpec) {
			without := *wanted
			without.Realservers = wanted.Realservers[:1]
			must(t, set.Apply([]ServiceSpec{without}))
			*now += sec
		}, true},
		{"nobody without the key", func(set *Set, now *int64, wanted *ServiceSpec) {
			wanted.SlowStart, wanted.Realservers[1].Weight = 0, 0
			must(t, set.Apply([]ServiceSpec{*wanted}))
			wanted.Realservers[1].Weight = 1
		}, false},
		{"nobody any more when the key is removed", func(set *Set, now *int64, wanted *ServiceSpec) {
			wanted.Realservers[1].Weight = 0
			must(t, set.Apply([]ServiceSpec{*wanted}))
			wanted.Realservers[1].Weight = 1
			must(t, set.Apply([]ServiceSpec{*wanted}))
			wanted.SlowStart = 0
		}, false},
		{"no server of a service that was removed and comes back", func(set *Set, now *int64, wanted *ServiceSpec) {
			must(t, set.Apply(nil))
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, now, wanted := slowly("wlc", "10.1.1.2", "10.1.1.3")
			*now = later
			apply(t, set, wanted)
			tt.play(set, now, &wanted)
			service := apply(t, set, wanted)
			if server(service, 2).warming(*now) {
				t.Error("a server that was there all the time starts slowly")
			}
			if got := server(service, 3).warming(*now); got != tt.slow {
				t.Errorf("starts slowly: %v, want %v", got, tt.slow)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Of 1100 choices, at a time when it counts half, a server of three equals
// should get a fifth, not a third: of connections that stay where the algorithm
// goes by their number, of choices otherwise.
func TestEveryWeightedAlgorithmStartsSlowly(t *testing.T) {
	for _, name := range StartsSlowly() {
		t.Run(name, func(t *testing.T) {
			set, now, wanted := slowly(name, "10.1.1.2", "10.1.1.3")
			*now = sec
			apply(t, set, wanted)
			join(&wanted, "10.1.1.4")
			service := apply(t, set, wanted)
			half := sec + 400*sec/9 // a tenth and 4/9 of nine tenths
			counts := make(map[byte]int)
			for range 1000 {
				rs := choose(service, Client{Now: half})
				counts[byte(rs.Addr)]++
				if name == "wlc" || name == "sed" || name == "nq" {
					occupy(rs, 1)
				}
			}
			least, most := 195, 205
			if name == "p2c" {
				least, most = 80, 320 // whoever is drawn twice as rarely
			}
			if counts[4] < least || counts[4] > most || counts[2] < 300 || counts[3] < 300 {
				t.Errorf("at half its weight: %v, want about 200 for 4 and 400 for 2 and 3", counts)
			}
			after := share(service, 900, sec+101*sec)
			if name == "wrr" || name == "swrr" {
				if after[4] < 295 || after[4] > 305 {
					t.Errorf("at its whole weight: %v, want 300 for each", after)
				}
			}
		})
	}
}

// An idle server that starts slowly would take all short connections of nq.
func TestAServerThatStartsSlowlyIsNotIdle(t *testing.T) {
	set, now, wanted := slowly("nq", "10.1.1.2")
	apply(t, set, wanted)
	join(&wanted, "10.1.1.3")
	service := apply(t, set, wanted)
	if counts := share(service, 10, *now); counts[2] != 10 {
		t.Errorf("10 short connections: %v, want all for the old server", counts)
	}
}

func TestServersThatAllStartSlowlyShareAsEver(t *testing.T) {
	for _, name := range []string{"wrr", "swrr", "wlc", "sed"} {
		set, _, wanted := slowly(name)
		apply(t, set, wanted)
		join(&wanted, "10.1.1.2*1")
		join(&wanted, "10.1.1.3*2")
		service := apply(t, set, wanted)
		counts := make(map[byte]int)
		for range 300 {
			rs := choose(service, Client{Now: 30 * sec})
			if rs == nil {
				t.Fatalf("%s: no server though two are there", name)
			}
			counts[byte(rs.Addr)]++
			occupy(rs, 1)
		}
		if counts[2] < 98 || counts[2] > 102 {
			t.Errorf("%s: %v, want 100 and 200", name, counts)
		}
	}
}
