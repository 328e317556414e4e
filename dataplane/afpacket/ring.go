package afpacket

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A ring is a row of slots in memory that process and kernel share. Each slot
// begins with a struct tpacket2_hdr (linux/if_packet.h), whose status word says
// whose turn it is. Slots are numbered without end; the ring wraps the number.
//
// TPACKET_V2 and not V3: V3 hands frames over by the block, when it is full or
// its timer fires, so that a request that waits for its answer waits for the
// timer too: ten times fewer requests per second on one connection.
type ring struct {
	memory   []byte
	slotSize int
	mask     uint32 // number of slots, a power of two, less one
}

// slots is the number of slots.
func (r *ring) slots() uint32 { return r.mask + 1 }

// slot is the memory of slot number n, its header included.
func (r *ring) slot(n uint32) []byte {
	at := int(n&r.mask) * r.slotSize
	return r.memory[at : at+r.slotSize : at+r.slotSize]
}

// header is the header of slot number n. The conversion is sound because a
// slot is longer than a header, and aligned for it: the ring's memory begins on
// a page and slotSize is a multiple of TPACKET_ALIGNMENT.
func (r *ring) header(n uint32) *unix.Tpacket2Hdr {
	return (*unix.Tpacket2Hdr)(unsafe.Pointer(&r.slot(n)[0]))
}

// status reads whose slot n is. The load is atomic because the kernel writes
// the word from another CPU, after everything else of the slot
// (__packet_set_status with its barrier): what is read of the slot after it is
// what the kernel wrote before it.
func (r *ring) status(n uint32) uint32 {
	return atomic.LoadUint32(&r.header(n).Status)
}

// setStatus hands slot n over. The store is atomic so that all reading and
// writing of the slot before it has taken effect when the kernel sees it.
func (r *ring) setStatus(n uint32, status uint32) {
	atomic.StoreUint32(&r.header(n).Status, status)
}
