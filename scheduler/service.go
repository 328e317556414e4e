package scheduler

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A ServiceSpec is the wanted state of one virtual service.
type ServiceSpec struct {
	Address     Address
	Protocol    uint8
	Scheduler   string
	Flags       Flags
	Persistence time.Duration    // how long a client stays with its realserver; 0: no longer than a connection
	Netmask     uint32           // clients alike under it count as one, host order; 0: each for itself
	RotateTies  bool             // servers that are equal to a [RotatesTies] algorithm take turns
	SlowStart   time.Duration    // of a [StartsSlowly] algorithm: how long a server that joins counts with less than its weight; 0: not at all
	OnePacket   bool             // UDP: each datagram is scheduled for itself and leaves no connection
	Realservers []RealserverSpec // in the order in which an operator would add them
}

// A RealserverSpec is the wanted state of one realserver of a service.
type RealserverSpec struct {
	Address netip.AddrPort
	Weight  int // 0: no new connections, the old ones stay
	Upper   int // with so many connections it gets no new ones; 0: no limit
	Lower   int // until it has fewer than so many; 0: three quarters of Upper
}

// A Service is a virtual service. Its identity is its key; everything else may
// change while connections go on.
type Service struct {
	Key

	mu            sync.Mutex
	scheduler     Scheduler  // guarded by mu
	schedulerName string     // guarded by mu
	flags         Flags      // guarded by mu
	rotateTies    bool       // guarded by mu
	templates     *templates // guarded by mu; nil when the service is not persistent
	onePacket     atomic.Bool
	servers       []*Realserver // guarded by mu; newest first
}

// Flags are the flags of the service's algorithm.
func (s *Service) Flags() Flags {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flags
}

// Scheduler is the name of the service's algorithm.
func (s *Service) Scheduler() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.schedulerName
}

// Pick chooses the realserver of a new connection, or nil when there is none
// that may have it. Bound reports that persistence counts the connection: its
// end is then to be told to Closed. Pick may be called concurrently.
func (s *Service) Pick(client Client) (rs *Realserver, bound bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.templates != nil {
		return s.templates.pick(s.scheduler, s.servers, client)
	}
	return s.scheduler.Pick(s.servers, client), false
}

// OnePacket reports whether each datagram is scheduled for itself.
func (s *Service) OnePacket() bool { return s.onePacket.Load() }

// Persistence is how long a client stays with its realserver, 0 when the
// service is not persistent, and the netmask under which clients count as one,
// in host order.
func (s *Service) Persistence() (timeout time.Duration, netmask uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.templates == nil {
		return 0, 0
	}
	return s.templates.timeout, s.templates.netmask
}

// Realservers returns the servers in the order in which schedulers see them.
// It may be called concurrently; the slice is the caller's.
func (s *Service) Realservers() []*Realserver {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.servers)
}

// retire takes all servers out of service; their connections go on.
func (s *Service) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rs := range s.servers {
		rs.retire()
	}
	s.tellScheduler()
}

// tellScheduler tells the algorithm of what was changed. The lock is held.
func (s *Service) tellScheduler() {
	unwatch(s.servers) // the algorithm may be one that looks at no counts
	if u, ok := s.scheduler.(Updater); ok {
		u.Update(s.servers)
	}
}

// A Realserver is one server of one service. The same machine in two services
// is two Realservers. All methods may be called concurrently.
type Realserver struct {
	ID      uint32 // index of counters and of a connection's Dest; reused only when no connection is left
	Addr    uint32
	Port    uint16 // 0: the one that the client asked for
	Service Key

	weight     atomic.Int32
	lastWeight atomic.Int32 // the last one that was not 0
	upper      atomic.Int32
	lower      atomic.Int32
	active     atomic.Int32
	inactive   atomic.Int32
	overload   atomic.Bool
	removed    atomic.Bool
	note       atomic.Pointer[note] // nil while nobody watches the counts
	warmup     warmup
	handshake  handshake
}

