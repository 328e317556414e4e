package scheduler

import "slices"

// replicatedLocality keeps the connections to one virtual address on a set of
// servers. When the least loaded of the set is crowded, the least loaded of
// all joins; when the set has not changed for a day, the most loaded leaves
// (net/netfilter/ipvs/ip_vs_lblcr.c).
type replicatedLocality struct {
	sets memory[serverSet]
}

type serverSet struct {
	servers []*Realserver // the one that joined last first
	changed int64         // ns
}

// Pick returns the least loaded server of the virtual address's set.
func (s *replicatedLocality) Pick(servers []*Realserver, client Client) *Realserver {
	set := s.sets.at(client.VirtualAddr, client.Now)
	least := firstLeast(set.servers, client.Now)
	set.shrink(client.Now)
	if least != nil && !crowded(least, servers) {
		return least
	}
	rs := firstLeast(servers, client.Now)
	if rs != nil {
		set.join(rs, client.Now)
	}
	return rs
}

func (set *serverSet) join(rs *Realserver, now int64) {
	if slices.Contains(set.servers, rs) {
		return
	}
	set.servers = slices.Insert(set.servers, 0, rs)
	set.changed = now
}

// shrink takes the most loaded server out of a set that has been larger than
// need be for long enough.
func (set *serverSet) shrink(now int64) {
	if len(set.servers) < 2 || now-set.changed <= localityIdle {
		return
	}
	most := -1
	for i, rs := range set.servers {
		if rs.Weight() <= 0 {
			continue
		}
		if most < 0 || set.servers[most].overhead()*int64(rs.Weight()) < rs.overhead()*int64(set.servers[most].Weight()) {
			most = i
		}
	}
	if most >= 0 {
		set.servers = slices.Delete(set.servers, most, most+1)
		set.changed = now
	}
}
