// Package packet reads and writes the headers of a frame in place.
//
// [Packet.Parse] looks once at every length on the way from the Ethernet
// header to the transport header and keeps the offsets, or says with a
// [Status] why the frame cannot be used. [Ethernet], [IPv4], [TCP], [UDP] and
// [ICMP] are views of a header's bytes: no copy, no allocation. A view's
// methods need the header's full length to be there, which Parse has made sure
// of. Addresses are uint32 and ports uint16, in host order, as read big-endian
// from the wire.
package packet

import "encoding/binary"

// A MAC is an Ethernet address.
type MAC [6]byte

// Multicast reports whether m addresses a group, broadcast included.
func (m MAC) Multicast() bool { return m[0]&1 != 0 }

// Lengths of headers without options, in bytes.
const (
	EthernetLen = 14
	VLANTagLen  = 4
	IPv4Len     = 20
	TCPLen      = 20
	UDPLen      = 8
	ICMPLen     = 8
)

// EtherTypes (linux/if_ether.h).
const (
	TypeIPv4  = 0x0800
	TypeARP   = 0x0806
	TypeVLAN  = 0x8100
	TypeIPv6  = 0x86dd
	TypeSVLAN = 0x88a8
)

// IP protocol numbers.
const (
	ICMPProtocol = 1
	TCPProtocol  = 6
	UDPProtocol  = 17
)

// Ethernet is an Ethernet header.
type Ethernet []byte

// Destination is the receiver's address.
func (h Ethernet) Destination() MAC { return MAC(h[0:6]) }

// Source is the sender's address.
func (h Ethernet) Source() MAC { return MAC(h[6:12]) }

// Type is the EtherType that follows the addresses; a VLAN tag's is one.
func (h Ethernet) Type() uint16 { return binary.BigEndian.Uint16(h[12:14]) }

// SetAddresses writes both addresses.
func (h Ethernet) SetAddresses(destination, source *MAC) {
	copy(h[0:6], destination[:])
	copy(h[6:12], source[:])
}

// SetType writes the EtherType.
func (h Ethernet) SetType(t uint16) { binary.BigEndian.PutUint16(h[12:14], t) }

// IPv4 is an IPv4 header (RFC 791 section 3.1).
type IPv4 []byte

// Version is 4 in a valid header.
func (h IPv4) Version() uint8 { return h[0] >> 4 }

// HeaderLen is the header's length with options, in bytes.
func (h IPv4) HeaderLen() int { return int(h[0]&0x0f) * 4 }

// TotalLen is the datagram's length, header included, in bytes.
func (h IPv4) TotalLen() int { return int(binary.BigEndian.Uint16(h[2:4])) }

// ID is the identification that a datagram's fragments share.
func (h IPv4) ID() uint16 { return binary.BigEndian.Uint16(h[4:6]) }

// DontFragment reports the DF flag.
func (h IPv4) DontFragment() bool { return h[6]&0x40 != 0 }

// MoreFragments reports the MF flag.
func (h IPv4) MoreFragments() bool { return h[6]&0x20 != 0 }

// FragmentOffset is the fragment's place in the datagram, in bytes.
func (h IPv4) FragmentOffset() int {
	return int(binary.BigEndian.Uint16(h[6:8])&0x1fff) * 8
}

// TTL is the time to live, in hops.
func (h IPv4) TTL() uint8 { return h[8] }

// Protocol is the IANA number of what the datagram carries.
func (h IPv4) Protocol() uint8 { return h[9] }

// Checksum is the header checksum.
func (h IPv4) Checksum() uint16 { return binary.BigEndian.Uint16(h[10:12]) }

// Source is the sender's address.
func (h IPv4) Source() uint32 { return binary.BigEndian.Uint32(h[12:16]) }

// Destination is the receiver's address.
func (h IPv4) Destination() uint32 { return binary.BigEndian.Uint32(h[16:20]) }

// SetTTL writes the time to live and leaves the checksum alone.
func (h IPv4) SetTTL(ttl uint8) { h[8] = ttl }

// SetChecksum writes the header checksum.
func (h IPv4) SetChecksum(sum uint16) { binary.BigEndian.PutUint16(h[10:12], sum) }

// SetSource writes the sender's address and leaves the checksum alone.
func (h IPv4) SetSource(addr uint32) { binary.BigEndian.PutUint32(h[12:16], addr) }

