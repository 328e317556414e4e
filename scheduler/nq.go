package scheduler

// neverQueue is the cost that nq goes by: nothing for an idle server, which is
// taken rather than a faster one that is busy; when all are busy it is as sed
// (net/netfilter/ipvs/ip_vs_nq.c). A server that starts slowly does not count
// as idle: with short connections it always would be, and get all of them.
func neverQueue(rs *Realserver, now int64) cost {
	if rs.Active() == 0 && !rs.warming(now) {
		return cost{0, 1}
	}
	return shortestExpectedDelay(rs, now)
}
