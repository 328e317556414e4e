package dataplane

import (
	"encoding/binary"

	"lvsnat/checksum"
	"lvsnat/dataplane/packet"
)

const (
	// maxAnswerLen is the length of the longest IP datagram the director
	// makes: an ICMP error carries as much of its cause as fits into 576
	// bytes (RFC 1812 section 4.3.2.3).
	maxAnswerLen = 576

	// answerTTL is the TTL of datagrams the director makes (RFC 1700).
	answerTTL = 64

	// errorTOS is internetwork control (RFC 1812 section 4.3.2.5).
	errorTOS = 0xc0
)

// Rates of answers, per worker and second. They bound what the director can
// be made to send by forged sources (RFC 1812 section 4.3.2.8). Echo has its
// own, so that a flood of refused packets does not make the VIP look dead.
const (
	refusalsPerSecond = 1000
	echoesPerSecond   = 10000
)

// answers are packets the director makes itself. They go back by the port and
// to the link address the cause came from, so they need no next hop.
type answers struct {
	memory   [batchSize][packet.EthernetLen + 2*packet.VLANTagLen + maxAnswerLen]byte
	used     int          // answers of this batch; a frame causes one at the most
	frame    packet.Frame // the one that is being queued
	refusals limiter
	echoes   limiter
}

func newAnswers() answers {
	return answers{refusals: limiter{rate: refusalsPerSecond}, echoes: limiter{rate: echoesPerSecond}}
}

// reset gives the memory of a batch's answers back after they were sent.
func (a *answers) reset() { a.used = 0 }

// A limiter lets rate events a second through, and a tenth of that at once.
type limiter struct {
	rate   int64
	credit int64 // in events times 1e9
	last   int64 // ns
}

func (l *limiter) allow(now int64) bool {
	burst := l.rate * 1e8
	// A second's pause fills the credit; more could overflow the product.
	l.credit = min(l.credit+min(now-l.last, 1e9)*l.rate, burst)
	l.last = now
	if l.credit < 1e9 {
		return false
	}
	l.credit -= 1e9
	return true
}

// icmp goes on with an ICMP message. The director answers echo requests for
// VIPs that no kernel answers for; everything else but that is not its own.
func (w *worker) icmp(f *packet.Frame, p *packet.Packet, port int) Verdict {
	if !w.snapshot.Virtual(p.Destination) {
		return NotForUs
	}
	if w.network.isLocal(p.Destination) {
		return KernelsOwn
	}
	if p.ICMP(f.Data).Type() != packet.ICMPEcho {
		return UnsupportedICMP
	}
	if !w.answers.echoes.allow(w.now) {
		return AnswerLimited
	}
	sender := w.ports[port].Sender
	out := sender.Reserve(f)
	if out == nil {
		return TransmitFull
	}
	echoReply(out, p)
	sender.Commit()
	return AnsweredEcho
}

// echoReply turns an echo request into its reply in place (RFC 1122 section
// 3.2.2.6): the data stays, so the checksum changes by the type alone.
func echoReply(out []byte, p *packet.Packet) {
	ethernet := packet.Ethernet(out)
	from, to := ethernet.Destination(), ethernet.Source()
	ethernet.SetAddresses(&to, &from)
	ip := p.IPv4(out)
	ip.SetSource(p.Destination)
	ip.SetDestination(p.Source)
	ttl := checksum.Delta16(uint16(p.TTL)<<8, answerTTL<<8)
	ip.SetTTL(answerTTL)
	ip.SetChecksum(ttl.Apply(ip.Checksum()))
	icmp := p.ICMP(out)
	change := checksum.Delta16(packet.ICMPEcho<<8, packet.ICMPEchoReply<<8)
	icmp.SetChecksum(change.Apply(icmp.Checksum()))
	icmp.SetTypeCode(packet.ICMPEchoReply, icmp.Code())
}

// refuse answers a segment that belongs to no connection with a reset (RFC
// 9293 section 3.10.7.1). A reset itself is not answered.
func (w *worker) refuse(f *packet.Frame, p *packet.Packet, port int) Verdict {
	if p.TCPFlags&packet.RST != 0 {
		return NoConnection
	}
	out := w.answer(f, p, p.Destination, packet.TCPProtocol, 0, packet.TCPLen)
	if out == nil {
		return AnswerLimited
	}
	cause, tcp := p.TCP(f.Data), out[len(out)-packet.TCPLen:]
	binary.BigEndian.PutUint16(tcp[0:], p.DestinationPort)
	binary.BigEndian.PutUint16(tcp[2:], p.SourcePort)
	if p.TCPFlags&packet.ACK != 0 {
		binary.BigEndian.PutUint32(tcp[4:], cause.Acknowledgment())
		tcp[13] = packet.RST
	} else {
		binary.BigEndian.PutUint32(tcp[8:], cause.Sequence()+segmentLen(p, cause))
		tcp[13] = packet.RST | packet.ACK
	}
	tcp[12] = packet.TCPLen / 4 << 4
	pseudo := checksum.Pseudo(p.Destination, p.Source, packet.TCPProtocol, packet.TCPLen)
	packet.TCP(tcp).SetChecksum(^checksum.Sum(tcp, pseudo))
	return w.send(out, port, Refused)
}

