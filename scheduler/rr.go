package scheduler

// roundRobin takes the servers in turn. Weights count only as zero or not
// (net/netfilter/ipvs/ip_vs_rr.c).
type roundRobin struct {
	last *Realserver // the server chosen last; the turn goes on behind it
}

// Pick returns the next eligible server behind the last one.
func (s *roundRobin) Pick(servers []*Realserver, _ Client) *Realserver {
	start := 0
	for i, rs := range servers {
		if rs == s.last {
			start = i + 1
			break
		}
	}
	for i := range servers {
		rs := servers[(start+i)%len(servers)]
		if rs.eligible() {
			s.last = rs
			return rs
		}
	}
	return nil
}
