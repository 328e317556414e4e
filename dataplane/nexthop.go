package dataplane

import (
	"time"

	"lvsnat/conntrack"
	"lvsnat/dataplane/packet"
)

const (
	// maxHops bounds a worker's memory of neighbours. When it is reached all
	// are forgotten and learned anew from the resolver, which knows them.
	maxHops = 1 << 16

	// askAgain is how often a neighbour in use is reported to the resolver.
	askAgain = int64(5 * time.Second)

	// askSoon is how often an unknown or failed one is.
	askSoon = int64(time.Second)
)

// A hop is a neighbour as a worker sends to it.
type hop struct {
	Neighbour
	state   hopState
	mac     packet.MAC
	nextAsk int64 // ns
	waiting int   // frames in pending
}

type hopState uint8

const (
	unresolved hopState = iota
	resolved
	failed
	askedAgain // failed, and asked for anew
)

// hops are the neighbours a worker has sent to. A connection and a realserver
// remember their hop's index together with the epoch; an index of another
// epoch means nothing.
type hops struct {
	resolver Resolver
	epoch    uint32
	list     []hop
	index    map[Neighbour]uint32
}

func newHops(resolver Resolver) hops {
	return hops{resolver: resolver, index: make(map[Neighbour]uint32)}
}

// newEpoch makes every connection look its next hop up again: a link, an
// address or a route has changed.
func (h *hops) newEpoch() {
	h.epoch++
}

// hopOf returns the next hop of a connection's packets in one direction, nil
// when there is no route. A request's is remembered by realserver, of which
// there are few.
func (w *worker) hopOf(rs *realserver, e *conntrack.Entry, direction conntrack.Direction) *hop {
	hop, epoch, to := &rs.hop, &rs.hopEpoch, e.RealAddr
	if direction == conntrack.Reply {
		hop, epoch, to = &e.Hop, &e.HopEpoch, e.ClientAddr
	}
	if *epoch != w.hops.epoch {
		i, ok := w.route(to)
		if !ok {
			return nil
		}
		*hop, *epoch = i, w.hops.epoch
	}
	h := &w.hops.list[*hop]
	if w.now >= h.nextAsk {
		w.ask(h)
	}
	return h
}

// ask keeps the resolver's interest in a hop alive.
func (w *worker) ask(h *hop) {
	h.nextAsk = w.now + askSoon
	switch h.state {
	case resolved:
		h.nextAsk = w.now + askAgain
	case failed:
		h.state = askedAgain
	}
	w.hops.resolver.Resolve(h.Neighbour)
}

// route looks a destination up and returns the index of its next hop.
func (w *worker) route(addr uint32) (uint32, bool) {
	r, ok := w.network.lookup(addr)
	if !ok || r.Port >= len(w.ports) || r.Port < 0 {
		return 0, false
	}
	n := Neighbour{Port: r.Port, Addr: addr}
	if r.Gateway != 0 {
		n.Addr = r.Gateway
	}
	if i, ok := w.hops.index[n]; ok {
		return i, true
	}
	return w.addHop(n), true
}

// addHop enters a neighbour that is not known yet.
func (w *worker) addHop(n Neighbour) uint32 {
	if len(w.hops.list) >= maxHops {
		w.dropPending()
		w.hops.list = w.hops.list[:0]
		clear(w.hops.index)
		w.hops.newEpoch()
	}
	i := uint32(len(w.hops.list))
	w.hops.list = append(w.hops.list, hop{Neighbour: n})
	w.hops.index[n] = i
	return i
}

// learn takes the resolver's answer and sends what has waited for it. A
// neighbour that only another worker has asked for will be this one's too.
func (w *worker) learn(n Neighbour, mac packet.MAC, ok bool) {
	i, known := w.hops.index[n]
	if !known {
		if !ok {
			return
		}
		i = w.addHop(n)
	}
	h := &w.hops.list[i]
	if !ok {
		h.state = failed
		w.forgetPending(h)
		return
	}
	h.state, h.mac = resolved, mac
	w.sendPending(h)
}
