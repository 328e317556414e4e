package guard

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"lvsnat/dataplane/interval"
)

// Intervals with holes hold the same numbers as before but the holes, and do not
// overlap.
func TestHolesAreCut(t *testing.T) {
	addr := func(n uint32) netip.Addr { return netip.AddrFrom4([4]byte{0, 0, 0, byte(n)}) }
	rapid.Check(t, func(t *rapid.T) {
		var intervals []interval.Interval
		in := make(map[uint32]bool)
		for range rapid.IntRange(0, 6).Draw(t, "intervals") {
			first := rapid.Uint32Range(0, 40).Draw(t, "first")
			s := interval.Interval{First: first, Last: first + rapid.Uint32Range(0, 10).Draw(t, "length")}
			intervals = append(intervals, s)
			for n := s.First; n <= s.Last; n++ {
				in[n] = true
			}
		}
		var own []netip.Addr
		for range rapid.IntRange(0, 6).Draw(t, "holes") {
			hole := rapid.Uint32Range(0, 50).Draw(t, "hole")
			own = append(own, addr(hole))
			delete(in, hole)
		}
		left := without(interval.Join(intervals), newOwnAddrs(own))
		for i, s := range left {
			if i > 0 && s.First <= left[i-1].Last {
				t.Fatalf("%v overlap", left)
			}
			for n := s.First; n <= s.Last; n++ {
				if !in[n] {
					t.Fatalf("%d is in %v", n, left)
				}
				delete(in, n)
			}
		}
		if len(in) > 0 {
			t.Fatalf("%v are not in %v", in, left)
		}
	})
}

func TestTheFirstAndTheLastAddressCanBeHoles(t *testing.T) {
	all := []interval.Interval{{First: 0, Last: 1<<32 - 1}}
	left := without(all, newOwnAddrs([]netip.Addr{netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("::1")}))
	if len(left) != 1 || left[0] != (interval.Interval{First: 1, Last: 1<<32 - 2}) {
		t.Errorf("left %v", left)
	}
}
