package dataplane

import (
	"lvsnat/checksum"
	"lvsnat/conntrack"
	"lvsnat/dataplane/packet"
)

// ttlDelta is what one hop less does to the IP header's checksum: the TTL is
// the high byte of its word, so the word falls by 0x0100.
const ttlDelta = checksum.Delta(0xfeff)

// rewrite makes a request of a connection out of what the client sent, or a
// reply out of what the realserver sent, in out, the copy of the frame's head
// that will be transmitted. This is all of NAT: one address, one port, one hop
// less, and the checksums by the deltas computed when the connection opened.
func rewrite(out []byte, p *packet.Packet, partial bool, e *conntrack.Entry, direction conntrack.Direction) {
	addresses, all := e.AddrDelta, e.FullDelta
	ip, transport := p.IPv4(out)[:packet.IPv4Len], out[p.TransportOffset:]
	ports := packet.UDP(transport)[:packet.UDPLen] // TCP has its ports in the same place
	if direction == conntrack.Request {
		ip.SetDestination(e.RealAddr)
		ports.SetDestinationPort(e.RealPort)
	} else {
		ip.SetSource(e.VirtualAddr)
		ports.SetSourcePort(e.VirtualPort)
		addresses, all = addresses.Inverse(), all.Inverse()
	}
	ip.SetTTL(p.TTL - 1)
	ip.SetChecksum(addresses.Add(ttlDelta).Apply(p.IPChecksum))

	switch tcp, udp := packet.TCP(transport), packet.UDP(transport); {
	case p.Protocol != packet.TCPProtocol && partial:
		udp.SetChecksum(addresses.ApplyPartial(p.Checksum))
	case p.Protocol != packet.TCPProtocol:
		udp.SetChecksum(all.ApplyUDP(p.Checksum))
	case partial:
		tcp.SetChecksum(addresses.ApplyPartial(p.Checksum))
	default:
		tcp.SetChecksum(all.Apply(p.Checksum))
	}
}
