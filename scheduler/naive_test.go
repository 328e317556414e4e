package scheduler

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// naive are algorithms that look at every server for every connection, as the
// kernel's do, beside those that have made up their mind before.
var naive = map[string]func(servers []*Realserver, random func() uint32) *Realserver{
	"fo": func(servers []*Realserver, _ func() uint32) *Realserver {
		return greatestWeight(servers, (*Realserver).eligible)
	},
	"ovf": func(servers []*Realserver, _ func() uint32) *Realserver {
		return greatestWeight(servers, func(rs *Realserver) bool { return rs.eligible() && rs.Active() <= rs.Weight() })
	},
	"twos": func(servers []*Realserver, random func() uint32) *Realserver {
		total := uint32(0)
		for _, rs := range servers {
			if rs.eligible() {
				total += uint32(rs.Weight())
			}
		}
		if total == 0 {
			return nil
		}
		var two [2]*Realserver
		for i := range two {
			place := int(random() % (total + 1))
			for _, rs := range servers {
				if rs.eligible() {
					two[i] = rs
					if place -= rs.Weight(); place <= 0 {
						break
					}
				}
			}
		}
		if int64(two[1].Weight())*two[0].overhead() > int64(two[0].Weight())*two[1].overhead() {
			return two[1]
		}
		return two[0]
	},
}

func greatestWeight(servers []*Realserver, may func(*Realserver) bool) *Realserver {
	var greatest *Realserver
	for _, rs := range servers {
		if may(rs) && (greatest == nil || rs.Weight() > greatest.Weight()) {
			greatest = rs
		}
	}
	return greatest
}

func TestPreparedChoicesAreTheNaiveOnes(t *testing.T) {
	for name, choice := range naive {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				seed := rapid.Uint64().Draw(t, "seed")
				set := &Set{Random: rand.New(rand.NewPCG(seed, 1)).Uint32}
				random := rand.New(rand.NewPCG(seed, 1)).Uint32
				var wanted ServiceSpec
				for change := range rapid.IntRange(1, 6).Draw(t, "changes") {
					if change == 0 || rapid.Bool().Draw(t, "new weights") {
						wanted = spec(name, drawServers(t, 4)...)
					}
					for i := range wanted.Realservers {
						wanted.Realservers[i].Upper = rapid.SampledFrom([]int{0, 0, 0, 3}).Draw(t, "upper threshold")
					}
					if err := set.Apply([]ServiceSpec{wanted}); err != nil {
						t.Fatal(err)
					}
					service := set.Snapshot().Services()[0]
					for range rapid.IntRange(0, 12).Draw(t, "connections") {
						got, want := choose(service, Client{}), choice(service.Realservers(), random)
						if got != want {
							t.Fatalf("chose %+v, want %+v", got, want)
						}
						if got != nil {
							occupy(got, 1)
						}
					}
				}
			})
		})
	}
}

// More servers than a sort of few keeps in order by chance.
func TestEqualServersStandByInTheOrderOfTheList(t *testing.T) {
	for _, name := range []string{"fo", "ovf"} {
		service := manyServers(t, name, 60)
		if got, want := choose(service, Client{}), greatestWeight(service.Realservers(), (*Realserver).eligible); got != want {
			t.Errorf("%s chose 10.1.0.%d, want the first of the greatest weight, 10.1.0.%d", name, got.Addr&0xff, want.Addr&0xff)
		}
	}
}

// Nobody is left to be chosen by a worker that still sees a service that was
// removed.
func TestARemovedServiceHasNobodyToChoose(t *testing.T) {
	for _, name := range Names() {
		set := newSet()
		service := apply(t, set, spec(name, "10.1.1.2", "10.1.1.3*2"))
		choose(service, Client{})
		apply(t, set)
		if rs := choose(service, Client{}); rs != nil {
			t.Errorf("%s chose %v of a service that was removed", name, rs)
		}
	}
}
