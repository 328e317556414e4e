// Package interval joins ranges of addresses or ports to intervals, and writes
// classic BPF programs that search them. The kernel runs such programs where the
// director's packets arrive: to spread them over the workers, and to keep the
// kernel itself away from them.
package interval

import (
	"cmp"
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
)

// An Interval is IPv4 addresses in host order, or ports, both ends included.
type Interval struct{ First, Last uint32 }

// OfPrefix is the addresses of an IPv4 prefix.
func OfPrefix(prefix netip.Prefix) Interval {
	first := HostOrder(prefix.Masked().Addr())
	return Interval{first, first | uint32(math.MaxUint32>>prefix.Bits())}
}

// HostOrder is an IPv4 address as a number.
func HostOrder(addr netip.Addr) uint32 {
	b := addr.As4()
	return binary.BigEndian.Uint32(b[:])
}

// Join returns the same numbers in order, with what overlaps or touches put
// together. It sorts the slice that it is given.
func Join(intervals []Interval) []Interval {
	slices.SortFunc(intervals, func(a, b Interval) int { return cmp.Compare(a.First, b.First) })
	var joined []Interval
	for _, next := range intervals {
		n := len(joined)
		if n == 0 || uint64(next.First) > uint64(joined[n-1].Last)+1 {
			joined = append(joined, next)
			continue
		}
		joined[n-1].Last = max(joined[n-1].Last, next.Last)
	}
	return joined
}
