package scheduler

// smoothWeightedRoundRobin gives each server as many turns as its weight, as
// wrr does, but spreads them as evenly as whole turns can be: of weights 5, 1
// and 1 come a a b a c a a, where wrr has a a a a a b c. It is nginx's algorithm
// (ngx_http_upstream_get_peer in ngx_http_upstream_round_robin.c), not of IPVS:
// in each turn every server earns its weight, and the one that has most takes
// the turn and pays what all have earned.
type smoothWeightedRoundRobin struct {
	earned []int64 // by the place of the server; the sum is 0 as long as the same servers are eligible
}

// Update begins anew: what was earned by other weights means nothing.
func (s *smoothWeightedRoundRobin) Update(servers []*Realserver) {
	s.earned = make([]int64, len(servers))
}

// Pick returns the eligible server that has earned most, the first of equals.
func (s *smoothWeightedRoundRobin) Pick(servers []*Realserver, client Client) *Realserver {
	richest, total := -1, int64(0)
	for i, rs := range servers {
		if !rs.eligible() {
			continue
		}
		share := rs.share(client.Now)
		total += share
		s.earned[i] += share
		if richest < 0 || s.earned[i] > s.earned[richest] {
			richest = i
		}
	}
	if richest < 0 {
		return nil
	}
	s.earned[richest] -= total
	return servers[richest]
}
