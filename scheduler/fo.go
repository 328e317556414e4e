package scheduler

import (
	"cmp"
	"slices"
)

// failover takes the available server with the greatest weight for everything;
// of equals, the first in the list (net/netfilter/ipvs/ip_vs_fo.c).
type failover struct{ ranks []*Realserver }

// Update ranks the servers anew.
func (s *failover) Update(servers []*Realserver) { s.ranks = ranked(servers) }

// Pick returns the eligible server with the greatest weight.
func (s *failover) Pick([]*Realserver, Client) *Realserver {
	for _, rs := range s.ranks {
		if rs.eligible() {
			return rs
		}
	}
	return nil
}

// ranked returns the servers by weight, the greatest first, and those of equal
// weight in the order of the list.
func ranked(servers []*Realserver) []*Realserver {
	ranks := slices.Clone(servers)
	slices.SortStableFunc(ranks, func(a, b *Realserver) int { return cmp.Compare(b.Weight(), a.Weight()) })
	return ranks
}
