package guard

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"

	"lvsnat/dataplane/interval"
	"lvsnat/scheduler"
)

// contents are the elements of all sets.
type contents [numSets]elements

// elements are the keys of one set, as the kernel compares them: fields in
// network order, each filled up to four bytes. A key of a set of ranges is the
// first key of the range followed by the last one.
type elements map[string]struct{}

func (e elements) add(fields ...[]byte) { e[keyOf(fields...)] = struct{}{} }

func keyOf(fields ...[]byte) string {
	var key []byte
	for _, f := range fields {
		key = append(key, f...)
		key = append(key, make([]byte, -len(f)&3)...)
	}
	return string(key)
}

// keys returns the elements in order, so that the same state always makes the
// same transaction.
func (e elements) keys() []string {
	keys := make([]string, 0, len(e))
	for key := range e {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// shape says which sets are not empty.
func (c contents) shape() (s shape) {
	for set, elements := range c {
		s[set] = len(elements) > 0
	}
	return s
}

// difference returns what leads from one set to another.
func difference(from, to elements) (gone, added []string) {
	for _, key := range from.keys() {
		if _, stays := to[key]; !stays {
			gone = append(gone, key)
		}
	}
	for _, key := range to.keys() {
		if _, is := from[key]; !is {
			added = append(added, key)
		}
	}
	return gone, added
}

// contentsOf sorts a state into the sets.
func contentsOf(s State) (contents, error) {
	var c contents
	for set := range c {
		c[set] = make(elements)
	}
	own := newOwnAddrs(s.Local)
	requests, replies := make(portRanges), make(portRanges)
	var ranges []interval.Interval
	for _, service := range s.Services {
		if err := check(service, "virtual service"); err != nil {
			return c, err
		}
		if service.Addr.ManyAddrs() {
			ranges = append(ranges, interval.OfPrefix(service.Addr.Prefix()))
		}
		local := own.in(service.Addr.Prefix())
		if !service.Addr.ManyAddrs() && len(local) == 0 {
			c[vips].add(service.Addr.Addr().AsSlice())
		}
		for _, addr := range local {
			c.addPorts(host{addr, service.Protocol}, service.Addr, services, wholeServices, requests)
		}
	}
	c[vipRanges].addIntervals(without(interval.Join(ranges), own))
	for _, server := range s.Realservers {
		if err := check(server, "realserver"); err != nil {
			return c, err
		}
		at := host{server.Addr.Addr(), server.Protocol}
		c.addPorts(at, server.Addr, realservers, wholeRealservers, replies)
		c[replying].add(at.fields()...)
	}
	requests.addTo(c[serviceRanges])
	replies.addTo(c[realserverRanges])
	return c, nil
}

func check(e Endpoint, what string) error {
	if !e.Addr.Addr().Is4() || e.Addr.Addr() == netip.IPv4Unspecified() {
		return fmt.Errorf("%s %v: not an IPv4 address", what, e.Addr)
	}
	return nil
}

// A host is where packets of a protocol go to or come from.
type host struct {
	addr     netip.Addr
	protocol uint8
}

func (h host) fields() [][]byte { return [][]byte{h.addr.AsSlice(), {h.protocol}} }

// addPorts adds ports of a host to the set for single ports, the set for all
// ports, or the ranges.
func (c contents) addPorts(at host, ports scheduler.Address, single, whole int, ranges portRanges) {
	first, last := ports.Ports()
	switch {
	case ports.AllPorts():
		c[whole].add(at.fields()...)
	case ports.ManyPorts():
		ranges[at] = append(ranges[at], interval.Interval{First: uint32(first), Last: uint32(last)})
	default:
		c[single].add(append(at.fields(), portField(uint32(first)))...)
	}
}

func portField(port uint32) []byte { return binary.BigEndian.AppendUint16(nil, uint16(port)) }

// chunk is how many elements go into one message: the list's length has 16
// bits, and an element takes up to 44 bytes.
const chunk = 1000

// change queues elements for one of the library's commands.
func change(command func(*nftables.Set, []nftables.SetElement) error, set *nftables.Set, keys []string) error {
	for keys := range slices.Chunk(keys, chunk) {
		var list []nftables.SetElement
		for _, key := range keys {
			list = append(list, elementsOf(set, []byte(key))...)
		}
		if err := command(set, list); err != nil {
			return fmt.Errorf("set %s: %w", set.Name, err)
		}
	}
	return nil
}

// elementsOf is a key in the library's words. A range of a single field is two
// elements for the kernel, and the second one is the first key beyond.
func elementsOf(set *nftables.Set, key []byte) []nftables.SetElement {
	if !set.Interval {
		return []nftables.SetElement{{Key: key}}
	}
	first, last := key[:len(key)/2], key[len(key)/2:]
	if set.Concatenation {
		return []nftables.SetElement{{Key: first, KeyEnd: last}}
	}
	beyond := binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(last)+1)
	return []nftables.SetElement{{Key: first}, {Key: beyond, IntervalEnd: true}}
}

func growWriteBuffer(c *netlink.Conn) error {
	return c.SetWriteBuffer(writeBuffer)
}
