package scheduler

// neverQueue takes an idle server, the first in the list, rather than a faster
// one that is busy; when all are busy it is as sed
// (net/netfilter/ipvs/ip_vs_nq.c).
type neverQueue struct{}

// Pick returns the first eligible server without active connections, or else
// the one with the shortest expected delay.
func (neverQueue) Pick(servers []*Realserver, client Client) *Realserver {
	for _, rs := range servers {
		if rs.eligible() && rs.Active() == 0 {
			return rs
		}
	}
	return shortestExpectedDelay{}.Pick(servers, client)
}
