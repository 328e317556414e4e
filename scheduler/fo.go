package scheduler

// failover takes the available server with the greatest weight for everything;
// of equals, the first in the list (net/netfilter/ipvs/ip_vs_fo.c).
type failover struct{}

// Pick returns the eligible server with the greatest weight.
func (failover) Pick(servers []*Realserver, _ Client) *Realserver {
	return greatestWeight(servers, (*Realserver).eligible)
}

// greatestWeight returns the server with the greatest weight among those that
// may be taken, the first of equals.
func greatestWeight(servers []*Realserver, may func(*Realserver) bool) *Realserver {
	var greatest *Realserver
	for _, rs := range servers {
		if may(rs) && (greatest == nil || rs.Weight() > greatest.Weight()) {
			greatest = rs
		}
	}
	return greatest
}
