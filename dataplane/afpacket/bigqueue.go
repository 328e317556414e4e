package afpacket

import (
	"golang.org/x/sys/unix"

	"lvsnat/dataplane/packet"
)

// bigQueueLen is how many frames larger than a slot are queued before they are
// sent. One system call for all of them, and not one for each, saves 6 % of
// forwarding a super-packet.
const bigQueueLen = 16

// A bigQueue holds frames larger than a slot until they are sent by sendmmsg:
// each as a copy of its beginning and a reference to the rest, which the kernel
// copies from where it lies.
type bigQueue struct {
	n        int  // committed
	reserved bool // number n is reserved

	heads    [bigQueueLen][vnetLen + packet.HeadLen]byte
	vectors  [bigQueueLen][2]unix.Iovec // head and rest
	messages [bigQueueLen]unix.Mmsghdr
}

// init ties the messages to their vectors. The queue must not be copied or
// moved afterwards.
func (q *bigQueue) init() {
	for i := range q.messages {
		q.vectors[i][0].Base = &q.heads[i][0]
		q.vectors[i][0].SetLen(len(q.heads[i]))
		q.messages[i].Hdr.Iov = &q.vectors[i][0]
		q.messages[i].Hdr.SetIovlen(len(q.vectors[i]))
	}
}

func (q *bigQueue) full() bool { return q.n == len(q.messages) }

// reserve queues a frame longer than packet.HeadLen and returns the copy of its
// beginning. The queue must not be full.
func (q *bigQueue) reserve(frame *packet.Frame) []byte {
	head := q.heads[q.n][:]
	// The kernel copies this much to the beginning of its buffer and the rest
	// into pages. Looking into the headers must not meet a page, so all of
	// them are in it; the count that came with the frame is a hint and may be
	// as long as the frame.
	writeOffload(head, frame.Offload, packet.HeadLen)
	copy(head[vnetLen:], frame.Data)
	rest := frame.Data[packet.HeadLen:]
	q.vectors[q.n][1].Base = &rest[0]
	q.vectors[q.n][1].SetLen(len(rest))
	q.reserved = true
	return head[vnetLen:]
}

func (q *bigQueue) commit() {
	q.reserved = false
	q.n++
}

// clear forgets all frames. References to them do not stay behind: they point
// into rings that may be unmapped.
func (q *bigQueue) clear() {
	for i := range q.n {
		q.vectors[i][1].Base = nil
	}
	q.n = 0
}

// sendBig sends the committed frames of the queue, passing over each that the
// NIC refuses.
func (s *Sender) sendBig() {
	for first := 0; first < s.big.n; {
		n, err := s.transmitter.send(s.big.messages[first:s.big.n])
		s.stats.Sent += uint64(n)
		first += n
		if err != nil {
			s.stats.Dropped++
			first++
		}
	}
	s.big.clear()
}
