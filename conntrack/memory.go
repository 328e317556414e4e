package conntrack

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Both must stay a cache line: the table's cost per connection and per miss is
// counted in lines.
const lineSize = 64

var (
	_ [lineSize]byte = [unsafe.Sizeof(Entry{})]byte{}
	_ [lineSize]byte = [unsafe.Sizeof(bucket{})]byte{}

	_ [numbersSize]byte = [unsafe.Sizeof(numbers{})]byte{}
)

// A memory is the table's mapping: buckets, then entries, then numbers under
// profile RFC.
type memory struct {
	raw     []byte
	buckets []bucket
	entries []Entry
	numbers []numbers
}

// mapMemory maps zeroed memory for so many buckets and entries, with numbers for
// each entry when they are wanted. Pages are taken from the system when they are
// first used.
func mapMemory(buckets, entries int, wantNumbers bool) (memory, error) {
	size := (buckets + entries) * lineSize
	if wantNumbers {
		size += entries * numbersSize
	}
	raw, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return memory{}, fmt.Errorf("map %d bytes for the connection table (lower the number of connections): %w", size, err)
	}
	// Packets reach random places, so with small pages each would also miss
	// the TLB. A kernel without huge pages refuses, and the table works on.
	_ = unix.Madvise(raw, unix.MADV_HUGEPAGE)
	// The mapping begins on a page, and all of its parts are multiples of a
	// line, so all slices are aligned. They have no pointers, and the memory
	// stays mapped as long as they are used: until unmap.
	first := unsafe.Pointer(unsafe.SliceData(raw))
	m := memory{
		raw:     raw,
		buckets: unsafe.Slice((*bucket)(first), buckets),
		entries: unsafe.Slice((*Entry)(unsafe.Add(first, buckets*lineSize)), entries),
	}
	if wantNumbers {
		m.numbers = unsafe.Slice((*numbers)(unsafe.Add(first, (buckets+entries)*lineSize)), entries)
	}
	return m, nil
}

// unmap gives the memory back. The slices must not be used any more.
func (m *memory) unmap() error {
	if m.raw == nil {
		return nil
	}
	err := unix.Munmap(m.raw)
	*m = memory{}
	if err != nil {
		return fmt.Errorf("unmap the connection table: %w", err)
	}
	return nil
}

// Bytes returns how much memory the table takes when it is full. Pages that
// were never used take none.
func (t *Table) Bytes() int {
	const word = 8
	queues := len(t.halfOpen.words) + len(t.halfOpen.summary) + len(t.closing.words) + len(t.closing.summary)
	return len(t.memory.raw) + queues*word + int(unsafe.Sizeof(*t))
}
