package interval

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// small draws intervals of small numbers, so that they meet.
var small = rapid.Custom(func(t *rapid.T) Interval {
	first := rapid.Uint32Range(0, 40).Draw(t, "first")
	return Interval{first, first + rapid.Uint32Range(0, 10).Draw(t, "length")}
})

// Joined intervals hold the same numbers as before, in order, with a gap
// between any two.
func TestJoinKeepsTheNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		intervals := rapid.SliceOfN(small, 0, 8).Draw(t, "intervals")
		var before []uint32
		for _, i := range intervals {
			for n := i.First; n <= i.Last; n++ {
				before = append(before, n)
			}
		}
		slices.Sort(before)
		before = slices.Compact(before)
		var after []uint32
		joined := Join(slices.Clone(intervals))
		for at, i := range joined {
			if at > 0 && i.First <= joined[at-1].Last+1 {
				t.Fatalf("%v touch", joined)
			}
			for n := i.First; n <= i.Last; n++ {
				after = append(after, n)
			}
		}
		if !slices.Equal(before, after) {
			t.Fatalf("%v became %v", intervals, joined)
		}
	})
}

func TestTheLastAddressesMakeAnInterval(t *testing.T) {
	all := Join([]Interval{OfPrefix(netip.MustParsePrefix("255.255.255.0/24")), OfPrefix(netip.MustParsePrefix("0.0.0.0/0"))})
	if want := []Interval{{0, 1<<32 - 1}}; !slices.Equal(all, want) {
		t.Errorf("joined %v, want %v", all, want)
	}
}

func TestAPrefixIsItsAddresses(t *testing.T) {
	for prefix, want := range map[string]Interval{
		"10.1.1.2/32":      {0x0a010102, 0x0a010102},
		"192.168.1.110/28": {0xc0a80160, 0xc0a8016f},
	} {
		if got := OfPrefix(netip.MustParsePrefix(prefix)); got != want {
			t.Errorf("%s: %x, want %x", prefix, got, want)
		}
	}
}
