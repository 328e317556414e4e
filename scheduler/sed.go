package scheduler

// shortestExpectedDelay is the cost that sed goes by: how long a new connection
// would wait, (active+1)/weight. Inactive connections do not count, so for UDP,
// whose connections are all inactive, the weights alone decide
// (net/netfilter/ipvs/ip_vs_sed.c).
func shortestExpectedDelay(rs *Realserver, now int64) cost {
	return cost{int64(rs.Active()) + 1, rs.share(now)}
}
