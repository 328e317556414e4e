package packettest

import (
	"bytes"
	"math"
	"sync"
	"testing"

	"lvsnat/dataplane/packet"
)

// A Sender stands in for a transmit ring and collects what is sent. It holds
// its user to the contract: only the head is writable, and only until Commit;
// what follows the head is read when Flush is called and must still be what it
// was at Reserve.
//
// Sent and the setters may be called from any goroutine, the other methods are
// for the one worker that owns the sender.
type Sender struct {
	t testing.TB

	mu       sync.Mutex
	mtu      int          // guarded by mu, as are all below: largest datagram, bytes
	room     int          // frames that fit in between two flushes
	down     bool         // the NIC takes nothing
	reserved *reservation // of the last Reserve, nil once committed
	queue    []*reservation
	sent     []packet.Frame
	stats    packet.SenderStats
}

// A reservation is a frame on its way from Reserve to Flush.
type reservation struct {
	frame     packet.Frame
	tail      []byte // what follows the head, as it was at Reserve
	head      []byte // what the user rewrites
	committed []byte // head as it was at Commit
}

// NewSender returns a sender with an MTU of 1500 and boundless room that
// reports misuse to t.
func NewSender(t testing.TB) *Sender {
	return &Sender{t: t, mtu: 1500, room: math.MaxInt}
}

// SetMTU makes mtu, in bytes, the largest datagram that is taken. Frames that
// the NIC is to segment may be larger.
func (s *Sender) SetMTU(mtu int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mtu = mtu
}

// SetRoom lets at most frames be reserved between one Flush and the next: with
// 0 the sender is full.
func (s *Sender) SetRoom(frames int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room = frames
}

// SetDown says whether the link is down: Flush then loses all frames and
// counts them.
func (s *Sender) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// Reserve queues frame and returns a copy of its first packet.HeadLen bytes,
// not one more, or of all of a shorter frame. It returns nil when there is no
// room or the frame is larger than the MTU.
func (s *Sender) Reserve(frame *packet.Frame) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved = nil
	if len(s.queue) >= s.room || s.tooLarge(frame) {
		return nil
	}
	n := min(len(frame.Data), packet.HeadLen)
	s.reserved = &reservation{
		frame: *frame,
		head:  bytes.Clone(frame.Data[:n:n]),
		tail:  bytes.Clone(frame.Data[n:]),
	}
	return s.reserved.head[:n:n]
}

// tooLarge reports whether the link cannot carry frame. VLAN tags do not count
// towards the MTU.
func (s *Sender) tooLarge(frame *packet.Frame) bool {
	datagram := len(frame.Data) - packet.EthernetLen
	for at := packet.EthernetLen - 2; at+2 <= len(frame.Data); at += packet.VLANTagLen {
		if t := uint16(frame.Data[at])<<8 | uint16(frame.Data[at+1]); t != packet.TypeVLAN && t != packet.TypeSVLAN {
			break
		}
		datagram -= packet.VLANTagLen
	}
	return frame.Offload.GSOType == packet.GSONone && datagram > s.mtu
}

// Commit lets the frame reserved last go with the next Flush.
func (s *Sender) Commit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reserved == nil {
		s.t.Errorf("Commit without a frame that is reserved")
		return
	}
	s.reserved.committed = bytes.Clone(s.reserved.head)
	s.queue = append(s.queue, s.reserved)
	s.reserved = nil
}

// Flush sends all committed frames. A frame that is reserved but not committed
// is forgotten.
func (s *Sender) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved = nil
	for _, r := range s.queue {
		if firstDifference(r.head, r.committed) >= 0 {
			s.t.Errorf("the head of a frame was written after Commit: %s", Describe(r.frame))
		}
		if tail := r.frame.Data[len(r.head):]; firstDifference(tail, r.tail) >= 0 {
			s.t.Errorf("what follows the head of a frame of %d bytes was changed between Reserve and Flush", len(r.frame.Data))
		}
		if s.down {
			s.stats.Dropped++
			continue
		}
		s.stats.Sent++
		s.sent = append(s.sent, packet.Frame{Data: append(r.committed, r.tail...), Offload: r.frame.Offload})
	}
	s.queue = nil
}

// Sent returns the frames sent since Sent was last called, in order.
func (s *Sender) Sent() []packet.Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent = nil
	return sent
}

// Stats reads the counts so far.
func (s *Sender) Stats() packet.SenderStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}
