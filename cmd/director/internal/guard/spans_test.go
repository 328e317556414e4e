package guard

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// Spans that were joined, with holes in them, hold the same numbers as before,
// and do not overlap or touch.
func TestSpansAreJoinedAndHolesAreCut(t *testing.T) {
	addr := func(n uint32) netip.Addr { return netip.AddrFrom4([4]byte{0, 0, 0, byte(n)}) }
	rapid.Check(t, func(t *rapid.T) {
		var spans []span
		in := make(map[uint32]bool)
		for range rapid.IntRange(0, 6).Draw(t, "spans") {
			first := rapid.Uint32Range(0, 40).Draw(t, "first")
			s := span{first, first + rapid.Uint32Range(0, 10).Draw(t, "length")}
			spans = append(spans, s)
			for n := s.first; n <= s.last; n++ {
				in[n] = true
			}
		}
		var own []netip.Addr
		for range rapid.IntRange(0, 6).Draw(t, "holes") {
			hole := rapid.Uint32Range(0, 50).Draw(t, "hole")
			own = append(own, addr(hole))
			delete(in, hole)
		}
		left := without(join(spans), newOwnAddrs(own))
		for i, s := range left {
			if i > 0 && s.first <= left[i-1].last {
				t.Fatalf("%v overlap", left)
			}
			for n := s.first; n <= s.last; n++ {
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

func TestTheLastAddressesMakeASpan(t *testing.T) {
	all := join([]span{spanOf(netip.MustParsePrefix("255.255.255.0/24")), spanOf(netip.MustParsePrefix("0.0.0.0/0"))})
	if len(all) != 1 || all[0] != (span{0, 1<<32 - 1}) {
		t.Errorf("joined %v", all)
	}
	left := without(all, newOwnAddrs([]netip.Addr{netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("::1")}))
	if len(left) != 1 || left[0] != (span{1, 1<<32 - 2}) {
		t.Errorf("left %v", left)
	}
}
