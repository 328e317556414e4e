package scheduler

// weightedLeastConnection is the cost that wlc goes by: a server's overhead for
// its weight (net/netfilter/ipvs/ip_vs_wlc.c).
func weightedLeastConnection(rs *Realserver, now int64) cost {
	return cost{rs.overhead(), rs.share(now)}
}
