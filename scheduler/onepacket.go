package scheduler

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
)

// One-packet scheduling enters no connection, so the configuration alone must
// tell which service a reply belongs to, and where its client sent the request.

// checkOnePacketRange makes sure that a reply tells the whole virtual end where
// no connection does. The service must be one with a range.
func checkOnePacketRange(spec ServiceSpec) error {
	if spec.Address.ManyAddrs() {
		return errors.New("one-packet scheduling needs a single address: a reply does not tell which one was asked")
	}
	for _, rs := range spec.Realservers {
		if rs.Address.Port() != 0 {
			return fmt.Errorf("realserver %v: with one-packet scheduling a realserver of a port range has no port of its own: a reply's port tells which one was asked", rs.Address)
		}
	}
	return nil
}

// A SharedOrigin is a realserver that two services have, by their indexes, of
// which one is scheduled by packet.
type SharedOrigin struct {
	First, Second int
	Realserver    netip.AddrPort // as the second one has it
}

// SharedOrigins finds a realserver whose replies could not be told apart where
// no connection tells their service.
func SharedOrigins(services []ServiceSpec) (SharedOrigin, bool) {
	origins := originsOf(services)
	const none = math.MaxInt
	furthest := [2]int{none, none} // of those so far the ones that end last: of all, and of one-packet services
	for i, o := range origins {
		alone := services[o.service].OnePacket
		for kind, at := range furthest {
			if at == none || origins[at].protocol != o.protocol || origins[at].addr != o.addr {
				furthest[kind] = none
				continue
			}
			if concerned := alone || kind == 1; concerned && origins[at].last >= o.first && origins[at].service != o.service {
				return SharedOrigin{origins[at].service, o.service, o.server}, true
			}
		}
		if at := furthest[0]; at == none || o.last > origins[at].last {
			furthest[0] = i
		}
		if at := furthest[1]; alone && (at == none || o.last > origins[at].last) {
			furthest[1] = i
		}
	}
	return SharedOrigin{}, false
}

// An origin is where a realserver of a service replies from.
type origin struct {
	protocol    uint8
	addr        netip.Addr
	first, last uint16
	server      netip.AddrPort
	service     int
}

// originsOf lists all origins in order. A realserver of a service for all ports
// counts as one on port 0: what has a port of its own is told apart from it.
func originsOf(services []ServiceSpec) []origin {
	var origins []origin
	for i, s := range services {
		for _, rs := range s.Realservers {
			o := origin{s.Protocol, rs.Address.Addr(), rs.Address.Port(), rs.Address.Port(), rs.Address, i}
			if o.first == 0 && !s.Address.AllPorts() {
				o.first, o.last = s.Address.Ports()
			}
			origins = append(origins, o)
		}
	}
	slices.SortStableFunc(origins, func(a, b origin) int {
		return cmp.Or(cmp.Compare(a.protocol, b.protocol), a.addr.Compare(b.addr), cmp.Compare(a.first, b.first))
	})
	return origins
}

func checkOnePacket(wanted []ServiceSpec) error {
	shared, found := SharedOrigins(wanted)
	if !found {
		return nil
	}
	return fmt.Errorf("realserver %v is in the services %v and %v, one of which is scheduled by packet: its replies could not be told apart",
		shared.Realserver, wanted[shared.First].Address, wanted[shared.Second].Address)
}
