package dataplane

import (
	"lvsnat/conntrack"
	"lvsnat/dataplane/packet"
)

// A realserver is what a worker keeps for each realserver ID, in one cache line.
type realserver struct {
	traffic  Traffic
	hop      uint32 // of requests; see hops
	hopEpoch uint32
	_        [16]byte
}

// tally counts a packet of a connection, as ip_vs_in_stats and ip_vs_out_stats
// do: before it is known whether it can be sent.
func (rs *realserver) tally(p *packet.Packet, direction conntrack.Direction) {
	t := &rs.traffic
	if direction == conntrack.Request {
		t.RequestPkts++
		t.RequestBytes += uint64(p.Len())
		return
	}
	t.ReplyPkts++
	t.ReplyBytes += uint64(p.Len())
}

// knowRealservers makes room for all realservers of the snapshot.
func (w *worker) knowRealservers() {
	if n := len(w.snapshot.Dests()); n > len(w.realservers) {
		w.realservers = append(w.realservers, make([]realserver, n-len(w.realservers))...)
	}
}

// takeTraffic reads and clears a realserver's counters, and forgets its next
// hop, because its ID will be another's.
func (w *worker) takeTraffic(id uint32) Traffic {
	if int(id) >= len(w.realservers) {
		return Traffic{}
	}
	t := w.realservers[id].traffic
	w.realservers[id] = realserver{}
	return t
}
