package scheduler

// weightedRoundRobin goes round the list in passes. Each pass has a weight
// that a server must have to be taken; it falls from pass to pass from the
// greatest weight to 1, by the greatest common divisor of all weights. So a
// server of weight 3 is taken in three passes while one of weight 1 is taken in
// one (net/netfilter/ipvs/ip_vs_wrr.c).
type weightedRoundRobin struct {
	at      int // place of the server taken last; -1: before the first
	current int // weight that this pass asks for
	highest int // what the first pass asks for
	step    int
}

// Update begins again at the head of the list, in about the same pass.
func (s *weightedRoundRobin) Update(servers []*Realserver) {
	s.at = -1
	s.step = max(1, divisor(servers, (*Realserver).Weight))
	greatest := 0
	for _, rs := range servers {
		greatest = max(greatest, rs.Weight())
	}
	// The last pass shall ask for 1, not for the divisor: a weight may be
	// changed to less between two calls of Update.
	s.highest = greatest - (s.step - 1)
	switch {
	case s.current > s.highest || s.current == 0:
		s.current = s.highest
	case s.step > 1:
		s.current = s.current/s.step*s.step + 1
	}
}

// Pick goes on behind the server taken last. A whole round of passes without an
// eligible server ends at the same place with nothing.
func (s *weightedRoundRobin) Pick(servers []*Realserver, _ Client) *Realserver {
	if s.highest <= 0 || len(servers) == 0 {
		return nil
	}
	passes := (s.highest+s.step-1)/s.step + 1
	for range passes {
		for s.at++; s.at < len(servers); s.at++ {
			if rs := servers[s.at]; !rs.overloaded() && rs.Weight() >= s.current {
				return rs
			}
		}
		s.at = -1
		if s.current -= s.step; s.current <= 0 {
			s.current = s.highest
		}
	}
	return nil
}

// divisor is the greatest common divisor of all positive weights, 0 when there
// is none.
func divisor(servers []*Realserver, weight func(*Realserver) int) int {
	d := 0
	for _, rs := range servers {
		for w := weight(rs); w > 0; {
			d, w = w, d%w
		}
	}
	return d
}
