package conntrack

import "math/bits"

// slots is the number of entries that a bucket can name.
const slots = 10

// A bucket is one cache line of the index. Its tags lie four to a word, the
// first in the lowest 16 bits. The last word has two tags, then the overflow:
// the number of entries that would have their place here or before, but were
// put into a later bucket.
type bucket struct {
	words   [3]uint64
	entries [slots]uint32
}

const (
	lanes       = 0x0001_0001_0001_0001 // the lowest bit of each 16-bit lane
	overflowOne = 1 << 32               // one in the overflow's place
)

// zeroLanes sets the highest bit of each 16-bit lane of x that is zero, and
// perhaps that of a lane above one, where a 1 is taken for a zero because of the
// carry; a way without it takes two thirds more instructions.
func zeroLanes(x uint64) uint64 {
	return (x - lanes) &^ x & (lanes << 15)
}

// match returns the slots whose tag is the given one as a set of bits; lane l
// of word w is bit 16*l+w. match(0) returns the free ones. The lowest bit is
// right; one above it may be of another tag, which is as rare as two client ends
// that have the same.
func (b *bucket) match(tag uint64) uint64 {
	tag *= lanes
	return zeroLanes(b.words[0]^tag)>>15 |
		zeroLanes(b.words[1]^tag)>>14 |
		zeroLanes(b.words[2]^tag)>>13&0x0000_0000_ffff_ffff
}

// slotOf returns the slot of the lowest bit of a set that match returned.
func slotOf(set uint64) uint {
	bit := uint(bits.TrailingZeros64(set))
	return bit%16*4 + bit/16
}

// overflowed reports whether a search must go on in the next bucket.
func (b *bucket) overflowed() bool {
	return b.words[2]>>32 != 0
}

// set fills a free slot.
func (b *bucket) set(slot uint, tag uint64, entry uint32) {
	b.words[slot/4] |= tag << (slot % 4 * 16)
	b.entries[slot] = entry
}

// clear frees a slot.
func (b *bucket) clear(slot uint) {
	b.words[slot/4] &^= 0xffff << (slot % 4 * 16)
	b.entries[slot] = 0
}

// maxProbe is how many buckets an entry may be away from its home. Three times
// what a full table of 10 million needs (see entriesPerBucket): only one client
// port with hundreds of connections goes as far (to as many services, as the
// hash serves the client end alone). A search may compare all of those, so
// this bounds what the packets of such a client cost.
const maxProbe = 32

// An index finds entries by the client end.
type index struct {
	buckets []bucket
	reach   int // how many buckets a search may look at
}

func newIndex(buckets []bucket) index {
	return index{buckets: buckets, reach: min(maxProbe, len(buckets))}
}

// home returns the number of the bucket where a search begins: the upper half
// of the hash scaled to the number of buckets, which so need not be a power of
// two.
func (x *index) home(h Hash) int {
	return int(uint64(h>>32) * uint64(len(x.buckets)) >> 32)
}

// after returns the number of the bucket that follows bucket at.
func (x *index) after(at int) int {
	at++
	if at == len(x.buckets) {
		return 0
	}
	return at
}

// room returns the nearest bucket to the hash's home that has a free slot, and
// that slot.
func (x *index) room(h Hash) (at int, slot uint, ok bool) {
	at = x.home(h)
	for range x.reach {
		if free := x.buckets[at].match(0); free != 0 {
			return at, slotOf(free), true
		}
		at = x.after(at)
	}
	return 0, 0, false
}

// put enters an entry into the slot that room returned.
func (x *index) put(h Hash, at int, slot uint, entry uint32) {
	for passed := x.home(h); passed != at; passed = x.after(passed) {
		x.buckets[passed].words[2] += overflowOne
	}
	x.buckets[at].set(slot, h.tag(), entry)
}

// take removes an entry that was put under hash h.
func (x *index) take(h Hash, entry uint32) {
	at := x.home(h)
	for range x.reach {
		b := &x.buckets[at]
		for found := b.match(h.tag()); found != 0; found &= found - 1 {
			if slot := slotOf(found); b.entries[slot] == entry {
				b.clear(slot)
				return
			}
		}
		b.words[2] -= overflowOne
		at = x.after(at)
	}
}
