package scheduler

// weightedRoundRobin goes round the list in passes. Each pass has a weight
// that a server must have to be taken; it falls from pass to pass from the
// greatest weight to 1, by the greatest common divisor of all weights. So a
// server of weight 3 is taken in three passes while one of weight 1 is taken in
// one (net/netfilter/ipvs/ip_vs_wrr.c).
type weightedRoundRobin struct {
	at      int     // place of the server taken last; -1: before the first
	current int     // weight that this pass asks for
	highest int     // what the first pass asks for
	step    int     // from pass to pass
	saved   []int64 // by the place of a server that starts slowly; see takesTurn
}

// Update begins again at the head of the list, in about the same pass.
func (s *weightedRoundRobin) Update(servers []*Realserver) {
	s.saved = make([]int64, len(servers))
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

// Pick goes on behind the server taken last. A server that starts slowly leaves
// some of its turns to the next.
func (s *weightedRoundRobin) Pick(servers []*Realserver, client Client) *Realserver {
	if s.highest <= 0 {
		return nil
	}
	for at := s.at + 1; ; at = 0 {
		for ; at < len(servers); at++ {
			if rs := servers[at]; !rs.overloaded() && rs.Weight() >= s.current && rs.takesTurn(&s.saved[at], client.Now) {
				s.at = at
				return rs
			}
		}
		if !s.nextPass(servers) {
			s.giveUp()
			return nil
		}
	}
}

// nextPass goes on to the next pass in which there is an eligible server,
// without walking through those in which there is none: where a server of
// weight 10000 is overloaded, there are thousands. It reports whether there is
// one.
func (s *weightedRoundRobin) nextPass(servers []*Realserver) bool {
	heaviest := 0
	for _, rs := range servers {
		if !rs.overloaded() {
			heaviest = max(heaviest, rs.Weight())
		}
	}
	if heaviest == 0 {
		return false
	}
	if s.current -= s.step; s.current <= 0 {
		s.current = s.highest
	}
	if above := s.current - heaviest; above > 0 {
		s.current -= (above + s.step - 1) / s.step * s.step
	}
	return true
}

// giveUp leaves the place where the kernel leaves it when no server is
// eligible: it has then gone through all passes, but the last pass only up to
// the server with which it began.
func (s *weightedRoundRobin) giveUp() {
	if s.at < 0 || s.current > s.step {
		s.at, s.current = -1, s.highest
	}
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
