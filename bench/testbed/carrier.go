package testbed

import (
	"context"
	"net/netip"
)

// An Ability is a kind of traffic. A workload says which it needs and a peer
// which it has, and what does not go together is not measured.
type Ability uint8

// The abilities. A peer may have any of them.
const (
	// Streams are TCP connections between programs, with the super-packets and
	// unfinished checksums that the NICs' offloads make of them.
	Streams Ability = 1 << iota

	// Datagrams are small UDP datagrams, there and back.
	Datagrams

	// Forged are packets with addresses of nobody, which belong to no
	// connection that a kernel has opened.
	Forged
)

// Includes reports whether all abilities in other are in a.
func (a Ability) Includes(other Ability) bool { return a&other == other }

// A Carrier is a peer that carries traffic between client and realservers now.
type Carrier struct {
	// Target is the address that the client talks to.
	Target netip.Addr

	// ClientNIC and RealserverNIC are where its traffic leaves the client and
	// reaches the realservers.
	ClientNIC, RealserverNIC string

	// Memory is how many bytes it takes now: of its processes, or of the
	// kernel's tables where it has none. Nil: it keeps nothing.
	Memory func() (int64, error)

	// Losses counts frames that it has not forwarded since it was started, by
	// the names it has for the reasons. Nil: it does not tell.
	Losses func(ctx context.Context) (map[string]float64, error)

	// Stop ends it and leaves the testbed as it was.
	Stop func(ctx context.Context) error
}

// NICs of client and realserver on the two cables of the testbed.
const (
	ThroughDirector = "eth0"
	PastDirector    = "eth1"
)

// NewCarrier is one between the NICs that the director is between.
func NewCarrier(target netip.Addr, stop func(context.Context) error) *Carrier {
	return &Carrier{Target: target, ClientNIC: ThroughDirector, RealserverNIC: ThroughDirector, Stop: stop}
}
