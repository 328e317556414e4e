package guard

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
)

// contents are the elements of all sets.
type contents [numSets]elements

// elements are the keys of one set, as the kernel compares them: fields in
// network order, each filled up to four bytes.
type elements map[string]struct{}

func (e elements) add(fields ...[]byte) {
	var key []byte
	for _, f := range fields {
		key = append(key, f...)
		key = append(key, make([]byte, -len(f)&3)...)
	}
	e[string(key)] = struct{}{}
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
	local := make(map[netip.Addr]bool, len(s.Local))
	for _, addr := range s.Local {
		local[addr] = true
	}
	for _, service := range s.Services {
		if err := check(service, "virtual service"); err != nil {
			return c, err
		}
		fields := fieldsOf(service)
		switch {
		case !local[service.Addr.Addr()]:
			c[vips].add(fields[0])
		case service.Addr.Port() == 0:
			c[wholeServices].add(fields[:2]...)
		default:
			c[services].add(fields...)
		}
	}
	for _, server := range s.Realservers {
		if err := check(server, "realserver"); err != nil {
			return c, err
		}
		fields := fieldsOf(server)
		if server.Addr.Port() == 0 {
			c[wholeRealservers].add(fields[:2]...)
		} else {
			c[realservers].add(fields...)
		}
		c[replying].add(fields[:2]...)
	}
	return c, nil
}

func check(e Endpoint, what string) error {
	if !e.Addr.Addr().Is4() || e.Addr.Addr() == netip.IPv4Unspecified() {
		return fmt.Errorf("%s %v: not an IPv4 address", what, e.Addr)
	}
	return nil
}

// fieldsOf returns address, protocol and port.
func fieldsOf(e Endpoint) [][]byte {
	addr := e.Addr.Addr().As4()
	return [][]byte{addr[:], {e.Protocol}, binary.BigEndian.AppendUint16(nil, e.Addr.Port())}
}

// chunk is how many elements go into one message: the list's length has 16
// bits, and an element takes 24 bytes.
const chunk = 2000

// change queues elements for one of the library's commands.
func change(command func(*nftables.Set, []nftables.SetElement) error, set *nftables.Set, keys []string) error {
	for keys := range slices.Chunk(keys, chunk) {
		list := make([]nftables.SetElement, len(keys))
		for i, key := range keys {
			list[i].Key = []byte(key)
		}
		if err := command(set, list); err != nil {
			return fmt.Errorf("set %s: %w", set.Name, err)
		}
	}
	return nil
}

func growWriteBuffer(c *netlink.Conn) error {
	return c.SetWriteBuffer(writeBuffer)
}
