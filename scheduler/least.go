package scheduler

import "math/bits"

// few is up to how many servers it is cheaper to look at all than to note which
// of them change: with 10 a choice of wlc takes as long either way, with 100 it
// takes a fifth.
const few = 16

// leastCost takes the available server that costs least. Of equals IPVS takes
// the first in its list, always, so with short connections the first server of
// an idle service gets them all. With rotate, each search begins behind the
// server that was taken last, and equals take turns.
//
// Of many servers it does not look at all, as the kernel does, but at those whose
// counts have changed since the last choice: in a flood of new connections one or
// two of a thousand.
type leastCost struct {
	of     func(rs *Realserver, now int64) cost
	rotate bool
	next   int // place at which the search begins

	// Of more than a few servers:
	changes changes
	moving  []uint64 // bits as in changes: servers that start slowly, whose costs change by themselves
	costs   tournament
	now     int64 // the time of those costs, ns
}

// Update enters the servers anew. Their costs are looked at by the next Pick.
func (s *leastCost) Update(servers []*Realserver) {
	if s.next >= len(servers) {
		s.next = 0 // servers were removed
	}
	s.changes, s.moving, s.costs = nil, nil, tournament{}
	if len(servers) <= few {
		return
	}
	s.costs = newTournament(len(servers))
	s.changes = watch(servers)
	s.moving = make([]uint64, len(s.changes))
}

// Pick returns the eligible server with the least cost.
func (s *leastCost) Pick(servers []*Realserver, client Client) *Realserver {
	var at int
	var least cost
	if s.changes == nil {
		at, least = s.leastOfAll(servers, client.Now)
	} else {
		s.look(servers, client.Now)
		at, least = s.costs.least(s.next)
	}
	if least == unavailable {
		return nil
	}
	if s.rotate {
		s.next = (at + 1) % len(servers)
	}
	return servers[at]
}

// leastOfAll is the place of the server with the least cost, found by looking at
// each.
func (s *leastCost) leastOfAll(servers []*Realserver, now int64) (at int, least cost) {
	least = unavailable
	for i, rs := range servers[s.next:] {
		if c := s.costOf(rs, now); least.above(c) {
			at, least = s.next+i, c
		}
	}
	for i, rs := range servers[:s.next] {
		if c := s.costOf(rs, now); least.above(c) {
			at, least = i, c
		}
	}
	return at, least
}

// look brings the costs up to date.
func (s *leastCost) look(servers []*Realserver, now int64) {
	for word := range s.changes {
		due := s.changes.take(word)
		if now != s.now {
			due |= s.moving[word]
		}
		for ; due != 0; due &= due - 1 {
			at, bit := word*64+bits.TrailingZeros64(due), due&-due
			s.costs.enter(at, s.costOf(servers[at], now))
			s.moving[word] &^= bit
			if servers[at].startsSlowly() {
				s.moving[word] |= bit
			}
		}
	}
	s.now = now
}

func (s *leastCost) costOf(rs *Realserver, now int64) cost {
	if !rs.eligible() {
		return unavailable
	}
	return s.of(rs, now)
}
