package scheduler

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

const (
	// MaxRangeBits is the largest number of host bits of a range of
	// addresses: a /20. Each address is announced by frames of its own to all
	// stations of the network, which for 4,096 takes 0.6 s.
	MaxRangeBits = 12

	// MaxRangeAddrs is how many addresses the ranges of all services may have
	// together. What ARP remembers of each takes 250 bytes.
	MaxRangeAddrs = 1 << 16
)

// An Overlap is two services, by their indexes, that share a part of their
// ports while each has ports of its own, so that neither is the more specific
// one.
type Overlap struct{ First, Second int }

// Overlaps finds the services that have the same addresses and overlapping
// ports without an order. Of all others the more specific one is known: prefixes
// contain one another or have nothing in common, and the longer one counts;
// with equal prefixes that with the fewer ports counts. Services of the same
// key are no overlap.
func Overlaps(keys []Key) []Overlap {
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := keys[a], keys[b]
		firstX, lastX := x.ports()
		firstY, lastY := y.ports()
		return cmp.Or(compareAddrs(x, y), cmp.Compare(firstX, firstY), cmp.Compare(lastY, lastX))
	})
	var found []Overlap
	var around []int // services that begin before the present one and end behind its beginning, the narrowest last
	for _, i := range order {
		first, last := keys[i].ports()
		for len(around) > 0 {
			outer := keys[around[len(around)-1]]
			if _, end := outer.ports(); compareAddrs(outer, keys[i]) == 0 && end >= first {
				break
			}
			around = around[:len(around)-1]
		}
		if n := len(around); n > 0 {
			if _, end := keys[around[n-1]].ports(); end < last {
				found = append(found, Overlap{min(around[n-1], i), max(around[n-1], i)})
			}
		}
		around = append(around, i)
	}
	return found
}

// compareAddrs is 0 for services of the same protocol and addresses.
func compareAddrs(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.HostBits, b.HostBits), cmp.Compare(a.Addr, b.Addr))
}

// checkRanges refuses ranges that are too large, and those without an order.
func checkRanges(wanted []ServiceSpec) error {
	keys := make([]Key, len(wanted))
	ranges := make(map[netip.Prefix]struct{})
	for i, spec := range wanted {
		keys[i] = spec.Key()
		if spec.Address.ManyAddrs() {
			ranges[spec.Address.Prefix()] = struct{}{}
		}
	}
	for _, o := range Overlaps(keys) {
		return fmt.Errorf("services %v and %v: each has ports that the other has not, so neither comes first where both could serve",
			wanted[o.First].Address, wanted[o.Second].Address)
	}
	total := 0
	for prefix := range ranges {
		total += 1 << (32 - prefix.Bits())
	}
	if total > MaxRangeAddrs {
		return fmt.Errorf("the services' ranges have %d addresses together, %d are the most", total, MaxRangeAddrs)
	}
	return nil
}
