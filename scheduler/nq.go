package scheduler

// neverQueue takes an idle server, the first in the list unless ties rotate,
// rather than a faster one that is busy; when all are busy it is as sed
// (net/netfilter/ipvs/ip_vs_nq.c). A server that starts slowly does not count
// as idle: with short connections it always would be, and get all of them.
type neverQueue struct{ ties ties }

// Pick returns the first eligible server without active connections, or else
// the one with the shortest expected delay.
func (s *neverQueue) Pick(servers []*Realserver, client Client) *Realserver {
	for at, rs := range s.ties.order(servers) {
		if rs.eligible() && rs.Active() == 0 && !rs.warming(client.Now) {
			s.ties.took(at)
			return rs
		}
	}
	return s.ties.leastForWeight(servers, client.Now, expectedDelay)
}
