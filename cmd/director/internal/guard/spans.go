package guard

import (
	"cmp"
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
)

// A span is addresses in host order or ports, both ends included. The kernel
// refuses ranges of one set that overlap, so spans are joined before.
type span struct{ first, last uint32 }

func spanOf(prefix netip.Prefix) span {
	first := hostOrder(prefix.Masked().Addr())
	return span{first, first | uint32(math.MaxUint32>>prefix.Bits())}
}

// join puts together what overlaps or touches.
func join(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	var joined []span
	for _, s := range spans {
		n := len(joined)
		if n == 0 || uint64(s.first) > uint64(joined[n-1].last)+1 {
			joined = append(joined, s)
			continue
		}
		joined[n-1].last = max(joined[n-1].last, s.last)
	}
	return joined
}

// without takes addresses out of joined spans.
func without(spans []span, own ownAddrs) []span {
	var left []span
	for _, s := range spans {
		first := uint64(s.first) // of what is left of the span
		for len(own) > 0 && hostOrder(own[0]) <= s.last {
			hole := uint64(hostOrder(own[0]))
			own = own[1:]
			if hole < first {
				continue
			}
			if hole > first {
				left = append(left, span{uint32(first), uint32(hole - 1)})
			}
			first = hole + 1
		}
		if first <= uint64(s.last) {
			left = append(left, span{uint32(first), s.last})
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

// addSpans adds spans of addresses.
func (e elements) addSpans(spans []span) {
	for _, s := range spans {
		e.add(binary.BigEndian.AppendUint32(nil, s.first), binary.BigEndian.AppendUint32(nil, s.last))
	}
}

// portSpans are the ranges of ports of each host.
type portSpans map[host][]span

// addTo adds the ranges, joined, to a set's elements.
func (p portSpans) addTo(e elements) {
	for at, spans := range p {
		for _, s := range join(spans) {
			first := append(at.fields(), portField(s.first))
			last := append(at.fields(), portField(s.last))
			e.add(append(first, last...)...)
		}
	}
}

func hostOrder(addr netip.Addr) uint32 {
	b := addr.As4()
	return binary.BigEndian.Uint32(b[:])
}
