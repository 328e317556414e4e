package scheduler

// twoChoices draws two servers at random, by weight, and takes the one with
// the lower overhead for its weight (net/netfilter/ipvs/ip_vs_twos.c).
type twoChoices struct {
	random func() uint32
}

// Pick returns the better of two eligible servers drawn at random; they may be
// the same one.
func (s twoChoices) Pick(servers []*Realserver, _ Client) *Realserver {
	total := 0
	for _, rs := range servers {
		if rs.eligible() {
			total += rs.Weight()
		}
	}
	if total == 0 {
		return nil
	}
	// Both ends belong to the range, as in the kernel, which favours the
	// first server by one part.
	first := draw(servers, int(s.random()%uint32(total+1)))
	second := draw(servers, int(s.random()%uint32(total+1)))
	if int64(second.Weight())*first.overhead() > int64(first.Weight())*second.overhead() {
		return second
	}
	return first
}

// draw returns the eligible server at a place in the sum of weights.
func draw(servers []*Realserver, place int) *Realserver {
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