// Weight is the server's share of new connections; 0 means none.
func (r *Realserver) Weight() int { return int(r.weight.Load()) }

// Active is the number of connections in a state that IPVS counts as active:
// established or opening (tcp_state_active_table, ip_vs_proto_tcp.c).
func (r *Realserver) Active() int { return int(r.active.Load()) }

// Inactive is the number of all other connections, UDP included.
func (r *Realserver) Inactive() int { return int(r.inactive.Load()) }

// Thresholds are the numbers of connections at which the server is closed to
// new ones and opened again; 0 stands for none and for three quarters of the
// upper one.
func (r *Realserver) Thresholds() (upper, lower int) {
	return int(r.upper.Load()), int(r.lower.Load())
}

// Removed reports that the server is no longer wanted and only finishes the
// connections it has.
func (r *Realserver) Removed() bool { return r.removed.Load() }

// Opened counts a new connection, which begins inactive as in IPVS, and closes
// the server to further ones when it has reached its upper threshold
// (ip_vs_bind_dest in ip_vs_conn.c).
func (r *Realserver) Opened() {
	r.inactive.Add(1)
	if upper := r.upper.Load(); upper != 0 && r.connections() >= upper {
		r.overload.Store(true)
	}
	r.note.Load().set()
}

// Activated counts a connection over from inactive to active.
func (r *Realserver) Activated() {
	r.inactive.Add(-1)
	r.active.Add(1)
	r.note.Load().set()
}

// Deactivated counts a connection over from active to inactive.
func (r *Realserver) Deactivated() {
	r.active.Add(-1)
	r.inactive.Add(1)
	r.note.Load().set()
}

// Closed takes a connection out of the count it was in, and opens the server to
// new ones when it has fallen below its lower threshold (ip_vs_unbind_dest in
// ip_vs_conn.c).
func (r *Realserver) Closed(active bool) {
	if active {
		r.active.Add(-1)
	} else {
		r.inactive.Add(-1)
	}
	if r.overload.Load() {
		n, upper, lower := r.connections(), r.upper.Load(), r.lower.Load()
		if lower != 0 && n < lower || lower == 0 && n*4 < upper*3 {
			r.overload.Store(false)
		}
	}
	r.note.Load().set()
}

func (r *Realserver) connections() int32 { return r.active.Load() + r.inactive.Load() }

// set brings the server to its wanted state and reports whether that changed
// anything, as an edit that the scheduler is told of in the kernel. Raising or removing the upper threshold
// opens an overloaded server (__ip_vs_update_dest in ip_vs_ctl.c).
func (r *Realserver) set(want RealserverSpec) bool {
	weight, upper := int32(want.Weight), int32(want.Upper)
	changed := r.weight.Swap(weight) != weight
	if weight != 0 {
		r.lastWeight.Store(weight)
	}
	before := r.upper.Swap(upper)
	if upper == 0 || upper > before {
		r.overload.Store(false)
	}
	changed = changed || upper != before
	changed = r.lower.Swap(int32(want.Lower)) != int32(want.Lower) || changed
	return r.removed.Swap(false) || changed
}

// retire takes the server out of service; its connections go on.
func (r *Realserver) retire() {
	r.weight.Store(0)
	r.removed.Store(true)
}

// eligible reports whether the server may have new connections.
func (r *Realserver) eligible() bool { return r.weight.Load() > 0 && !r.overload.Load() }

func (r *Realserver) overloaded() bool { return r.overload.Load() }

func (r *Realserver) lastNonZeroWeight() int { return int(r.lastWeight.Load()) }

// overhead is IPVS's cost of a server: an active connection weighs as much as
// 256 inactive ones (ip_vs_dest_conn_overhead in include/net/ip_vs.h).
func (r *Realserver) overhead() int64 {
	return int64(r.active.Load())*256 + int64(r.inactive.Load())
}
