package conntrack

import "lvsnat/checksum"

// An Entry is one connection. It fills a cache line of 64 bytes and has no
// pointer. Addresses and ports are in host order.
//
// An entry belongs to its table: what a caller may write is Hop, HopEpoch, Mark
// and Opened, and a pointer to it holds until the next call of Insert, Remove or
// Expire, after which its memory may be another connection's.
type Entry struct {
	ClientAddr  uint32
	VirtualAddr uint32
	RealAddr    uint32
	ClientPort  uint16
	VirtualPort uint16
	RealPort    uint16
	Protocol    uint8 // IANA number
	State       State
	Dest        uint32 // the realserver's ID

	// The change of a request's destination from the virtual to the real end,
	// of the address alone and of address and port. A reply's source changes
	// by the inverse.
	AddrDelta checksum.Delta
	FullDelta checksum.Delta

	// What the dataplane remembers of the reply's next hop; 0 at first.
	Hop      uint32
	HopEpoch uint32

	lastSeen Ticks
	armed    Ticks  // deadline by which the wheel holds the entry, perhaps earlier than the true one
	next     uint32 // in the wheel's slot, or in the free list
	prev     uint32 // in the wheel's slot; 0: first
	self     uint32 // number of this entry
	flags    uint8

	// Mark is the dataplane's own; 0 at first.
	Mark uint8

	_ [2]byte // up to the cache line

	// Opened is the dataplane's own; 0 at first.
	Opened uint32
}

// Bits of Entry.flags.
const (
	inUse   = 1 << iota // on no free list
	active              // counted as active
	replied             // a packet from the realserver was seen
	proven              // the client has acknowledged what the realserver said; only under profile RFC
)

// A Connection is what [Table.Insert] needs to know. Addresses and ports are
// in host order.
type Connection struct {
	ClientAddr, VirtualAddr, RealAddr uint32
	ClientPort, VirtualPort, RealPort uint16
	Protocol                          uint8  // IANA number
	Dest                              uint32 // the realserver's ID
}

// protocolTCP is TCP's IANA number. Everything else is treated as UDP is: one
// state, one timeout.
const protocolTCP = 6

// newEntry returns the entry of a new connection, which is in no list yet.
func newEntry(c Connection, self uint32, now Ticks) Entry {
	state := UDP
	if c.Protocol == protocolTCP {
		state = None
	}
	address := checksum.Delta32(c.VirtualAddr, c.RealAddr)
	return Entry{
		ClientAddr:  c.ClientAddr,
		VirtualAddr: c.VirtualAddr,
		RealAddr:    c.RealAddr,
		ClientPort:  c.ClientPort,
		VirtualPort: c.VirtualPort,
		RealPort:    c.RealPort,
		Protocol:    c.Protocol,
		State:       state,
		Dest:        c.Dest,
		AddrDelta:   address,
		FullDelta:   address.Add(checksum.Delta16(c.VirtualPort, c.RealPort)),
		lastSeen:    now,
		self:        self,
		flags:       inUse,
	}
}

// Stateless returns an entry that is in no table, for a packet that is
// translated alone.
func Stateless(c Connection) Entry { return newEntry(c, 0, 0) }

// Active reports whether the connection is counted as active, as the changes
// that [Table.Observe] returned add up to.
func (e *Entry) Active() bool { return e.flags&active != 0 }

// Replied reports whether a packet from the realserver was seen.
func (e *Entry) Replied() bool { return e.flags&replied != 0 }

// HalfOpen reports whether the connection was opened but is not established:
// its state says so, or its realserver has not answered.
func (e *Entry) HalfOpen() bool { return worthOf(e.State, e.Replied()) == halfOpen }

// Evictable reports whether the connection may make way for a new one when the
// table is full: it is half-open or closing.
func (e *Entry) Evictable() bool { return worthOf(e.State, e.Replied()) != keep }

// Carries reports whether a packet that goes in direction dir belongs to the
// connection: a request goes from the client's end to the virtual one, a reply
// from the real end to the client's. Of an entry that has left the table it says
// no.
func (e *Entry) Carries(dir Direction, source uint32, sourcePort uint16, destination uint32, destinationPort uint16, protocol uint8) bool {
	if e.Protocol != protocol || e.flags&inUse == 0 {
		return false
	}
	if dir == Request {
		return e.ClientAddr == source && e.ClientPort == sourcePort && e.VirtualAddr == destination && e.VirtualPort == destinationPort
	}
	return e.RealAddr == source && e.RealPort == sourcePort && e.ClientAddr == destination && e.ClientPort == destinationPort
}
