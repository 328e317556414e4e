package scheduler

import (
	"testing"

	"pgregory.net/rapid"
)

func TestTiesGoToTheFirstUnlessTheyRotate(t *testing.T) {
	for _, name := range RotatesTies() {
		t.Run(name, func(t *testing.T) {
			wanted := spec(name, "10.1.1.2*2", "10.1.1.3*2", "10.1.1.4*0", "10.1.1.5*2")
			set := newSet()
			service := apply(t, set, wanted)
			for range 9 {
				if rs := choose(service, Client{}); rs.Addr&0xff != 5 {
					t.Fatalf("an idle service chose 10.1.1.%d, want the first in the list", rs.Addr&0xff)
				}
			}
			wanted.RotateTies = true
			apply(t, set, wanted)
			counts := make(map[uint32]int)
			for range 9 {
				counts[choose(service, Client{}).Addr&0xff]++
			}
			if counts[2] != 3 || counts[3] != 3 || counts[5] != 3 {
				t.Errorf("an idle service with rotating ties: %v, want 3 for each of 2, 3 and 5", counts)
			}
		})
	}
}

// Rotation decides between equals alone: what is chosen is as little loaded as
// what is chosen without it.
func TestRotationChoosesNoWorseServer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(RotatesTies()).Draw(t, "scheduler")
		servers := drawServers(t, 5)
		plainSpec := spec(name, servers...)
		rotatingSpec := plainSpec
		rotatingSpec.Address, rotatingSpec.RotateTies = address("192.168.1.111:80"), true
		set := newSet()
		if err := set.Apply([]ServiceSpec{plainSpec, rotatingSpec}); err != nil {
			t.Fatal(err)
		}
		plain, rotating := set.Snapshot().Services()[0], set.Snapshot().Services()[1]
		for range rapid.IntRange(1, 40).Draw(t, "connections") {
			first, other := choose(plain, Client{}), choose(rotating, Client{})
			// Both services hold the same load at each place.
			for i, rs := range rotating.Realservers() {
				if rs != other {
					continue
				}
				twin := plain.Realservers()[i]
				if rank(name, twin) != rank(name, first) {
					t.Fatalf("%s: rotation chose a server of rank %v where there is one of %v", name, rank(name, twin), rank(name, first))
				}
				twin.Opened()
				twin.Activated()
				other.Opened()
				other.Activated()
			}
		}
	})
}

// rank is what an algorithm seeks the least of.
func rank(name string, rs *Realserver) float64 {
	active, weight := float64(rs.Active()), float64(rs.Weight())
	switch {
	case name == "lc":
		return active
	case name == "wlc":
		return active / weight
	case name == "nq" && active == 0:
		return -1
	}
	return (active + 1) / weight
}
