package dataplane

import (
	"lvsnat/conntrack"
	"lvsnat/dataplane/packet"
	"lvsnat/scheduler"
)

// translateAlone sends a datagram of a service with one-packet scheduling to a
// realserver without entering a connection.
func (w *worker) translateAlone(f *packet.Frame, p *packet.Packet, rs *scheduler.Realserver) Verdict {
	w.realservers[rs.ID].traffic.Connections++
	w.alone = conntrack.Stateless(conntrack.Connection{
		ClientAddr: p.Source, ClientPort: p.SourcePort,
		VirtualAddr: p.Destination, VirtualPort: p.DestinationPort,
		RealAddr: rs.Addr, RealPort: realPortOf(p, rs),
		Protocol: p.Protocol, Dest: rs.ID,
	})
	return w.transmit(f, p, &w.alone, conntrack.Request)
}

// replyAlone goes on with a realserver's packet that belongs to no connection.
// That of a service with one-packet scheduling is translated all the same: the
// realserver's port belongs to that service alone, so the configuration says
// what the client takes it for. IPVS sends such replies untranslated
// (ip_vs_conn_hash in ip_vs_conn.c does not enter them).
func (w *worker) replyAlone(f *packet.Frame, p *packet.Packet, port int) Verdict {
	rs := w.origin(p)
	service := w.snapshot.Service(rs.Service)
	if service == nil || !service.OnePacket() {
		return NoConnection
	}
	if p.TTL <= 1 {
		return w.timeExceeded(f, p, port)
	}
	virtualPort := service.Port
	if rs.Port == 0 {
		virtualPort = p.SourcePort // of a port range; the request kept the port that the client asked for
	}
	w.alone = conntrack.Stateless(conntrack.Connection{
		ClientAddr: p.Destination, ClientPort: p.DestinationPort,
		VirtualAddr: service.Addr, VirtualPort: virtualPort,
		RealAddr: rs.Addr, RealPort: p.SourcePort,
		Protocol: p.Protocol, Dest: rs.ID,
	})
	return w.transmit(f, p, &w.alone, conntrack.Reply)
}
