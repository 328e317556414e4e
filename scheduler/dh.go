package scheduler

// hashBits is the size of dh's and sh's tables, as a power of two
// (CONFIG_IP_VS_SH_TAB_BITS).
const hashBits = 8

// hash32 is the kernel's multiplicative hash (hash_32 in linux/hash.h).
func hash32(v uint32, bits int) uint32 {
	return v * 0x61c88647 >> (32 - bits)
}

// destinationHash gives all connections to one virtual address to one server,
// which is for services with many addresses, caches for example. The servers
// are dealt round the table without regard to weights; the one of an address is
// never replaced by another (net/netfilter/ipvs/ip_vs_dh.c).
type destinationHash struct {
	table [1 << hashBits]*Realserver
}

// Update deals the servers anew.
func (s *destinationHash) Update(servers []*Realserver) {
	for i := range s.table {
		s.table[i] = nil
		if len(servers) > 0 {
			s.table[i] = servers[i%len(servers)]
		}
	}
}

// Pick returns the virtual address's server, or nil when it is not eligible.
func (s *destinationHash) Pick(_ []*Realserver, client Client) *Realserver {
	if rs := s.table[hash32(client.VirtualAddr, hashBits)]; rs != nil && rs.eligible() {
		return rs
	}
	return nil
}
