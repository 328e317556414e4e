package scheduler

// weightedLeastConnection takes the server with the least overhead for its
// weight; of equals, the first in the list unless ties rotate
// (net/netfilter/ipvs/ip_vs_wlc.c).
type weightedLeastConnection struct{ ties ties }

// Pick returns the least loaded eligible server.
func (s *weightedLeastConnection) Pick(servers []*Realserver, client Client) *Realserver {
	return s.ties.leastForWeight(servers, client.Now, (*Realserver).overhead)
}
