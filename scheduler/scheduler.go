// Package scheduler holds the virtual services, their realservers, and the
// algorithms that choose a realserver for a new connection.
//
// A [Set] is given the whole wanted state and applies the difference: a
// service or realserver that is in both the old and the new state keeps its
// identity, its counts and its place. The dataplane reads the set's immutable
// [Snapshot]; only the counts of connections and a scheduler's own memory
// (where round robin stands, for example) change under it.
//
// An algorithm is one file and one line in the table of constructors.
package scheduler

import (
	"fmt"
	"maps"
	"slices"
)

// A Client is what an algorithm may know of the connection to be opened.
// Addresses and ports are in host order.
type Client struct {
	Addr        uint32
	Port        uint16
	VirtualAddr uint32
	Now         int64 // monotonic, ns
}

// A Scheduler chooses the realserver of a new connection.
//
// Pick is called with the service's lock held, so an implementation may keep
// plain state. Servers come in IPVS's list order, the one added last first
// (list_add_rcu in net/netfilter/ipvs/ip_vs_ctl.c). Pick returns nil when no
// server may have the connection.
type Scheduler interface {
	Pick(servers []*Realserver, client Client) *Realserver
}

// An Updater is a Scheduler that must know when a server was added, removed or
// edited. Update is called with the service's lock held, before the first Pick
// on the changed list.
type Updater interface {
	Update(servers []*Realserver)
}

// Options are what an algorithm may be made with.
type Options struct {
	Flags      Flags
	RotateTies bool          // of [RotatesTies] algorithms: equals take turns
	Random     func() uint32 // uniform over all values; called with the service's lock held
}

// Flags change what some algorithms do, under the names that `ipvsadm -b` has
// for them.
type Flags struct {
	SHFallback bool // sh: when the client's server is not available, another
	SHPort     bool // sh: the client's port counts too
	MHFallback bool // mh: when the client's server is not available, another
	MHPort     bool // mh: the client's port counts too
}

// constructors is the table of algorithms by name: IPVS's, and two more.
var constructors = map[string]func(Options) Scheduler{
	"rr":    func(Options) Scheduler { return &roundRobin{} },
	"wrr":   func(Options) Scheduler { return &weightedRoundRobin{} },
	"lc":    func(o Options) Scheduler { return &leastCost{of: leastConnection, rotate: o.RotateTies} },
	"wlc":   func(o Options) Scheduler { return &leastCost{of: weightedLeastConnection, rotate: o.RotateTies} },
	"sed":   func(o Options) Scheduler { return &leastCost{of: shortestExpectedDelay, rotate: o.RotateTies} },
	"nq":    func(o Options) Scheduler { return &leastCost{of: neverQueue, rotate: o.RotateTies} },
	"dh":    func(Options) Scheduler { return &destinationHash{} },
	"sh":    func(o Options) Scheduler { return &sourceHash{flags: o.Flags} },
	"mh":    func(o Options) Scheduler { return &maglev{flags: o.Flags} },
	"lblc":  func(Options) Scheduler { return &locality{} },
	"lblcr": func(Options) Scheduler { return &replicatedLocality{} },
	"fo":    func(Options) Scheduler { return &failover{} },
	"ovf":   func(Options) Scheduler { return &overflow{} },
	"twos":  func(o Options) Scheduler { return &twoChoices{random: o.Random} },

	"p2c":  func(o Options) Scheduler { return &twoByHandshake{random: o.Random} },
	"swrr": func(Options) Scheduler { return &smoothWeightedRoundRobin{} },
}

// RotatesTies lists the algorithms whose ties can rotate: those that take the
// least of all servers, of which IPVS takes the first.
func RotatesTies() []string { return []string{"lc", "nq", "sed", "wlc"} }

// StartsSlowly lists the algorithms under which a new realserver can start
// slowly: those that go by weights for each connection. The others look at no
// weight (rr, lc, dh), or it is no share to them (fo: a rank; ovf, lblc,
// lblcr: a number of connections), or clients have their places by it and would
// be moved about while it rises (sh, mh). Twos is left as IPVS has it; p2c is
// the same idea.
func StartsSlowly() []string { return []string{"nq", "p2c", "sed", "swrr", "wlc", "wrr"} }

// New makes the scheduler of that name.
func New(name string, o Options) (Scheduler, error) {
	construct, ok := constructors[name]
	if !ok {
		return nil, fmt.Errorf("unknown scheduler %q: known are %v", name, Names())
	}
	return construct(o), nil
}

// Names lists the known algorithms, sorted.
func Names() []string {
	return slices.Sorted(maps.Keys(constructors))
}
