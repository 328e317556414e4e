package scheduler

// sourceHash gives all connections of one client address to one server. Each
// server has as many neighbouring places of the table as its weight, but at
// least one, as long as the table lasts (net/netfilter/ipvs/ip_vs_sh.c).
type sourceHash struct {
	flags Flags
	table [1 << hashBits]*Realserver
}

// Update deals the servers anew.
func (s *sourceHash) Update(servers []*Realserver) {
	server, dealt := 0, 0
	for i := range s.table {
		s.table[i] = nil
		if len(servers) == 0 {
			continue
		}
		s.table[i] = servers[server]
		if dealt++; dealt >= servers[server].Weight() {
			server, dealt = (server+1)%len(servers), 0
		}
	}
}

// Pick returns the client's server. When that is not eligible it returns nil,
// or with sh-fallback the first eligible one on a fixed way through the table.
func (s *sourceHash) Pick(_ []*Realserver, client Client) *Realserver {
	home := s.place(client, 0)
	rs := s.table[home]
	if rs == nil || rs.eligible() {
		return rs
	}
	if !s.flags.SHFallback {
		return nil
	}
	for i := range uint32(len(s.table)) {
		offset := (i + home) % uint32(len(s.table))
		if rs := s.table[s.place(client, offset)]; rs.eligible() {
			return rs
		}
	}
	return nil
}

// place is where in the table a client belongs, moved on by offset.
func (s *sourceHash) place(client Client, offset uint32) uint32 {
	key := client.Addr
	if s.flags.SHPort {
		key += uint32(client.Port)
	}
	return (offset + hash32(key, hashBits)) % uint32(len(s.table))
}
