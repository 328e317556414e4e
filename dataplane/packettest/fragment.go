package packettest

import (
	"bytes"

	"lvsnat/checksum"
	"lvsnat/dataplane/packet"
)

// Fragments cuts a frame's datagram into fragments that carry at most size
// bytes each, in order; size is a multiple of 8. Every fragment gets the IP
// header with all options; padding is left out.
func Fragments(frame packet.Frame, size int) []packet.Frame {
	v := decode(frame)
	if v.ip == nil || size <= 0 || size%8 != 0 || frame.Offload != (packet.Offload{}) {
		panic("packettest: Fragments needs a complete IPv4 frame and a size that is a multiple of 8")
	}
	b := v.datagram()
	headerLen := packet.IPv4(b).HeaderLen()
	head, rest := frame.Data[:v.network+headerLen], b[headerLen:]
	var fragments []packet.Frame
	for offset := 0; offset < len(rest); offset += size {
		piece := rest[offset:min(offset+size, len(rest))]
		data := append(bytes.Clone(head), piece...)
		setFragment(data[v.network:], offset, offset+size < len(rest))
		fragments = append(fragments, packet.Frame{Data: data})
	}
	return fragments
}

// setFragment gives a fragment its length, offset and flags and sums the
// header anew.
func setFragment(b []byte, offset int, more bool) {
	ip := packet.IPv4(b)
	b[2], b[3] = byte(len(b)>>8), byte(len(b))
	place := uint16(offset / 8)
	if more {
		place |= 0x2000
	}
	b[6], b[7] = byte(place>>8), byte(place)
	ip.SetChecksum(0)
	ip.SetChecksum(^checksum.Sum(b[:ip.HeaderLen()], 0))
}
