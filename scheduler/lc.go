package scheduler

// leastConnection takes the server with the least overhead, whatever its
// weight; of equals, the first in the list unless ties rotate
// (net/netfilter/ipvs/ip_vs_lc.c).
type leastConnection struct{ ties ties }

// Pick returns the least loaded eligible server.
func (s *leastConnection) Pick(servers []*Realserver, _ Client) *Realserver {
	least := -1
	var leastOverhead int64
	for at, rs := range s.ties.order(servers) {
		if !rs.eligible() {
			continue
		}
		if overhead := rs.overhead(); least < 0 || overhead < leastOverhead {
			least, leastOverhead = at, overhead
		}
	}
	if least < 0 {
		return nil
	}
	s.ties.took(least)
	return servers[least]
}
