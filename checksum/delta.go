package checksum

// A Delta is what a change of header fields does to a checksum: the folded
// one's-complement sum of ~m + m' over all changed words (RFC 1624). The zero
// value changes nothing. A connection has one for its addresses (which the IP
// header and a partial checksum need) and one for addresses and ports.
type Delta uint16

// Delta16 is the change of one 16-bit field, a port for example.
func Delta16(before, after uint16) Delta {
	return Delta(add(^before, after))
}

// Delta32 is the change of one 32-bit field, an IPv4 address for example.
func Delta32(before, after uint32) Delta {
	return Delta16(uint16(before>>16), uint16(after>>16)).
		Add(Delta16(uint16(before), uint16(after)))
}

// Add is the delta of both changes together.
func (d Delta) Add(e Delta) Delta {
	return Delta(add(uint16(d), uint16(e)))
}

// Inverse is the delta of the change undone: what a reply needs when d is what
// the request needs.
func (d Delta) Inverse() Delta {
	return ^d
}

// Apply updates a complete checksum: HC' = ~(~HC + ~m + m'), RFC 1624
// equation 3. The older equation of RFC 1141 differs when the result is zero
// and is wrong there.
func (d Delta) Apply(sum uint16) uint16 {
	return ^add(^sum, uint16(d))
}

// ApplyUDP updates a UDP checksum over IPv4. Zero means that the sender made
// none and stays zero; a result of zero is sent as its other form, 0xffff
// (RFC 768).
func (d Delta) ApplyUDP(sum uint16) uint16 {
	if sum == 0 {
		return 0
	}
	sum = d.Apply(sum)
	if sum == 0 {
		return 0xffff
	}
	return sum
}

// ApplyPartial updates the checksum field of a packet whose checksum is still
// to be completed by hardware (CHECKSUM_PARTIAL, VIRTIO_NET_HDR_F_NEEDS_CSUM).
// The field then holds the pseudo-header's sum, not complemented, so d must be
// the delta of the addresses alone: ports are not in the pseudo-header
// (inet_proto_csum_replace4 in the kernel's net/core/utils.c).
func (d Delta) ApplyPartial(sum uint16) uint16 {
	return add(sum, uint16(d))
}

// add is one's-complement addition: the carry comes back in at the bottom.
func add(a, b uint16) uint16 {
	s := uint32(a) + uint32(b)
	return uint16(s) + uint16(s>>16)
}
