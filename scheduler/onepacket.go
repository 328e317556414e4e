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

// checkOnePacket makes sure that a realserver's port tells the service of each
// reply where no connection does.
func checkOnePacket(wanted []ServiceSpec) error {
	type origin struct {
		protocol    uint8
		addr        netip.Addr
		first, last uint16
		server      netip.AddrPort
		service     int
	}
	var origins []origin
	for i, spec := range wanted {
		for _, rs := range spec.Realservers {
			o := origin{spec.Protocol, rs.Address.Addr(), rs.Address.Port(), rs.Address.Port(), rs.Address, i}
			if o.first == 0 && !spec.Address.AllPorts() {
				o.first, o.last = spec.Address.Ports()
			}
			origins = append(origins, o)
		}
	}
	slices.SortStableFunc(origins, func(a, b origin) int {
		return cmp.Or(cmp.Compare(a.protocol, b.protocol), a.addr.Compare(b.addr), cmp.Compare(a.first, b.first))
	})
	const none = math.MaxInt
	furthest := [2]int{none, none} // of those so far the ones that end last: of all, and of one-packet services
	for i, o := range origins {
		alone := wanted[o.service].OnePacket
		for kind, at := range furthest {
			if at == none || origins[at].protocol != o.protocol || origins[at].addr != o.addr {
				furthest[kind] = none
				continue
			}
			if concerned := alone || kind == 1; concerned && origins[at].last >= o.first && origins[at].service != o.service {
				return fmt.Errorf("realserver %v is in the services %v and %v, one of which is scheduled by packet: its replies could not be told apart",
					o.server, wanted[origins[at].service].Address, wanted[o.service].Address)
			}
		}
		if at := furthest[0]; at == none || o.last > origins[at].last {
			furthest[0] = i
		}
		if at := furthest[1]; alone && (at == none || o.last > origins[at].last) {
			furthest[1] = i
		}
	}
	return nil
}
