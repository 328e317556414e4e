package dataplane

import (
	"time"

	"lvsnat/conntrack"
	"lvsnat/dataplane/packet"
)

// What the dataplane notes in an Entry's Mark.
const (
	boundByTemplate = 1 << iota // persistence counts the connection
	unassured                   // and was not yet told that it was established
	unproven                    // the client may be a forged address
	unanswered                  // the realserver's first packet is yet to come
)

// confirm looks at a packet of a connection of which something is not known
// yet.
func (w *worker) confirm(e *conntrack.Entry, p *packet.Packet, direction conntrack.Direction) {
	if e.Mark&unanswered != 0 && direction == conntrack.Reply {
		e.Mark &^= unanswered
		w.answered(e, p.TCPFlags)
	}
	if e.Mark&unassured != 0 {
		w.assure(e, direction)
	}
	// A realserver that sends an acknowledgement, other than with its SYN, has
	// got one of its own initial sequence number, which a client under a false
	// address never saw.
	if e.Mark&unproven != 0 && direction == conntrack.Reply && e.State == conntrack.Established &&
		p.TCPFlags&(packet.SYN|packet.RST|packet.ACK) == packet.ACK {
		e.Mark &^= unproven
		w.plane.clients.learn(e.ClientAddr)
	}
}

// answered measures how long the realserver took to answer the packet that
// opened the connection; when that was sent again, from the first time on, as
// the client felt it. Of TCP only a SYN-ACK counts: a server that refuses
// connections does so at once. The first datagram of a UDP server is the answer
// to a question.
func (w *worker) answered(e *conntrack.Entry, tcpFlags uint8) {
	const synAck = packet.SYN | packet.ACK
	if e.Protocol == packet.TCPProtocol && tcpFlags&(synAck|packet.RST) != synAck {
		return
	}
	took := time.Duration(w.micros()-e.Opened) * time.Microsecond
	w.snapshot.Dest(e.Dest).Answered(took, w.now)
}

// micros is the batch's time in microseconds, modulo 2^32: it goes round in 71
// minutes.
func (w *worker) micros() uint32 { return uint32(w.now / int64(time.Microsecond)) }

// assure tells persistence of a connection that was established, or for UDP
// answered (ip_vs_control_assure_ct in ip_vs_conn.c).
func (w *worker) assure(e *conntrack.Entry, direction conntrack.Direction) {
	if e.State != conntrack.Established && !(e.State == conntrack.UDP && direction == conntrack.Reply) {
		return
	}
	e.Mark &^= unassured
	if service := w.snapshot.Service(w.snapshot.Dest(e.Dest).Service); service != nil {
		service.Assure(e.ClientAddr, e.Dest)
	}
}
