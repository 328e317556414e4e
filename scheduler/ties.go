package scheduler

import "iter"

// ties says which of several equal servers is taken. IPVS takes the first in
// its list, always, so with short connections the first server of an idle
// service gets them all. With rotate, each search begins behind the server
// that was taken last, and equals take turns.
type ties struct {
	rotate bool
	next   int // place at which the search begins
}

// order yields the servers with their places in the order of a search.
func (t *ties) order(servers []*Realserver) iter.Seq2[int, *Realserver] {
	return func(yield func(int, *Realserver) bool) {
		begin := min(t.next, len(servers)) // servers may have been removed
		for i, rs := range servers[begin:] {
			if !yield(begin+i, rs) {
				return
			}
		}
		for i, rs := range servers[:begin] {
			if !yield(i, rs) {
				return
			}
		}
	}
}

// took notes the place of the server that was taken.
func (t *ties) took(at int) {
	if t.rotate {
		t.next = at + 1
	}
}

// leastForWeight returns the eligible server with the least load for its share
// of weight. Of equals it is the first, or with rotate the first behind the one
// taken last. Loads are compared by cross-multiplication, as the kernel does,
// so that no division rounds a difference away.
func (t *ties) leastForWeight(servers []*Realserver, now int64, load func(*Realserver) int64) *Realserver {
	least := -1
	var leastLoad, leastShare int64
	for at, rs := range t.order(servers) {
		if !rs.eligible() {
			continue
		}
		l, share := load(rs), rs.share(now)
		if least < 0 || leastLoad*share > l*leastShare {
			least, leastLoad, leastShare = at, l, share
		}
	}
	if least < 0 {
		return nil
	}
	t.took(least)
	return servers[least]
}
