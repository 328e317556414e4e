package scheduler

// overflow fills the server with the greatest weight up to as many active
// connections as its weight, then the next (net/netfilter/ipvs/ip_vs_ovf.c).
type overflow struct{ ranks []*Realserver }

// Update ranks the servers anew.
func (s *overflow) Update(servers []*Realserver) { s.ranks = ranked(servers) }

// Pick returns the eligible server with the greatest weight that is not
// full.
func (s *overflow) Pick([]*Realserver, Client) *Realserver {
	for _, rs := range s.ranks {
		if rs.eligible() && rs.Active() <= rs.Weight() {
			return rs
		}
	}
	return nil
}
