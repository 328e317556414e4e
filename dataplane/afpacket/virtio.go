package afpacket

import (
	"encoding/binary"

	"lvsnat/dataplane/packet"
)

// vnetLen is the length of struct virtio_net_hdr (linux/virtio_net.h), which
// PACKET_VNET_HDR puts before each frame. Its fields are in host order: packet
// sockets use the legacy layout (vio_le in net/packet/af_packet.c).
const vnetLen = 10

// readOffload decodes the virtio-net header in the first vnetLen bytes of b.
func readOffload(b []byte) packet.Offload {
	_ = b[vnetLen-1] // one bounds check for all fields
	return packet.Offload{
		Flags:          b[0],
		GSOType:        b[1],
		HeaderLen:      binary.NativeEndian.Uint16(b[2:]),
		GSOSize:        binary.NativeEndian.Uint16(b[4:]),
		ChecksumStart:  binary.NativeEndian.Uint16(b[6:]),
		ChecksumOffset: binary.NativeEndian.Uint16(b[8:]),
	}
}

// writeOffload encodes o into the first vnetLen bytes of b, for a frame of
// which headerLen bytes are to be copied to the beginning of the kernel's
// buffer. OffloadDataValid is a receiver's word and is left out.
func writeOffload(b []byte, o packet.Offload, headerLen int) {
	_ = b[vnetLen-1]
	b[0] = o.Flags & packet.OffloadNeedsChecksum
	b[1] = o.GSOType
	binary.NativeEndian.PutUint16(b[2:], uint16(headerLen))
	binary.NativeEndian.PutUint16(b[4:], o.GSOSize)
	binary.NativeEndian.PutUint16(b[6:], o.ChecksumStart)
	binary.NativeEndian.PutUint16(b[8:], o.ChecksumOffset)
}

// restoreTag puts a VLAN tag back into the frame that begins at b[start], where
// the kernel took it out, and returns where the frame begins now: the addresses
// move down over the virtio-net header, which has been read by then.
func restoreTag(b []byte, start int, tpid, tci uint16, o *packet.Offload) int {
	const addresses = 12
	tagged := start - packet.VLANTagLen
	copy(b[tagged:], b[start:start+addresses])
	binary.BigEndian.PutUint16(b[tagged+addresses:], tpid)
	binary.BigEndian.PutUint16(b[tagged+addresses+2:], tci)
	if o.PartialChecksum() {
		o.ChecksumStart += packet.VLANTagLen
	}
	if o.HeaderLen != 0 {
		o.HeaderLen += packet.VLANTagLen
	}
	return tagged
}
