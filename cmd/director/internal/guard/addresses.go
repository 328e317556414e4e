package guard

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"lvsnat/dataplane/interval"
)

// without takes addresses out of joined intervals.
func without(intervals []interval.Interval, own ownAddrs) []interval.Interval {
	var left []interval.Interval
	for _, i := range intervals {
		first := uint64(i.First) // of what is left of the interval
		for len(own) > 0 && interval.HostOrder(own[0]) <= i.Last {
			hole := uint64(interval.HostOrder(own[0]))
			own = own[1:]
			if hole < first {
				continue
			}
			if hole > first {
				left = append(left, interval.Interval{First: uint32(first), Last: uint32(hole - 1)})
			}
			first = hole + 1
		}
		if first <= uint64(i.Last) {
			left = append(left, interval.Interval{First: uint32(first), Last: i.Last})
		}
	}
	return left
}

// ownAddrs are the box's own IPv4 addresses in order.
type ownAddrs []netip.Addr

func newOwnAddrs(local []netip.Addr) ownAddrs {
	own := slices.DeleteFunc(slices.Clone(local), func(a netip.Addr) bool { return !a.Is4() })
	slices.SortFunc(own, netip.Addr.Compare)
	return slices.Compact(own)
}

// in lists those of a prefix.
func (o ownAddrs) in(prefix netip.Prefix) []netip.Addr {
	from, _ := slices.BinarySearchFunc(o, prefix.Addr(), netip.Addr.Compare)
	to := from
	for to < len(o) && prefix.Contains(o[to]) {
		to++
	}
	return o[from:to]
}

// addIntervals adds intervals of addresses.
func (e elements) addIntervals(intervals []interval.Interval) {
	for _, i := range intervals {
		e.add(binary.BigEndian.AppendUint32(nil, i.First), binary.BigEndian.AppendUint32(nil, i.Last))
	}
}

// portRanges are the ranges of ports of each host.
type portRanges map[host][]interval.Interval

// addTo adds the ranges to a set's elements, joined, because the kernel refuses
// ranges of one set that overlap.
func (p portRanges) addTo(e elements) {
	for at, ranges := range p {
		for _, i := range interval.Join(ranges) {
			first := append(at.fields(), portField(i.First))
			last := append(at.fields(), portField(i.Last))
			e.add(append(first, last...)...)
		}
	}
}
