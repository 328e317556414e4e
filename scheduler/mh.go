package scheduler

import "math/bits"

// maglevSize is the prime number of places in mh's table
// (CONFIG_IP_VS_MH_TAB_INDEX 12), maglevBits the bits of a weight that fit it.
const (
	maglevSize = 4093
	maglevBits = 6
)

// The keys of mh's two hashes (generate_hash_secret in ip_vs_mh.c). Being
// fixed, they let several directors choose alike.
const (
	maglevKey1 = 2654435761
	maglevKey2 = 2654446892
)

// maglev gives each client address a server by Maglev hashing: every server
// has its own order of preference for the places of the table, and they take
// places in turn, by weight. So a server that comes or goes moves few clients
// to another one. A server whose weight was set to 0 keeps its places, and only
// its own clients are without a server meanwhile (net/netfilter/ipvs/ip_vs_mh.c;
// Eisenbud and others, NSDI 2016).
type maglev struct {
	flags Flags
	table [maglevSize]*Realserver
}

// A preference is a server's way through the table.
type preference struct {
	server *Realserver
	next   int // the place it would take now
	skip   int
	turns  int // places it takes before the next server's turn
}

// Update fills the table anew.
func (s *maglev) Update(servers []*Realserver) {
	clear(s.table[:])
	order := preferences(servers)
	if len(order) == 0 {
		return
	}
	for filled, at, turn := 0, 0, 0; filled < maglevSize; filled++ {
		p := &order[at]
		for s.table[p.next] != nil {
			p.next = (p.next + p.skip) % maglevSize
		}
		s.table[p.next] = p.server
		if turn++; turn >= p.turns {
			at, turn = (at+1)%len(order), 0
		}
	}
}

// preferences lists the servers that ever had a weight, with their turns: the
// weights without what they have in common, in as many bits as the table takes.
func preferences(servers []*Realserver) []preference {
	common := divisor(servers, (*Realserver).lastNonZeroWeight)
	if common == 0 {
		return nil
	}
	greatest := 0
	for _, rs := range servers {
		greatest = max(greatest, rs.lastNonZeroWeight())
	}
	shift := max(0, bits.Len(uint(greatest/common))-maglevBits)
	var order []preference
	for _, rs := range servers {
		weight := rs.lastNonZeroWeight()
		if weight == 0 {
			continue
		}
		order = append(order, preference{
			server: rs,
			next:   int(maglevHash(rs.Addr, rs.Port, maglevKey1, 0) % maglevSize),
			skip:   int(maglevHash(rs.Addr, rs.Port, maglevKey2, 0)%(maglevSize-1)) + 1,
			turns:  max(1, weight/common>>shift),
		})
	}
	return order
}

// Pick returns the client's server. When that is not eligible it returns nil,
// or with mh-fallback the first eligible one on a way that depends on the
// client.
func (s *maglev) Pick(_ []*Realserver, client Client) *Realserver {
	home := s.place(client, 0)
	rs := s.table[home]
	if rs == nil || rs.eligible() {
		return rs
	}
	if !s.flags.MHFallback {
		return nil
	}
	for i := range uint32(maglevSize) {
		if rs := s.table[s.place(client, (i+home)%maglevSize)]; rs.eligible() {
			return rs
		}
	}
	return nil
}

func (s *maglev) place(client Client, offset uint32) uint32 {
	port := client.Port
	if !s.flags.MHPort {
		port = 0
	}
	return maglevHash(client.Addr, port, maglevKey1, offset) % maglevSize
}

func maglevHash(addr uint32, port uint16, key uint64, offset uint32) uint32 {
	return hsiphash(offset+uint32(port)+addr, key, key)
}

// hsiphash is the kernel's hash of one 32-bit word on 64-bit machines:
// SipHash with one round a word and three at the end (hsiphash_1u32 and
// HSipHash-1-3 in lib/siphash.c).
func hsiphash(word uint32, key0, key1 uint64) uint32 {
	v0 := 0x736f6d6570736575 ^ key0
	v1 := 0x646f72616e646f6d ^ key1
	v2 := 0x6c7967656e657261 ^ key0
	v3 := 0x7465646279746573 ^ key1
	round := func() {
		v0 += v1
		v1 = bits.RotateLeft64(v1, 13) ^ v0
		v0 = bits.RotateLeft64(v0, 32)
		v2 += v3
		v3 = bits.RotateLeft64(v3, 16) ^ v2
		v0 += v3
		v3 = bits.RotateLeft64(v3, 21) ^ v0
		v2 += v1
		v1 = bits.RotateLeft64(v1, 17) ^ v2
		v2 = bits.RotateLeft64(v2, 32)
	}
	block := 4<<56 | uint64(word)
	v3 ^= block
	round()
	v0 ^= block
	v2 ^= 0xff
	round()
	round()
	round()
	return uint32(v0 ^ v1 ^ v2 ^ v3)
}
