package scheduler

// locality keeps all connections to one virtual address on one server, as dh
// does, but chooses that server by load and replaces it when it has more active
// connections than its weight while another has less than half
// (net/netfilter/ipvs/ip_vs_lblc.c).
type locality struct {
	chosen memory[*Realserver]
}

// Pick returns the virtual address's server, or chooses one.
func (s *locality) Pick(servers []*Realserver, client Client) *Realserver {
	chosen := s.chosen.at(client.VirtualAddr, client.Now)
	// As in the kernel, a server that stays is not looked at for thresholds.
	if rs := *chosen; rs != nil && rs.Weight() > 0 && !crowded(rs, servers) {
		return rs
	}
	rs := firstLeast(servers, client.Now)
	if rs != nil {
		*chosen = rs
	}
	return rs
}
