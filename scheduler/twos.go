package scheduler

import "sort"

// twoChoices draws two servers at random, by weight, and takes the one with
// the lower overhead for its weight (net/netfilter/ipvs/ip_vs_twos.c).
type twoChoices struct {
	random func() uint32
	sums   []int // of the weights up to and including each server's; nil where thresholds may close one
}

// Update adds up the weights anew. They hold until the next call unless a server
// has a threshold, which takes it out of the draw at any time.
func (s *twoChoices) Update(servers []*Realserver) {
	s.sums = make([]int, 0, len(servers))
	sum := 0
	for _, rs := range servers {
		if upper, _ := rs.Thresholds(); upper != 0 {
			s.sums = nil
			return
		}
		sum += rs.Weight()
		s.sums = append(s.sums, sum)
	}
}

// Pick returns the better of two eligible servers drawn at random; they may be
// the same one.
func (s *twoChoices) Pick(servers []*Realserver, _ Client) *Realserver {
	total := s.total(servers)
	if total == 0 {
		return nil
	}
	// Both ends belong to the range, as in the kernel, which favours the
	// first server by one part.
	first := s.draw(servers, int(s.random()%uint32(total+1)))
	second := s.draw(servers, int(s.random()%uint32(total+1)))
	if int64(second.Weight())*first.overhead() > int64(first.Weight())*second.overhead() {
		return second
	}
	return first
}

// total is the sum of all eligible servers' weights.
func (s *twoChoices) total(servers []*Realserver) (total int) {
	if len(s.sums) > 0 {
		return s.sums[len(s.sums)-1]
	}
	for _, rs := range servers {
		if rs.eligible() {
			total += rs.Weight()
		}
	}
	return total
}

// draw returns the eligible server at a place in the sum of weights.
func (s *twoChoices) draw(servers []*Realserver, place int) *Realserver {
	if len(s.sums) > 0 {
		place = max(place, 1) // a server of weight 0 has no place
		return servers[sort.SearchInts(s.sums, place)]
	}
	var last *Realserver
	for _, rs := range servers {
		if !rs.eligible() {
			continue
		}
		last = rs
		if place -= rs.Weight(); place <= 0 {
			break
		}
	}
	return last
}
