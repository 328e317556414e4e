package scheduler

// weightedLeastConnection takes the server with the least overhead for its
// weight; of equals, the first in the list (net/netfilter/ipvs/ip_vs_wlc.c).
type weightedLeastConnection struct{}

// Pick returns the least loaded eligible server.
func (weightedLeastConnection) Pick(servers []*Realserver, _ Client) *Realserver {
	return leastForWeight(servers, (*Realserver).overhead)
}

// leastForWeight returns the eligible server with the least load for its
// weight, the first of equals. Loads are compared by cross-multiplication, as
// the kernel does, so that no division rounds a difference away.
func leastForWeight(servers []*Realserver, load func(*Realserver) int64) *Realserver {
	var least *Realserver
	var leastLoad, leastWeight int64
	for _, rs := range servers {
		if !rs.eligible() {
			continue
		}
		l, weight := load(rs), int64(rs.Weight())
		if least == nil || leastLoad*weight > l*leastWeight {
			least, leastLoad, leastWeight = rs, l, weight
		}
	}
	return least
}
