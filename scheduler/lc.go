package scheduler

// leastConnection takes the server with the least overhead, whatever its
// weight; of equals, the first in the list (net/netfilter/ipvs/ip_vs_lc.c).
type leastConnection struct{}

// Pick returns the least loaded eligible server.
func (leastConnection) Pick(servers []*Realserver, _ Client) *Realserver {
	var least *Realserver
	var leastOverhead int64
	for _, rs := range servers {
		if !rs.eligible() {
			continue
		}
		if overhead := rs.overhead(); least == nil || overhead < leastOverhead {
			least, leastOverhead = rs, overhead
		}
	}
	return least
}
