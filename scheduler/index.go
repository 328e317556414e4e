package scheduler

import (
	"cmp"
	"maps"
	"slices"
	"sort"
)

// A rangeIndex finds the owner of an address, protocol and port among owners
// of ranges: of those with the fewest addresses the one with the fewest ports.
// A look-up takes one map access for each prefix length in use and a search by
// halves among the port ranges of one prefix, however many owners there are.
type rangeIndex[T comparable] []prefixes[T] // the longest first

// prefixes are the owners of all prefixes of one length.
type prefixes[T comparable] struct {
	mask uint32
	of   map[subnet]portRanges[T]
}

type subnet struct {
	addr     uint32
	protocol uint8
}

// A claim is an owner's range.
type claim[T comparable] struct {
	subnet
	mask        uint32
	first, last uint16
	owner       T
}

func newRangeIndex[T comparable](claims []claim[T]) rangeIndex[T] {
	// The widest port range is entered first, so that narrower ones replace
	// its middle.
	slices.SortStableFunc(claims, func(a, b claim[T]) int {
		return cmp.Or(cmp.Compare(b.mask, a.mask), cmp.Compare(b.last-b.first, a.last-a.first))
	})
	var index rangeIndex[T]
	for _, c := range claims {
		if n := len(index); n == 0 || index[n-1].mask != c.mask {
			index = append(index, prefixes[T]{c.mask, make(map[subnet]portRanges[T])})
		}
		of := index[len(index)-1].of
		of[c.subnet] = of[c.subnet].insert(c.first, c.last, c.owner)
	}
	return index
}

// find returns the owner, or the zero value.
func (x rangeIndex[T]) find(addr uint32, port uint16, protocol uint8) (owner T) {
	var none T
	for i := range x {
		ranges := x[i].of[subnet{addr & x[i].mask, protocol}]
		if ranges == nil {
			continue
		}
		if owner = ranges.find(port); owner != none {
			return owner
		}
	}
	return none
}

// portRanges are the owners of all ports: each range goes from behind the one
// before it to its last port, and the last range ends with port 65535.
type portRanges[T comparable] []portRange[T]

type portRange[T comparable] struct {
	last  uint16
	owner T // the zero value: nobody
}

func (r portRanges[T]) find(port uint16) T {
	i := sort.Search(len(r), func(i int) bool { return r[i].last >= port })
	return r[i].owner
}

// insert gives ports to an owner whoever had them.
func (r portRanges[T]) insert(first, last uint16, owner T) portRanges[T] {
	if r == nil {
		r = portRanges[T]{{last: 65535}}
	}
	from := sort.Search(len(r), func(i int) bool { return r[i].last >= first })
	to := sort.Search(len(r), func(i int) bool { return r[i].last >= last })
	var pieces portRanges[T]
	if first > 0 && (from == 0 || r[from-1].last < first-1) {
		pieces = append(pieces, portRange[T]{first - 1, r[from].owner})
	}
	pieces = append(pieces, portRange[T]{last, owner})
	if r[to].last == last {
		to++ // nothing is left of that range
	}
	return slices.Replace(r, from, to, pieces...)
}

// networks tell whether an address is in one of many prefixes.
type networks []networksOf

// networksOf are the prefixes of one length.
type networksOf struct {
	mask  uint32
	addrs map[uint32]struct{}
}

func newNetworks(keys []Key) networks {
	byMask := make(map[uint32]map[uint32]struct{})
	for _, k := range keys {
		addrs := byMask[k.mask()]
		if addrs == nil {
			addrs = make(map[uint32]struct{})
			byMask[k.mask()] = addrs
		}
		addrs[k.Addr] = struct{}{}
	}
	var n networks
	for _, mask := range slices.Backward(slices.Sorted(maps.Keys(byMask))) {
		n = append(n, networksOf{mask, byMask[mask]})
	}
	return n
}

func (n networks) contain(addr uint32) bool {
	for i := range n {
		if _, ok := n[i].addrs[addr&n[i].mask]; ok {
			return true
		}
	}
	return false
}
