package dataplane

import (
	"lvsnat/conntrack"
	"lvsnat/dataplane/packet"
	"lvsnat/scheduler"
)

// handle decides the fate of frame i of the batch. The direction is what most
// frames of the port have; the batch was staged for it.
func (w *worker) handle(i, port int, direction conntrack.Direction) Verdict {
	f, s := &w.frames[i], &w.staged[i]
	if s.status != packet.OK {
		return verdictOfStatus[s.status]
	}
	p := &s.packet
	if p.Protocol == packet.ICMPProtocol {
		return w.icmp(f, p, port)
	}
	e := w.likely[i]
	if !e.Carries(direction, p.Source, p.SourcePort, p.Destination, p.DestinationPort, p.Protocol) {
		if e = w.find(w.hashes[i], p, direction); e == nil {
			return w.miss(f, p, port, direction)
		}
	}
	if direction == conntrack.Request && reopens(e, p) {
		return w.open(f, p, port, e)
	}
	return w.forward(f, p, port, e, direction)
}

// find looks a packet's connection up, taking its client for the source of a
// request or the destination of a reply.
func (w *worker) find(h conntrack.Hash, p *packet.Packet, direction conntrack.Direction) *conntrack.Entry {
	if direction == conntrack.Request {
		return w.table.FindRequest(h, p.Source, p.SourcePort, p.Destination, p.DestinationPort, p.Protocol)
	}
	return w.table.FindReply(h, p.Destination, p.DestinationPort, p.Source, p.SourcePort, p.Protocol)
}

// reopens reports whether a client uses the addresses and ports of a finished
// connection for a new one, which may go to another realserver
// (conn_reuse_mode 1, is_new_conn_expected in ip_vs_core.c). A connection that
// persistence counts goes on instead: its client has the same realserver again.
func reopens(e *conntrack.Entry, p *packet.Packet) bool {
	return p.Protocol == packet.TCPProtocol && p.TCPFlags&packet.SYN != 0 &&
		(e.State == conntrack.TimeWait || e.State == conntrack.Close) && e.Mark&boundByTemplate == 0
}

// miss goes on with a packet that belongs to no connection when its direction
// is taken from the port it came by. With one NIC, or a client behind the
// realservers' NIC, it may be of the other direction; and after a change of
// services another worker may own it. Few packets come here, so it is not to
// fill handle's registers (see transmit).
//
//go:noinline
func (w *worker) miss(f *packet.Frame, p *packet.Packet, port int, tried conntrack.Direction) Verdict {
	direction, client, clientPort := conntrack.Reply, p.Destination, p.DestinationPort
	if w.snapshot.Virtual(p.Destination) {
		direction, client, clientPort = conntrack.Request, p.Source, p.SourcePort
	} else if w.origin(p) == nil || w.network.isLocal(p.Destination) {
		return NotForUs
	}
	if owner := packet.Owner(client, clientPort, w.place, w.count); owner != w.id {
		return w.handOver(f, port, owner)
	}
	if direction != tried {
		h := w.table.Hash(client, clientPort, p.Protocol)
		if e := w.find(h, p, direction); e != nil {
			return w.forward(f, p, port, e, direction)
		}
	}
	if direction == conntrack.Request {
		return w.open(f, p, port, nil)
	}
	return w.replyAlone(f, p, port)
}

// origin is the realserver whose service port sent p, or nil.
func (w *worker) origin(p *packet.Packet) *scheduler.Realserver {
	return w.snapshot.Origin(scheduler.Key{Addr: p.Source, Port: p.SourcePort, Protocol: p.Protocol})
}

// forward sends a packet of a connection on its way.
func (w *worker) forward(f *packet.Frame, p *packet.Packet, port int, e *conntrack.Entry, direction conntrack.Direction) Verdict {
	if p.TTL <= 1 {
		return w.timeExceeded(f, p, port)
	}
	change := 0
	if w.profile == conntrack.RFC && p.Protocol == packet.TCPProtocol {
		change = w.table.ObserveSegment(e, direction, segmentOf(f, p), w.ticks)
	} else {
		change = w.table.Observe(e, direction, p.TCPFlags, w.ticks)
	}
	if change != 0 {
		w.recount(e, change)
	}
	if e.Mark&(unassured|unproven|unanswered) != 0 {
		w.confirm(e, p, direction)
	}
	return w.transmit(f, p, e, direction)
}

// segmentOf is what the state machine of profile RFC looks at. The length is that
// of the IP datagram, so a super-packet counts as a whole.
func segmentOf(f *packet.Frame, p *packet.Packet) conntrack.Segment {
	tcp := p.TCP(f.Data)
	return conntrack.Segment{
		Sequence:       tcp.Sequence(),
		Acknowledgment: tcp.Acknowledgment(),
		Length:         p.End - uint32(p.TransportOffset) - uint32(tcp.HeaderLen()),
		Flags:          p.TCPFlags,
	}
}

// transmit counts a packet of a connection and puts it on its way.
//
// Where the profile says so, the compiler copies a function into its caller, but
// what is called in the copy stays a call. So what each packet passes is kept
// apart in a few functions (stage, handle, forward and transmit) that have
// all they call in them, and this one is not copied into forward.
//
//go:noinline
func (w *worker) transmit(f *packet.Frame, p *packet.Packet, e *conntrack.Entry, direction conntrack.Direction) Verdict {
	rs := &w.realservers[e.Dest]
	rs.tally(p, direction)
	hop := w.hopOf(rs, e, direction)
	if hop == nil {
		return NoRoute
	}
	if hop.state != resolved {
		return w.await(hop, f, p, e, direction)
	}
	out := w.ports[hop.Port].Sender.Reserve(f)
	if out == nil {
		return TransmitFull
	}
	rewrite(out, p, f.Offload.PartialChecksum(), e, direction)
	packet.Ethernet(out).SetAddresses(&hop.mac, &w.network.links[hop.Port].MAC)
	w.ports[hop.Port].Sender.Commit()
	return forwarded(direction)
}

func forwarded(direction conntrack.Direction) Verdict {
	if direction == conntrack.Request {
		return ForwardedRequest
	}
	return ForwardedReply
}

// recount moves a connection between its realserver's active and inactive ones.
func (w *worker) recount(e *conntrack.Entry, change int) {
	rs := w.snapshot.Dest(e.Dest)
	if change > 0 {
		rs.Activated()
	} else {
		rs.Deactivated()
	}
}

// connectionRemoved takes a connection that leaves the table out of its
// realserver's counts.
func (w *worker) connectionRemoved(e *conntrack.Entry) {
	rs := w.snapshot.Dest(e.Dest)
	rs.Closed(e.Active())
	if e.Mark&boundByTemplate == 0 {
		return
	}
	if service := w.snapshot.Service(rs.Service); service != nil {
		service.Closed(e.ClientAddr, e.Dest, w.now-int64(w.table.Overdue(e, w.ticks)))
	}
}
