package afpacket

import (
	"fmt"
	"math/bits"
	"os"
)

// Options are the dimensions of a ring. Zero values stand for the defaults.
type Options struct {
	// Slots is how many frames the ring holds, a power of two; default
	// DefaultReceiveSlots or DefaultSendSlots.
	Slots int

	// SlotSize is the length of a slot in bytes, a power of two from 512 to
	// MaxSlotSize; default: what holds a frame of the NIC's MTU, at least
	// MinDefaultSlotSize. A larger frame takes another way, which costs up to
	// 3 us more: forwarding frames of 3,000 bytes takes 0.46 of the time when
	// slots hold them, of 9,000 bytes 0.6.
	SlotSize int
}

const (
	// MinDefaultSlotSize holds super-packets of two segments, which many small
	// answers are. Compared with 2,048 it costs small frames nothing (1.00).
	//
	// Slots of 64 KiB would hold all super-packets. They make a TCP transfer
	// cheaper (0.95 of the processor time, both ends included) and small
	// frames dearer (1.03), and take 16 times the memory, which cannot be
	// swapped out.
	MinDefaultSlotSize = 4 << 10

	// MaxSlotSize is the longest slot, and the piece in which the kernel is
	// asked for a ring's memory.
	MaxSlotSize = 64 << 10

	// slotOverhead is more than what a slot has beside an IP datagram: its
	// header and address, the virtio-net header, Ethernet and two VLAN tags.
	slotOverhead = 128
)

// complete fills in the defaults for a NIC and refuses impossible values.
func (o Options) complete(slots, mtu int) (Options, error) {
	if o.Slots == 0 {
		o.Slots = slots
	}
	if o.SlotSize == 0 {
		o.SlotSize = defaultSlotSize(mtu)
	}
	const maxSlots = 1 << 16
	if o.Slots < 2 || o.Slots > maxSlots || bits.OnesCount(uint(o.Slots)) != 1 {
		return o, fmt.Errorf("ring of %d slots: need a power of two from 2 to %d", o.Slots, maxSlots)
	}
	if o.SlotSize < 512 || o.SlotSize > MaxSlotSize || bits.OnesCount(uint(o.SlotSize)) != 1 {
		return o, fmt.Errorf("ring slots of %d bytes: need a power of two from 512 to %d", o.SlotSize, MaxSlotSize)
	}
	if o.Slots*o.SlotSize%os.Getpagesize() != 0 {
		return o, fmt.Errorf("ring of %d slots of %d bytes: need whole pages of %d bytes", o.Slots, o.SlotSize, os.Getpagesize())
	}
	return o, nil
}

func defaultSlotSize(mtu int) int {
	size := MinDefaultSlotSize
	for size < mtu+slotOverhead && size < MaxSlotSize {
		size *= 2
	}
	return size
}
