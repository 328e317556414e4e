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
	Flags  Flags
	Random func() uint32 // uniform over all values; called with the service's lock held
}

// Flags change what some algorithms do, under the names that `ipvsadm -b` has
// for them.
type Flags struct {
	SHFallback bool // sh: when the client's server is not available, another
	SHPort     bool // sh: the client's port counts too
	MHFallback bool // mh: when the client's server is not available, another
	MHPort     bool // mh: the client's port counts too
}

// constructors is the table of algorithms by their IPVS names.
var constructors = map[string]func(Options) Scheduler{
	"rr":    func(Options) Scheduler { return &roundRobin{} },
	"wrr":   func(Options) Scheduler { return &weightedRoundRobin{} },
	"lc":    func(Options) Scheduler { return leastConnection{} },
	"wlc":   func(Options) Scheduler { return weightedLeastConnection{} },
	"sed":   func(Options) Scheduler { return shortestExpectedDelay{} },
	"nq":    func(Options) Scheduler { return neverQueue{} },
	"dh":    func(Options) Scheduler { return &destinationHash{} },
	"sh":    func(o Options) Scheduler { return &sourceHash{flags: o.Flags} },
	"mh":    func(o Options) Scheduler { return &maglev{flags: o.Flags} },
	"lblc":  func(Options) Scheduler { return &locality{} },
	"lblcr": func(Options) Scheduler { return &replicatedLocality{} },
	"fo":    func(Options) Scheduler { return failover{} },
	"ovf":   func(Options) Scheduler { return overflow{} },
	"twos":  func(o Options) Scheduler { return twoChoices{random: o.Random} },
}

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
