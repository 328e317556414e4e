package afpacket

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lvsnat/dataplane/packet"
)

// transmitOffset is where the kernel looks for a frame in a transmit slot
// unless told otherwise: TPACKET2_HDRLEN - sizeof(struct sockaddr_ll)
// (tpacket_parse_header).
const transmitOffset = 32

// maxRefused is how many frames the NIC may refuse in one Flush before the rest
// is given up: its queue is full then.
const maxRefused = 8

// A transmitter carries out a sender's system calls.
type transmitter interface {
	// kick sends the requested slots of the ring. Slots that were not sent
	// stay requested.
	kick() error

	// send sends messages and returns how many went.
	send(messages []unix.Mmsghdr) (int, error)
}

// A Sender is one worker's way onto one NIC. Frames that fit into a slot go
// through a transmit ring, because sendmmsg costs 1.5 times as much for small
// ones. Larger frames go by sendmmsg, which takes the payload from where it
// lies. Whichever way a frame takes, it does not overtake another. A Sender is
// used by its worker alone; only SetMTU and Dead may be called from elsewhere.
type Sender struct {
	mtu atomic.Int32

	ring     ring
	head     uint32 // slot to fill next
	queued   uint32 // slots before head that are committed and not yet sent
	reserved int    // length of the frame in slot head, 0: none is reserved there

	big         bigQueue
	transmitter transmitter
	sockets     *senderSockets
	stats       packet.SenderStats
}

// SetMTU says how large an IP datagram the NIC takes, in bytes.
func (s *Sender) SetMTU(bytes int) { s.mtu.Store(int32(bytes)) }

// Reserve queues frame and returns its beginning, at least the first
// packet.HeadLen bytes (or all of a shorter frame), as a copy to be rewritten.
// The rest is taken from frame itself, which must stay as it is until Flush. It
// returns nil, and counts, when there is no room or the frame is larger than
// the NIC's MTU allows.
func (s *Sender) Reserve(frame *packet.Frame) []byte {
	s.reserved, s.big.reserved = 0, false
	if !s.fits(frame) {
		s.stats.Dropped++
		return nil
	}
	if transmitOffset+vnetLen+len(frame.Data) > s.ring.slotSize {
		s.sendRing()
		if s.big.full() {
			s.sendBig()
		}
		return s.big.reserve(frame)
	}
	s.sendBig()
	return s.reserveSlot(frame)
}

// fits reports whether the NIC can take the frame. A super-packet is cut to
// size by the NIC; the kernel allows a tag on top of the MTU.
func (s *Sender) fits(frame *packet.Frame) bool {
	if len(frame.Data) < packet.EthernetLen {
		return false
	}
	if frame.Offload.GSOType != packet.GSONone {
		return true
	}
	limit := int(s.mtu.Load()) + packet.EthernetLen
	switch packet.Ethernet(frame.Data).Type() {
	case packet.TypeVLAN, packet.TypeSVLAN:
		limit += packet.VLANTagLen
	}
	return len(frame.Data) <= limit
}

func (s *Sender) reserveSlot(frame *packet.Frame) []byte {
	if s.ring.status(s.head) != unix.TP_STATUS_AVAILABLE {
		s.sendRing()
		if s.ring.status(s.head) != unix.TP_STATUS_AVAILABLE {
			s.stats.Dropped++
			return nil
		}
	}
	b := s.ring.slot(s.head)[transmitOffset:]
	// All of the frame is declared header, so that the kernel copies it into
	// the buffer's own memory. Otherwise it attaches the slot as a page
	// fragment, which veth must copy to a fresh page: forwarding a small frame
	// takes 1.33 times as long.
	n := len(frame.Data)
	writeOffload(b, frame.Offload, n)
	copy(b[vnetLen:], frame.Data)
	s.reserved = n
	return b[vnetLen : vnetLen+n : vnetLen+n]
}

// Commit lets the frame reserved last go with the next Flush.
func (s *Sender) Commit() {
	if s.big.reserved {
		s.big.commit()
		return
	}
	if s.reserved == 0 {
		return
	}
	h := s.ring.header(s.head)
	h.Len = uint32(vnetLen + s.reserved)
	// A plain store is enough: the kernel reads the status in the system call
	// that this thread makes later.
	h.Status = unix.TP_STATUS_SEND_REQUEST
	s.reserved = 0
	s.head++
	s.queued++
}

// Flush puts all committed frames on the wire in the order of their
// reservation. It never blocks: what the NIC does not take is lost and counted.
func (s *Sender) Flush() {
	s.sendRing()
	s.sendBig()
}

// sendRing sends the committed slots. A frame that the NIC refuses because its
// queue is full is left out, for the ones behind it have a chance; on any other
// error, and when too many were refused, the rest is taken back.
func (s *Sender) sendRing() {
	for refused := 0; s.queued != 0; refused++ {
		err := s.transmitter.kick()
		if s.ring.status(s.head-1) != unix.TP_STATUS_SEND_REQUEST {
			s.stats.Sent += uint64(s.queued)
			s.queued = 0
			return
		}
		s.skipSent()
		if err != unix.ENOBUFS || refused == maxRefused || s.queued == 1 {
			s.takeBack()
			return
		}
		s.leaveOut()
	}
}

// skipSent moves past the slots that the kernel took: it works in order and
// stops at the first it cannot send.
func (s *Sender) skipSent() {
	for s.ring.status(s.head-s.queued) != unix.TP_STATUS_SEND_REQUEST {
		s.queued--
		s.stats.Sent++
	}
}

// leaveOut makes the kernel pass over the first slot still requested. The
// kernel waits for exactly this slot, so it must be offered again; being
// shorter than its virtio-net header it is skipped (PACKET_LOSS).
func (s *Sender) leaveOut() {
	s.ring.header(s.head - s.queued).Len = 0
	s.queued--
	s.stats.Dropped++
}

// takeBack empties the slots still requested, the one left out included when the
// kernel has not passed over it yet. The first of them is where the kernel
// looks next, so the next frame goes there.
func (s *Sender) takeBack() {
	for s.ring.status(s.head-1) == unix.TP_STATUS_SEND_REQUEST {
		s.head--
		s.ring.setStatus(s.head, unix.TP_STATUS_AVAILABLE)
	}
	s.stats.Dropped += uint64(s.queued)
	s.queued = 0
}

// Stats reads the counts since the sender was opened.
func (s *Sender) Stats() packet.SenderStats { return s.stats }
