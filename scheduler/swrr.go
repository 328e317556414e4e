package scheduler

import "slices"

// smoothWeightedRoundRobin gives each server as many turns as its weight, as
// wrr does, but spreads them as evenly as whole turns can be: of weights 5, 1
// and 1 come a a b a c a a, where wrr has a a a a a b c. It is nginx's algorithm
// (ngx_http_upstream_get_peer in ngx_http_upstream_round_robin.c), not of IPVS:
// in each turn every server earns its weight, and the one that has most, the
// first of equals, takes the turn and pays what all have earned.
//
// Servers of one weight earn alike and pay alike, so among themselves they take
// turns in the order of the list. It is enough to know what the next one of each
// weight has earned, as long as no server drops out or changes its share.
type smoothWeightedRoundRobin struct {
	classes []weightClass
	total   int64   // what all earn in a turn
	earned  []int64 // where shares change: by the place of the server, instead of classes
}

// A weightClass is the servers of one weight.
type weightClass struct {
	weight int64
	places []int
	next   int   // index in places of the one that is next among them
	earned int64 // by it and those behind it; those before it have paid once more
}

// Update begins anew: what was earned by other weights means nothing.
func (s *smoothWeightedRoundRobin) Update(servers []*Realserver) {
	*s = smoothWeightedRoundRobin{}
	if slices.ContainsFunc(servers, (*Realserver).shareChanges) {
		s.earned = make([]int64, len(servers))
		return
	}
	for place, rs := range servers {
		weight := int64(rs.Weight())
		if weight == 0 {
			continue
		}
		i := slices.IndexFunc(s.classes, func(c weightClass) bool { return c.weight == weight })
		if i < 0 {
			i, s.classes = len(s.classes), append(s.classes, weightClass{weight: weight})
		}
		s.classes[i].places = append(s.classes[i].places, place)
		s.total += weight
	}
}

// shareChanges reports whether what the server earns in a turn may change before
// the next Update.
func (r *Realserver) shareChanges() bool {
	upper, _ := r.Thresholds()
	return upper != 0 || r.startsSlowly()
}

// Pick returns the eligible server that has earned most, the first of equals.
func (s *smoothWeightedRoundRobin) Pick(servers []*Realserver, client Client) *Realserver {
	if s.earned != nil {
		return s.pickOfAll(servers, client.Now)
	}
	richest := -1
	for i := range s.classes {
		c := &s.classes[i]
		c.earned += c.weight
		if richest < 0 || c.before(&s.classes[richest]) {
			richest = i
		}
	}
	if richest < 0 {
		return nil
	}
	return servers[s.classes[richest].take(s.total)]
}

// before reports whether the turn is rather c's than the other's.
func (c *weightClass) before(other *weightClass) bool {
	if c.earned != other.earned {
		return c.earned > other.earned
	}
	return c.places[c.next] < other.places[other.next]
}

// take gives the turn to the next one, and returns its place. When the last one
// has paid, all have.
func (c *weightClass) take(price int64) int {
	place := c.places[c.next]
	if c.next++; c.next == len(c.places) {
		c.next = 0
		c.earned -= price
	}
	return place
}

// pickOfAll is as Pick, for when each server must be looked at.
func (s *smoothWeightedRoundRobin) pickOfAll(servers []*Realserver, now int64) *Realserver {
	richest, total := -1, int64(0)
	for i, rs := range servers {
		if !rs.eligible() {
			continue
		}
		share := rs.share(now)
		total += share
		s.earned[i] += share
		if richest < 0 || s.earned[i] > s.earned[richest] {
			richest = i
		}
	}
	if richest < 0 {
		return nil
	}
	s.earned[richest] -= total
	return servers[richest]
}
