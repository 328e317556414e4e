package dataplane

import (
	"lvsnat/conntrack"
	"lvsnat/dataplane/packet"
	"lvsnat/scheduler"
)

// open goes on with a packet to a VIP that belongs to no connection, or is to
// take the place of the finished connection old: it opens one and forwards the
// packet, or refuses it.
func (w *worker) open(f *packet.Frame, p *packet.Packet, port int, old *conntrack.Entry) Verdict {
	service, rs, bound, verdict := w.schedule(f, p, port)
	if old != nil {
		// In IPVS a timer removes it at the next tick (ip_vs_conn_expire_now), so
		// that it counts still while the realserver is chosen.
		w.table.Remove(old)
	}
	if rs == nil {
		return verdict
	}
	if service.OnePacket() {
		return w.translateAlone(f, p, rs)
	}
	e, verdict := w.insert(p, rs)
	if e == nil {
		if bound {
			service.Closed(p.Source, rs.ID, w.now)
		}
		return verdict
	}
	e.Mark |= unanswered
	e.Opened = w.micros()
	if bound {
		e.Mark |= boundByTemplate | unassured
	}
	return w.forward(f, p, port, e, conntrack.Request)
}

// schedule chooses the realserver of a packet that may open a connection, or
// refuses the packet as IPVS and the host behind it would (ip_vs_schedule in
// ip_vs_core.c): then rs is nil and the verdict says why. Bound reports that the
// service's persistence counts the connection.
func (w *worker) schedule(f *packet.Frame, p *packet.Packet, port int) (service *scheduler.Service, rs *scheduler.Realserver, bound bool, v Verdict) {
	service = w.snapshot.ServiceFor(scheduler.Key{Addr: p.Destination, Port: p.DestinationPort, Protocol: p.Protocol})
	if service == nil {
		return nil, nil, false, w.noService(f, p, port)
	}
	if !opens(p) {
		// The VIP's host knows no such connection and says so (RFC 9293
		// section 3.10.7.1), as the kernel under IPVS does.
		return service, nil, false, w.refuse(f, p, port)
	}
	if p.TTL <= 1 {
		return service, nil, false, w.timeExceeded(f, p, port)
	}
	if w.snapshot.Virtual(p.Source) || w.network.isLocal(p.Source) {
		return service, nil, false, BadAddress // from the director itself, it says: a LAND packet
	}
	if !w.admission.admit(p.Source) {
		return service, nil, false, Shed
	}
	rs, bound = service.Pick(scheduler.Client{Addr: p.Source, Port: p.SourcePort, VirtualAddr: p.Destination, Now: w.now})
	if rs == nil {
		return service, nil, false, w.unreachable(f, p, port)
	}
	return service, rs, bound, ForwardedRequest
}

// opens reports whether a packet may open a connection: any datagram, or a
// segment with SYN and without RST (tcp_conn_schedule in ip_vs_proto_tcp.c).
func opens(p *packet.Packet) bool {
	return p.Protocol != packet.TCPProtocol || p.TCPFlags&(packet.SYN|packet.RST) == packet.SYN
}

// insert enters the connection of p to rs into the table.
func (w *worker) insert(p *packet.Packet, rs *scheduler.Realserver) (*conntrack.Entry, Verdict) {
	h := w.table.Hash(p.Source, p.SourcePort, p.Protocol)
	realPort := realPortOf(p, rs)
	// A client may use one port towards two VIPs. When both lead to the same
	// realserver port, the realserver could not tell the two apart.
	if twin := w.table.FindReply(h, p.Source, p.SourcePort, rs.Addr, realPort, p.Protocol); twin != nil {
		if !twin.Evictable() {
			return nil, TupleClash
		}
		w.table.Remove(twin)
	}
	e := w.table.Insert(h, conntrack.Connection{
		ClientAddr: p.Source, ClientPort: p.SourcePort,
		VirtualAddr: p.Destination, VirtualPort: p.DestinationPort,
		RealAddr: rs.Addr, RealPort: realPort,
		Protocol: p.Protocol, Dest: rs.ID,
	}, w.ticks)
	if e == nil {
		return nil, TableFull
	}
	if p.Protocol == packet.TCPProtocol {
		e.Mark |= unproven
	}
	rs.Opened()
	w.realservers[rs.ID].traffic.Connections++
	return e, ForwardedRequest
}

// realPortOf is the port at which a realserver serves a packet: its own, or in a
// service with more than one port the one that the client asked for.
func realPortOf(p *packet.Packet, rs *scheduler.Realserver) uint16 {
	if rs.Port == 0 {
		return p.DestinationPort
	}
	return rs.Port
}

// noService goes on with a packet to a VIP's port that no service has. When
// the kernel owns the VIP it may have a listener there, or refuses by itself;
// else the director is that address's only host.
func (w *worker) noService(f *packet.Frame, p *packet.Packet, port int) Verdict {
	if w.network.isLocal(p.Destination) {
		return KernelsOwn
	}
	if p.Protocol == packet.TCPProtocol {
		return w.refuse(f, p, port)
	}
	return w.unreachable(f, p, port)
}
