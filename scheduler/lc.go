package scheduler

// leastConnection is the cost that lc goes by: a server's overhead, whatever its
// weight (net/netfilter/ipvs/ip_vs_lc.c).
func leastConnection(rs *Realserver, _ int64) cost { return cost{rs.overhead(), 1} }
