package scheduler

// overflow fills the server with the greatest weight up to as many active
// connections as its weight, then the next (net/netfilter/ipvs/ip_vs_ovf.c).
type overflow struct{}

// Pick returns the eligible server with the greatest weight that is not
// full.
func (overflow) Pick(servers []*Realserver, _ Client) *Realserver {
	return greatestWeight(servers, func(rs *Realserver) bool {
		return rs.eligible() && rs.Active() <= rs.Weight()
	})
}
