// Package conntrack is the director's table of connections.
//
// A connection is one use of a virtual service by one client: the client's
// address and port, the virtual address and port it asked for, and the
// realserver that answers it. LVS-NAT leaves the client end as it is in both
// directions, so the client end alone is hashed and one index entry serves
// requests and replies; the entry then tells which service, or which
// realserver, the packet must name.
//
// # Layout
//
// Buckets and entries lie in one anonymous mapping outside the Go heap, without
// a pointer in it: the garbage collector never looks at it, and a page that was
// never used costs nothing.
//
//	buckets: one per 6 connections of capacity, a cache line each
//	+---------------------+----------+---+---------------------------+
//	| 10 tags, 2 bytes    | overflow | - | 10 entry numbers, 4 bytes |
//	+---------------------+----------+---+---------------------------+
//	                                       |
//	entries: a cache line each             v
//	+-----+---------------------------------------------------------+
//	| 0   | never used, so that number 0 can mean "none"            |
//	| 1   | tuple, state, realserver, deltas, hop, last seen, links |
//	| ... |                                                         |
//	+-----+---------------------------------------------------------+
//
// A hash chooses a bucket with its upper half and a tag with its lowest bits.
// Tags are compared four at a time, and only an entry whose tag agrees is
// looked at. When a bucket has no free slot, the entry goes to one of the
// next, and every bucket passed over counts it in its overflow; a search goes
// on only while that count is not zero. So removal leaves no tombstones, and a
// miss mostly costs one cache line. This is the scheme of F14 (Facebook's folly).
// With 64 bytes of entry, 10.7 of index and two bits in the queues of entries
// that may make way, a connection costs 75 bytes at capacity; under profile RFC
// its sequence numbers, in an array behind the entries, are 16 more.
//
// A batch of packets looks its connections up in two steps: [Table.Touch]
// brings all the lines into the cache at once, then each is found there.
//
// # Expiry
//
// Each packet stores when it was seen. A timing wheel of 4,096 slots of 268 ms
// holds the entries by an earlier estimate of their deadline; when a slot's
// time has passed, each of its entries either is due and goes, or moves to the
// slot of the deadline it has by now. So an ordinary packet never touches the
// wheel, only one that brings the deadline forward (a reset, for example). An
// entry never goes early, and stays at most one slot longer than its timeout
// as long as [Table.Expire] is called often enough.
//
// # When the table is full
//
// A new connection then takes the place of a half-open one, or else of one
// that is closing. Established connections never make way.
package conntrack
