package packet

// A Frame is an Ethernet frame as a receive ring lends it.
//
// Data begins at the destination address, with a VLAN tag that the kernel took
// out put back in its place. It is borrowed: read-only, and valid until the
// receiver is told to release.
type Frame struct {
	Data    []byte
	Offload Offload
}

// Offload is what the sender left for hardware to do: the fields of struct
// virtio_net_hdr (linux/virtio_net.h) in host order. The zero value says that
// the frame is complete as it stands.
type Offload struct {
	Flags          uint8
	GSOType        uint8
	HeaderLen      uint16 // bytes of all headers, a hint
	GSOSize        uint16 // payload bytes of each segment
	ChecksumStart  uint16 // where summing begins, from the start of Data
	ChecksumOffset uint16 // where the sum goes, from ChecksumStart
}

// Values of Offload.Flags and Offload.GSOType (linux/virtio_net.h).
const (
	OffloadNeedsChecksum = 1 // VIRTIO_NET_HDR_F_NEEDS_CSUM
	OffloadDataValid     = 2 // VIRTIO_NET_HDR_F_DATA_VALID

	GSONone  = 0    // VIRTIO_NET_HDR_GSO_NONE
	GSOTCPv4 = 1    // VIRTIO_NET_HDR_GSO_TCPV4
	GSOUDP   = 3    // VIRTIO_NET_HDR_GSO_UDP, fragmentation offload
	GSOTCPv6 = 4    // VIRTIO_NET_HDR_GSO_TCPV6
	GSOUDPL4 = 5    // VIRTIO_NET_HDR_GSO_UDP_L4
	GSOECN   = 0x80 // VIRTIO_NET_HDR_GSO_ECN, or'ed to one of TCP
)

// PartialChecksum reports whether the transport checksum is only a
// pseudo-header sum that the sending device is to complete.
func (o *Offload) PartialChecksum() bool {
	return o.Flags&OffloadNeedsChecksum != 0
}

// HeadLen is the number of bytes at a frame's start that a sender always lets
// the dataplane rewrite: Ethernet, two VLAN tags, and IPv4 and TCP with the
// most options they can have.
const HeadLen = EthernetLen + 2*VLANTagLen + 60 + 60

// ReceiverStats are the counts of one receiver since it was opened.
type ReceiverStats struct {
	Received  uint64 // frames handed to the worker
	Dropped   uint64 // frames the kernel found no room for in the ring
	Truncated uint64 // frames larger than a ring slot that could not be fetched whole
}

// SenderStats are the counts of one sender since it was opened.
type SenderStats struct {
	Sent    uint64 // frames the kernel took
	Dropped uint64 // frames it refused: no room, link down, too large
}