// segmentLen is the room a segment takes in sequence numbers: its data, and
// one each for SYN and FIN.
func segmentLen(p *packet.Packet, tcp packet.TCP) uint32 {
	n := p.End - uint32(p.TransportOffset) - uint32(tcp.HeaderLen())
	if p.TCPFlags&packet.SYN != 0 {
		n++
	}
	if p.TCPFlags&packet.FIN != 0 {
		n++
	}
	return n
}

// unreachable answers a packet to a VIP that no realserver can have with port
// unreachable, for TCP too (ip_vs_leave in ip_vs_core.c).
func (w *worker) unreachable(f *packet.Frame, p *packet.Packet, port int) Verdict {
	return w.icmpError(f, p, port, p.Destination, packet.ICMPUnreachable, packet.ICMPPortUnreachable, Unreachable)
}

// timeExceeded answers a packet whose TTL ends here, from the address of the
// port it came by, which is the hop that traceroute shows.
func (w *worker) timeExceeded(f *packet.Frame, p *packet.Packet, port int) Verdict {
	source := w.network.links[port].Addr
	if source == 0 {
		source = w.addressToward(p)
	}
	return w.icmpError(f, p, port, source, packet.ICMPTimeExceeded, packet.ICMPTTLExceeded, TimeExceeded)
}

// addressToward is the director's address in a connection, for a port that has
// none of its own: the VIP, as the only address both ends may know.
func (w *worker) addressToward(p *packet.Packet) uint32 {
	if rs := w.origin(p); rs != nil {
		return rs.Service.Addr
	}
	return p.Destination
}

func (w *worker) icmpError(f *packet.Frame, p *packet.Packet, port int, source uint32, icmpType, code uint8, v Verdict) Verdict {
	quoted := min(p.Len(), maxAnswerLen-packet.IPv4Len-packet.ICMPLen)
	out := w.answer(f, p, source, packet.ICMPProtocol, errorTOS, packet.ICMPLen+quoted)
	if out == nil {
		return AnswerLimited
	}
	icmp := packet.ICMP(out[len(out)-packet.ICMPLen-quoted:])
	icmp.SetTypeCode(icmpType, code)
	copy(icmp[packet.ICMPLen:], f.Data[p.NetworkOffset:])
	icmp.SetChecksum(^checksum.Sum(icmp, 0))
	return w.send(out, port, v)
}

// answer makes the link and IP headers of a datagram to the source of f, with
// room for length zero bytes behind them. It returns nil when the rate of
// answers is reached.
func (w *worker) answer(f *packet.Frame, p *packet.Packet, source uint32, protocol, tos uint8, length int) []byte {
	if !w.answers.refusals.allow(w.now) {
		return nil
	}
	link := int(p.NetworkOffset)
	out := w.answers.memory[w.answers.used][:link+packet.IPv4Len+length]
	w.answers.used++
	clear(out)
	copy(out, f.Data[:link])
	cause := packet.Ethernet(f.Data)
	from, to := cause.Destination(), cause.Source()
	packet.Ethernet(out).SetAddresses(&to, &from)
	ip := packet.IPv4(out[link : link+packet.IPv4Len])
	ip[0] = 4<<4 | packet.IPv4Len/4
	ip[1] = tos
	binary.BigEndian.PutUint16(ip[2:], uint16(packet.IPv4Len+length))
	ip[6] = 0x40 // DF with ID 0: an atomic datagram (RFC 6864 section 4.1)
	ip.SetTTL(answerTTL)
	ip[9] = protocol
	ip.SetSource(source)
	ip.SetDestination(p.Source)
	ip.SetChecksum(^checksum.Sum(ip, 0))
	return out
}

// send queues an answer; its memory stays untouched until the flush.
func (w *worker) send(out []byte, port int, v Verdict) Verdict {
	sender := w.ports[port].Sender
	w.answers.frame = packet.Frame{Data: out}
	if sender.Reserve(&w.answers.frame) == nil {
		return TransmitFull
	}
	sender.Commit()
	return v
}
