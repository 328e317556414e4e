package scheduler

// shortestExpectedDelay takes the server on which a new connection would wait
// least: the least (active+1)/weight; of equals, the first in the list unless
// ties rotate. Inactive connections do not count, so for UDP, whose
// connections are all inactive, the weights alone decide
// (net/netfilter/ipvs/ip_vs_sed.c).
type shortestExpectedDelay struct{ ties ties }

// Pick returns the eligible server with the shortest expected delay.
func (s *shortestExpectedDelay) Pick(servers []*Realserver, client Client) *Realserver {
	return s.ties.leastForWeight(servers, client.Now, expectedDelay)
}

// expectedDelay counts the new connection in.
func expectedDelay(rs *Realserver) int64 { return int64(rs.Active()) + 1 }
