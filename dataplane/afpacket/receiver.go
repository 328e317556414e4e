package afpacket

import (
	"io"

	"golang.org/x/sys/unix"

	"lvsnat/dataplane/packet"
)

const (
	// bigBuffers is how many frames larger than a slot are lent at a time. A
	// batch of super-packets should stay in the second-level cache until it is
	// sent: forwarding one takes with 4 buffers 0.97, with 8 0.98, with 32
	// 1.08 and with 64 1.23 of the time it takes with 16.
	bigBuffers = 8

	// bigBufferSize holds the largest IPv4 datagram with its virtio-net
	// header, an Ethernet header and two VLAN tags, in whole pages.
	bigBufferSize = 68 << 10
)

// A Receiver is one worker's receive ring on one NIC. It is used by that worker
// alone; only FD may be called from elsewhere.
type Receiver struct {
	ring   ring
	next   uint32 // slot to look at next
	oldest uint32 // first slot that is lent

	queue io.Reader // frames that were larger than a slot, each after its virtio-net header
	big   [bigBuffers][]byte
	used  int // buffers of big that are lent

	socket *socket
	stats  packet.ReceiverStats
}

// newReceiver is a receiver on a ring that is mapped already.
func newReceiver(r ring, queue io.Reader) *Receiver {
	receiver := &Receiver{ring: r, queue: queue}
	for i := range receiver.big {
		receiver.big[i] = make([]byte, bigBufferSize)
	}
	return receiver
}

// Receive lends the next frames, at most len(frames), and returns their number;
// 0 when there are none. It never blocks. What it lends is read-only and valid
// until Release. A batch may end early when it holds many frames larger than a
// slot; the next one goes on after a Release.
func (r *Receiver) Receive(frames []packet.Frame) int {
	n := 0
	for n < len(frames) && r.next-r.oldest < r.ring.slots() {
		status := r.ring.status(r.next)
		if status&unix.TP_STATUS_USER == 0 {
			break
		}
		if status&unix.TP_STATUS_COPY != 0 && r.used == len(r.big) {
			break
		}
		if r.lend(status, &frames[n]) {
			n++
		} else {
			r.stats.Truncated++
		}
		r.next++
	}
	r.stats.Received += uint64(n)
	return n
}

// Crowded reports whether more than half of the ring is taken, frames that are
// lent included.
func (r *Receiver) Crowded() bool {
	return r.ring.status(r.oldest+r.ring.slots()/2)&unix.TP_STATUS_USER != 0
}

// ready reports whether the next slot has a frame.
func (r *Receiver) ready() bool {
	return r.ring.status(r.next)&unix.TP_STATUS_USER != 0
}

// lend fills f from the next slot. It reports false when the frame is not there
// as a whole.
func (r *Receiver) lend(status uint32, f *packet.Frame) bool {
	h := r.ring.header(r.next)
	if status&unix.TP_STATUS_COPY != 0 {
		return r.fetch(status, h, f)
	}
	if h.Snaplen < h.Len {
		return false
	}
	start := int(h.Mac)
	lay(r.ring.slot(r.next), start, start+int(h.Len), status, h, f)
	return true
}

// fetch fills f from the socket's queue. The kernel appends to the queue while
// it holds the lock under which it picks the slot (tpacket_rcv), so the queue
// has one frame for each slot that is flagged, in the order of the slots.
func (r *Receiver) fetch(status uint32, h *unix.Tpacket2Hdr, f *packet.Frame) bool {
	b := r.big[r.used]
	n, err := r.queue.Read(b)
	if err != nil || n-vnetLen != int(h.Len) {
		return false
	}
	r.used++
	lay(b, vnetLen, n, status, h, f)
	return true
}

// lay makes f the frame in b[start:end], which has its virtio-net header in
// front.
//
// Neither slot nor buffer needs extra room before the frame for a tag: the
// kernel leaves 24 bytes between the slot's header and the frame, of which the
// virtio-net header takes 10. The gap also puts the headers, from the Ethernet
// addresses to the TCP checksum, into one cache line (bytes 76 to 128), which
// PACKET_RESERVE would spoil.
func lay(b []byte, start, end int, status uint32, h *unix.Tpacket2Hdr, f *packet.Frame) {
	f.Offload = readOffload(b[start-vnetLen:])
	if status&unix.TP_STATUS_VLAN_VALID != 0 {
		start = restoreTag(b, start, tagType(status, h), h.Vlan_tci, &f.Offload)
	}
	f.Data = b[start:end:end]
}

// tagType is the EtherType of the tag that was taken out. Kernels before 3.14
// do not tell.
func tagType(status uint32, h *unix.Tpacket2Hdr) uint16 {
	if status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		return h.Vlan_tpid
	}
	return packet.TypeVLAN
}

// Release takes back all frames lent so far.
//
// A plain store in place of the atomic one, which amd64 would allow, gains
// nothing that can be measured (1.00).
func (r *Receiver) Release() {
	for ; r.oldest != r.next; r.oldest++ {
		r.ring.setStatus(r.oldest, unix.TP_STATUS_KERNEL)
	}
	r.used = 0 // the same buffers again, which are warm in the cache
}

// Stats reads the counts since the receiver was opened. What the kernel dropped
// is a system call away, so this is not for each packet.
func (r *Receiver) Stats() packet.ReceiverStats {
	// Reading clears the kernel's count. A failure leaves it for next time.
	if s, err := unix.GetsockoptTpacketStats(r.socket.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		r.stats.Dropped += uint64(s.Drops)
	}
	return r.stats
}

// FD is the socket's file descriptor, readable while the ring holds a frame
// that was not released. It is valid until the fanout is closed.
func (r *Receiver) FD() int { return r.socket.fd }

// close unmaps the ring. Frames still lent are gone with it.
func (r *Receiver) close() error {
	return r.socket.close()
}
