package scheduler

// shortestExpectedDelay takes the server on which a new connection would wait
// least: the least (active+1)/weight. Inactive connections do not count, so
// for UDP, whose connections are all inactive, the weights alone decide
// (net/netfilter/ipvs/ip_vs_sed.c).
type shortestExpectedDelay struct{}

// Pick returns the eligible server with the shortest expected delay.
func (shortestExpectedDelay) Pick(servers []*Realserver, _ Client) *Realserver {
	return leastForWeight(servers, expectedDelay)
}

// expectedDelay counts the new connection in.
func expectedDelay(rs *Realserver) int64 { return int64(rs.Active()) + 1 }
