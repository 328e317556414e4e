package packettest

import (
	"errors"
	"fmt"

	"lvsnat/checksum"
	"lvsnat/dataplane/packet"
)

// ChecksumsRight demands that every checksum in the frame is what a sum over
// all bytes gives: IP header, TCP, UDP or ICMP, and within an ICMP error those
// of the quoted headers. A checksum left to the sending device must hold the
// pseudo-header's sum, and the offload must point at it. UDP must have a
// checksum: see NoChecksum. Of a fragment only the IP header can be checked.
func ChecksumsRight() Checker {
	return withIP(func(v *view) error {
		b := v.datagram()
		if err := headerChecksum(b); err != nil {
			return err
		}
		ip := packet.IPv4(b)
		if ip.MoreFragments() || ip.FragmentOffset() != 0 {
			return nil
		}
		transport := b[ip.HeaderLen():]
		if v.frame.Offload.PartialChecksum() {
			return partialChecksum(v.frame.Offload, ip, transport, v.network+ip.HeaderLen())
		}
		return completeChecksum(ip, transport)
	})
}

func headerChecksum(b []byte) error {
	ip := packet.IPv4(b)
	if len(b) < packet.IPv4Len || ip.HeaderLen() < packet.IPv4Len || ip.HeaderLen() > len(b) {
		return errors.New("IP header is cut off")
	}
	if sum := checksum.Sum(b[:ip.HeaderLen()], 0); sum != 0xffff {
		return fmt.Errorf("IP header checksum is %#04x, want %#04x", ip.Checksum(), rightValue(ip.Checksum(), sum))
	}
	return nil
}

// rightValue is what the field should hold, given what it holds and the sum
// over all words, the field included.
func rightValue(field, sum uint16) uint16 {
	without := uint32(sum) + uint32(^field)
	return ^uint16(without + without>>16)
}

func pseudo(ip packet.IPv4, transport []byte) uint16 {
	return checksum.Pseudo(ip.Source(), ip.Destination(), ip.Protocol(), uint16(len(transport)))
}

// partialChecksum checks what CHECKSUM_PARTIAL demands: csum_start and
// csum_offset of linux/virtio_net.h, and the field. 0 and 0xffff are the same
// number in one's complement.
func partialChecksum(o packet.Offload, ip packet.IPv4, transport []byte, at int) error {
	field, err := checksumField(ip.Protocol(), transport)
	if err != nil {
		return err
	}
	where := map[uint8]uint16{packet.TCPProtocol: 16, packet.UDPProtocol: 6}[ip.Protocol()]
	err = firstError(
		differs("checksum start", int(o.ChecksumStart), at),
		differs("checksum offset", o.ChecksumOffset, where))
	if err != nil {
		return err
	}
	if want := pseudo(ip, transport); field%0xffff != want%0xffff {
		return fmt.Errorf("partial checksum is %#04x, want the pseudo-header's sum %#04x", field, want)
	}
	return nil
}

func completeChecksum(ip packet.IPv4, transport []byte) error {
	field, err := checksumField(ip.Protocol(), transport)
	if err != nil {
		return err
	}
	sum := checksum.Sum(transport, 0)
	if ip.Protocol() != packet.ICMPProtocol {
		sum = checksum.Sum(transport, pseudo(ip, transport))
	}
	if ip.Protocol() == packet.UDPProtocol && field == 0 {
		return errors.New("UDP has no checksum")
	}
	if sum != 0xffff {
		return fmt.Errorf("checksum of protocol %d is %#04x, want %#04x", ip.Protocol(), field, rightValue(field, sum))
	}
	if ip.Protocol() == packet.ICMPProtocol && isError(packet.ICMP(transport)) {
		return quotedChecksums(transport[packet.ICMPLen:])
	}
	return nil
}

// checksumField is the checksum of TCP, UDP or ICMP.
func checksumField(protocol uint8, transport []byte) (uint16, error) {
	switch {
	case protocol == packet.TCPProtocol && len(transport) >= packet.TCPLen:
		return packet.TCP(transport).Checksum(), nil
	case protocol == packet.UDPProtocol && len(transport) >= packet.UDPLen:
		return packet.UDP(transport).Checksum(), nil
	case protocol == packet.ICMPProtocol && len(transport) >= packet.ICMPLen:
		return packet.ICMP(transport).Checksum(), nil
	}
	return 0, fmt.Errorf("protocol %d with %d bytes has no checksum that could be checked", protocol, len(transport))
}

// isError reports whether an ICMP message quotes a datagram (RFC 1812 section
// 4.3.1): destination unreachable, source quench, redirect, time exceeded,
// parameter problem.
func isError(h packet.ICMP) bool {
	switch h.Type() {
	case packet.ICMPUnreachable, 4, packet.ICMPRedirect, packet.ICMPTimeExceeded, 12:
		return true
	}
	return false
}

// quotedChecksums checks what an ICMP error quotes. A transport checksum can
// be checked only if the quote is whole; then the pseudo-header's sum is right
// too, because a host quotes a frame that never left it as it stands.
func quotedChecksums(b []byte) error {
	if err := headerChecksum(b); err != nil {
		return fmt.Errorf("quoted: %w", err)
	}
	ip := packet.IPv4(b)
	if ip.TotalLen() > len(b) || ip.MoreFragments() || ip.FragmentOffset() != 0 {
		return nil
	}
	transport := b[ip.HeaderLen():ip.TotalLen()]
	field, err := checksumField(ip.Protocol(), transport)
	if err != nil {
		return fmt.Errorf("quoted: %w", err)
	}
	if ip.Protocol() == packet.UDPProtocol && field == 0 {
		return nil
	}
	if ip.Protocol() != packet.ICMPProtocol && field == pseudo(ip, transport) {
		return nil
	}
	if err := completeChecksum(ip, transport); err != nil {
		return fmt.Errorf("quoted: %w", err)
	}
	return nil
}