// SetDestination writes the receiver's address and leaves the checksum alone.
func (h IPv4) SetDestination(addr uint32) { binary.BigEndian.PutUint32(h[16:20], addr) }

// TCP is a TCP header (RFC 9293 section 3.1).
type TCP []byte

// TCP flags, the low byte of the flags field.
const (
	FIN = 0x01
	SYN = 0x02
	RST = 0x04
	PSH = 0x08
	ACK = 0x10
	URG = 0x20
)

// SourcePort is the sender's port.
func (h TCP) SourcePort() uint16 { return binary.BigEndian.Uint16(h[0:2]) }

// DestinationPort is the receiver's port.
func (h TCP) DestinationPort() uint16 { return binary.BigEndian.Uint16(h[2:4]) }

// Sequence is the number of the segment's first byte.
func (h TCP) Sequence() uint32 { return binary.BigEndian.Uint32(h[4:8]) }

// Acknowledgment is the next sequence number the sender expects.
func (h TCP) Acknowledgment() uint32 { return binary.BigEndian.Uint32(h[8:12]) }

// HeaderLen is the header's length with options, in bytes.
func (h TCP) HeaderLen() int { return int(h[12]>>4) * 4 }

// Flags is the low byte of the flags field: FIN, SYN, RST, PSH, ACK, URG.
func (h TCP) Flags() uint8 { return h[13] }

// Checksum is the checksum over pseudo-header, header and payload.
func (h TCP) Checksum() uint16 { return binary.BigEndian.Uint16(h[16:18]) }

// SetSourcePort writes the sender's port and leaves the checksum alone.
func (h TCP) SetSourcePort(port uint16) { binary.BigEndian.PutUint16(h[0:2], port) }

// SetDestinationPort writes the receiver's port and leaves the checksum alone.
func (h TCP) SetDestinationPort(port uint16) { binary.BigEndian.PutUint16(h[2:4], port) }

// SetChecksum writes the checksum.
func (h TCP) SetChecksum(sum uint16) { binary.BigEndian.PutUint16(h[16:18], sum) }

// UDP is a UDP header (RFC 768).
type UDP []byte

// SourcePort is the sender's port.
func (h UDP) SourcePort() uint16 { return binary.BigEndian.Uint16(h[0:2]) }

// DestinationPort is the receiver's port.
func (h UDP) DestinationPort() uint16 { return binary.BigEndian.Uint16(h[2:4]) }

// Length is the length of header and payload, in bytes.
func (h UDP) Length() int { return int(binary.BigEndian.Uint16(h[4:6])) }

// Checksum is the checksum, zero when the sender made none.
func (h UDP) Checksum() uint16 { return binary.BigEndian.Uint16(h[6:8]) }

// SetSourcePort writes the sender's port and leaves the checksum alone.
func (h UDP) SetSourcePort(port uint16) { binary.BigEndian.PutUint16(h[0:2], port) }

// SetDestinationPort writes the receiver's port and leaves the checksum alone.
func (h UDP) SetDestinationPort(port uint16) { binary.BigEndian.PutUint16(h[2:4], port) }

// SetChecksum writes the checksum.
func (h UDP) SetChecksum(sum uint16) { binary.BigEndian.PutUint16(h[6:8], sum) }

// ICMP is an ICMP header: type, code, checksum and four bytes whose meaning
// the type gives (RFC 792).
type ICMP []byte

// ICMP types and codes the director reads or sends (RFC 792).
const (
	ICMPEchoReply    = 0
	ICMPUnreachable  = 3
	ICMPRedirect     = 5
	ICMPEcho         = 8
	ICMPTimeExceeded = 11

	ICMPPortUnreachable = 3 // code of ICMPUnreachable
	ICMPTTLExceeded     = 0 // code of ICMPTimeExceeded
)

// Type is the message's type.
func (h ICMP) Type() uint8 { return h[0] }

// Code is the message's code, whose meaning depends on the type.
func (h ICMP) Code() uint8 { return h[1] }

// Checksum is the checksum over header and body.
func (h ICMP) Checksum() uint16 { return binary.BigEndian.Uint16(h[2:4]) }

// SetTypeCode writes type and code and leaves the checksum alone.
func (h ICMP) SetTypeCode(icmpType, code uint8) { h[0], h[1] = icmpType, code }

// SetChecksum writes the checksum.
func (h ICMP) SetChecksum(sum uint16) { binary.BigEndian.PutUint16(h[2:4], sum) }
