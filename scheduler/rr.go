package scheduler

import "slices"

// roundRobin takes the servers in turn. Weights count only as zero or not
// (net/netfilter/ipvs/ip_vs_rr.c).
type roundRobin struct {
	servers []*Realserver // of the last Update
	next    int           // place of the server whose turn it is
}

// Update goes on behind the server that was taken last or, when that is gone,
// behind the nearest one before it that is left (ip_vs_rr_del_dest).
func (s *roundRobin) Update(servers []*Realserver) {
	last := min(s.next, len(s.servers)) - 1
	s.next = 0
	for ; last >= 0; last-- {
		if i := slices.Index(servers, s.servers[last]); i >= 0 {
			s.next = i + 1
			break
		}
	}
	s.servers = servers
}

// Pick returns the next eligible server behind the last one.
func (s *roundRobin) Pick(servers []*Realserver, _ Client) *Realserver {
	at := s.next
	for range servers {
		if at >= len(servers) {
			at = 0
		}
		rs := servers[at]
		at++
		if rs.eligible() {
			s.next = at
			return rs
		}
	}
	return nil
}
