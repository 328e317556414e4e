package main

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
)

// A flow is the client's end of a packet.
type flow struct {
	source uint32 // host order
	port   uint16
}

// flows tells which flow the packet with a given number belongs to. The
// sources change with every packet, and when all have had their turn the next
// source port is used, so that one port gives the sequence of testlvs 0.1.
type flows struct {
	first   uint32
	sources uint64
	port    uint16
	total   uint64
}

func newFlows(first netip.Addr, sources int, ports portRange) flows {
	return flows{
		first:   toUint32(first),
		sources: uint64(sources),
		port:    ports.first,
		total:   uint64(sources) * uint64(ports.len()),
	}
}

// at is flow number n of total.
func (f *flows) at(n uint64) flow {
	return flow{
		source: f.first + uint32(n%f.sources),
		port:   f.port + uint16(n/f.sources),
	}
}

// A sequence walks through flows in the steps of one worker: of w workers,
// number i takes packets i, i+w, i+2w and so on, so that together they send
// what one alone would send. With a random source it picks flows evenly
// instead. It is used by one goroutine.
type sequence struct {
	flows  *flows
	next   uint64
	step   uint64
	random *rand.Rand // nil: one after the other
}

func (s *sequence) take() flow {
	if s.random != nil {
		return s.flows.at(s.random.Uint64N(s.flows.total))
	}
	f := s.flows.at(s.next)
	s.next = (s.next + s.step) % s.flows.total
	return f
}

func toUint32(addr netip.Addr) uint32 {
	b := addr.As4()
	return binary.BigEndian.Uint32(b[:])
}
