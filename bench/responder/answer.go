// Package responder stands in for a million hosts: it answers the packets that
// reach a NIC without keeping anything of them. A SYN is answered with a SYN and
// ACK, that with an ACK, and a UDP datagram is sent back. So one of them beside
// the realservers and one beside the client open as many connections as a
// generator sends SYNs, none of which any kernel knows.
package responder

import (
	"encoding/binary"

	"lvsnat/checksum"
	"lvsnat/dataplane/packet"
)

// initialSequence is the sequence number that every SYN and ACK has.
const initialSequence = 1

// answer turns a frame, of which head is a copy, into its answer and reports
// whether there is one.
func answer(head []byte, p *packet.Packet) bool {
	if int(p.End) > len(head) {
		return false
	}
	switch p.Protocol {
	case packet.UDPProtocol:
		turnRound(head, p)
		return true
	case packet.TCPProtocol:
		return answerTCP(head, p)
	}
	return false
}

func answerTCP(head []byte, p *packet.Packet) bool {
	tcp := p.TCP(head)
	acknowledged := tcp.Sequence() + 1
	var sequence uint32
	var flags uint8
	switch p.TCPFlags & (packet.SYN | packet.ACK | packet.RST | packet.FIN) {
	case packet.SYN:
		sequence, flags = initialSequence, packet.SYN|packet.ACK
	case packet.SYN | packet.ACK:
		sequence, flags = tcp.Acknowledgment(), packet.ACK
	default:
		return false
	}
	turnRound(head, p)
	binary.BigEndian.PutUint32(tcp[4:], sequence)
	binary.BigEndian.PutUint32(tcp[8:], acknowledged)
	tcp[13] = flags
	binary.BigEndian.PutUint16(tcp[14:], window)
	sumTCP(head, p)
	return true
}

const window = 1 << 15

// turnRound exchanges the ends, which leaves the transport checksum as it is.
func turnRound(head []byte, p *packet.Packet) {
	ethernet := packet.Ethernet(head)
	asked, asker := ethernet.Destination(), ethernet.Source()
	ethernet.SetAddresses(&asker, &asked)
	ip := p.IPv4(head)
	ip.SetSource(p.Destination)
	ip.SetDestination(p.Source)
	ports := p.UDP(head) // TCP has them in the same place
	ports.SetSourcePort(p.DestinationPort)
	ports.SetDestinationPort(p.SourcePort)
	// The TTL is the high byte of its 16 bits.
	ip.SetTTL(answerTTL)
	ip.SetChecksum(checksum.Delta16(uint16(p.TTL)<<8, answerTTL<<8).Apply(ip.Checksum()))
}

// answerTTL is a host's, since testlvs sends with one that is almost used up.
const answerTTL = 64

func sumTCP(head []byte, p *packet.Packet) {
	segment := head[p.TransportOffset:p.End]
	tcp := packet.TCP(segment)
	tcp.SetChecksum(0)
	pseudo := checksum.Pseudo(p.Destination, p.Source, packet.TCPProtocol, uint16(len(segment)))
	tcp.SetChecksum(^checksum.Sum(segment, pseudo))
}
