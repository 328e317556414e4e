package scheduler

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Set holds all services and realservers of a director. It is ready to use
// once Random and Now are set. All methods may be called concurrently.
type Set struct {
	// Random feeds the algorithms that choose at random: a uniform number. It
	// may be called concurrently.
	Random func() uint32

	// Now is the monotonic clock of Client.Now, in ns. It is asked when a
	// realserver joins a service with slow start. It may be called
	// concurrently.
	Now func() int64

	mu        sync.Mutex
	freeDests []uint32 // guarded by mu; IDs given back by Reclaim
	current   atomic.Pointer[Snapshot]
}

// A Snapshot is the set at one moment: immutable but for what a Service and a
// Realserver change themselves.
type Snapshot struct {
	services map[Key]*Service
	ordered  []*Service           // as in the wanted state
	ranges   rangeIndex[*Service] // those with more than one address or port
	virtual  networks             // addresses of services
	dests    []*Realserver        // by ID; nil where no server has the ID

	origins      map[Key]*Realserver     // a server by its own address, port and protocol
	originRanges rangeIndex[*Realserver] // those without a port of their own
}

var empty = &Snapshot{}

// Snapshot returns the state that was applied last. It never returns nil.
func (s *Set) Snapshot() *Snapshot {
	if snap := s.current.Load(); snap != nil {
		return snap
	}
	return empty
}

// Service returns the service of exactly that key, or nil.
func (s *Snapshot) Service(key Key) *Service { return s.services[key] }

// ServiceFor returns the service that serves a packet to that address and port:
// the one that has exactly these, or else the most specific of those that have
// them among others, or nil. The one with the fewest addresses is the most
// specific; of several with the same addresses it is the one with the fewest
// ports, a service for all ports coming last (ip_vs_service_find in
// ip_vs_ctl.c).
func (s *Snapshot) ServiceFor(key Key) *Service {
	if service := s.services[key]; service != nil {
		return service
	}
	return s.ranges.find(key.Addr, key.Port, key.Protocol)
}

// Services lists the services in the order of the wanted state. The slice is
// shared: read only.
func (s *Snapshot) Services() []*Service { return s.ordered }

// Virtual reports whether addr is a VIP.
func (s *Snapshot) Virtual(addr uint32) bool { return s.virtual.contain(addr) }

// Dest returns the realserver of that ID, or nil. Servers that were removed
// are found as long as connections hold them.
func (s *Snapshot) Dest(id uint32) *Realserver {
	if id < uint32(len(s.dests)) {
		return s.dests[id]
	}
	return nil
}

// Dests lists all realservers by ID, removed ones included; an unused ID's
// place is nil. The slice is shared: read only.
func (s *Snapshot) Dests() []*Realserver { return s.dests }

// Origin returns the realserver that sends from that address, port and
// protocol, or nil. It tells a service's reply from other traffic.
func (s *Snapshot) Origin(key Key) *Realserver {
	if rs := s.origins[key]; rs != nil {
		return rs
	}
	return s.originRanges.find(key.Addr, key.Port, key.Protocol)
}

// Apply makes the set hold exactly the wanted services. Nothing changes when
// it returns an error.
//
// What is in both states stays the same object, so its connections, counts and
// a scheduler's memory go on. A realserver that is no longer wanted keeps its
// connections until they end.
func (s *Set) Apply(wanted []ServiceSpec) error {
	schedulers, err := s.check(wanted)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.Snapshot()
	next := &Snapshot{
		services: make(map[Key]*Service, len(wanted)),
		dests:    slices.Clone(old.dests),
	}
	known := old.identities()
	for i, spec := range wanted {
		key := spec.Key()
		service := old.services[key]
		fresh := service == nil
		if fresh {
			service = &Service{Key: key}
		}
		s.update(service, fresh, spec, schedulers[i], known, next)
		next.services[key] = service
		next.ordered = append(next.ordered, service)
	}
	for _, service := range old.ordered {
		if next.services[service.Key] == nil {
			service.retire()
		}
	}
	next.index()
	s.current.Store(next)
	return nil
}

// update brings a service to its wanted state and enters its servers into
// next. A removed server that is wanted again comes back with its connections.
func (s *Set) update(service *Service, fresh bool, spec ServiceSpec, scheduler Scheduler, known map[identity]*Realserver, next *Snapshot) {
	changed := false
	servers := make([]*Realserver, 0, len(spec.Realservers))
	for _, want := range slices.Backward(spec.Realservers) {
		addr, port := hostOrder(want.Address.Addr()), want.Address.Port()
		rs := known[identity{service.Key, addr, port}]
		if rs == nil {
			rs = &Realserver{ID: s.takeDest(next), Addr: addr, Port: port, Service: service.Key}
			next.dests[rs.ID] = rs
		}
		joins := rs.Weight() == 0 && want.Weight > 0
		changed = rs.set(want) || changed
		s.startSlowly(rs, joins && !fresh, spec.SlowStart)
		servers = append(servers, rs)
	}
	service.mu.Lock()
	defer service.mu.Unlock()
	for _, rs := range service.servers {
		if !slices.Contains(servers, rs) {
			rs.retire()
		}
	}
	if service.schedulerName != spec.Scheduler || service.flags != spec.Flags || service.rotateTies != spec.RotateTies {
		service.scheduler, service.schedulerName = scheduler, spec.Scheduler
		service.flags, service.rotateTies = spec.Flags, spec.RotateTies
		changed = true
	}
	service.onePacket.Store(spec.OnePacket)
	service.setPersistence(spec.Persistence, cmp.Or(spec.Netmask, 0xffff_ffff))
	changed = changed || !slices.Equal(service.servers, servers)
	service.servers = servers
	if changed {
		service.tellScheduler()
	}
}

// startSlowly begins the warm-up of a server that joins a service, or brings
// another length of it to one that is warming. In a service that is new itself,
// at the director's start above all, nobody joins: with all servers new, none
// could take the load of another meanwhile.
func (s *Set) startSlowly(rs *Realserver, joins bool, length time.Duration) {
	switch {
	case length == 0:
		rs.warmup.end()
	case joins:
		rs.warmup.begin(s.Now(), int64(length))
	default:
		rs.warmup.length.Store(int64(length))
	}
}

// takeDest returns an unused ID and makes room for it in next.
func (s *Set) takeDest(next *Snapshot) uint32 {
	if n := len(s.freeDests); n > 0 {
		id := s.freeDests[n-1]
		s.freeDests = s.freeDests[:n-1]
		return id
	}
	next.dests = append(next.dests, nil)
	return uint32(len(next.dests) - 1)
}

// Finished reports whether a removed realserver has no connection left, and no
// client that is bound to it.
func (s *Snapshot) Finished() bool {
	return slices.ContainsFunc(s.dests, s.finished)
}

// finished reports it of one realserver. A template holds its realserver, as in
// IPVS (ip_vs_bind_dest): it must not lead to whoever has the ID next.
func (s *Snapshot) finished(rs *Realserver) bool {
	if rs == nil || !rs.Removed() || rs.Active()+rs.Inactive() > 0 {
		return false
	}
	service := s.services[rs.Service]
	return service == nil || service.Persistent(rs.ID) == 0
}

// Reclaim gives back the IDs of removed realservers that have finished, for which
// forget returns true. The caller makes sure that no worker still opens a
// connection to a server it picked before the removal.
func (s *Set) Reclaim(forget func(*Realserver) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.Snapshot()
	next := &Snapshot{services: old.services, ordered: old.ordered, dests: slices.Clone(old.dests)}
	for id, rs := range next.dests {
		if old.finished(rs) && forget(rs) {
			next.dests[id] = nil
			s.freeDests = append(s.freeDests, uint32(id))
		}
	}
	next.index()
	s.current.Store(next)
}

// index enters what the packet path looks up: ranges of services, the addresses
// of all services, those with nothing but old connections included, and the
// realservers' own ends.
func (s *Snapshot) index() {
	var virtual []Key
	var services []claim[*Service]
	for _, service := range s.ordered {
		virtual = append(virtual, service.Key)
		if service.exact() {
			continue
		}
		first, last := service.ports()
		services = append(services, claim[*Service]{subnet{service.Addr, service.Protocol}, service.mask(), first, last, service})
	}
	s.origins = make(map[Key]*Realserver, len(s.dests))
	var origins []claim[*Realserver]
	for _, rs := range s.dests {
		if rs == nil {
			continue
		}
		virtual = append(virtual, rs.Service)
		if rs.Port != 0 {
			s.origins[Key{Addr: rs.Addr, Port: rs.Port, Protocol: rs.Service.Protocol}] = rs
			continue
		}
		first, last := rs.Service.ports()
		origins = append(origins, claim[*Realserver]{subnet{rs.Addr, rs.Service.Protocol}, 0xffff_ffff, first, last, rs})
	}
	s.ranges, s.originRanges = newRangeIndex(services), newRangeIndex(origins)
	s.virtual = newNetworks(virtual)
}

// identity is what makes two realservers of two states the same one.
type identity struct {
	service Key
	addr    uint32
	port    uint16
}

func (s *Snapshot) identities() map[identity]*Realserver {
	known := make(map[identity]*Realserver, len(s.dests))
	for _, rs := range s.dests {
		if rs != nil {
			known[identity{rs.Service, rs.Addr, rs.Port}] = rs
		}
	}
	return known
}

// check refuses a wanted state that cannot be, and makes the schedulers.
func (s *Set) check(wanted []ServiceSpec) ([]Scheduler, error) {
	schedulers := make([]Scheduler, len(wanted))
	seen := make(map[Key]bool, len(wanted))
	for i, spec := range wanted {
		if err := checkService(spec); err != nil {
			return nil, fmt.Errorf("service %v: %w", spec.Address, err)
		}
		if seen[spec.Key()] {
			return nil, fmt.Errorf("service %v: listed twice", spec.Address)
		}
		seen[spec.Key()] = true
		var err error
		if schedulers[i], err = New(spec.Scheduler, Options{spec.Flags, spec.RotateTies, s.Random}); err != nil {
			return nil, fmt.Errorf("service %v: %w", spec.Address, err)
		}
	}
	return schedulers, cmp.Or(checkRanges(wanted), checkOnePacket(wanted))
}

func checkService(spec ServiceSpec) error {
	switch {
	case !spec.Address.Addr().Is4():
		return errors.New("not an IPv4 address")
	case spec.RotateTies && !slices.Contains(RotatesTies(), spec.Scheduler):
		return fmt.Errorf("the scheduler %s has no ties that could rotate: those of %v can", spec.Scheduler, RotatesTies())
	case spec.SlowStart < 0:
		return fmt.Errorf("slow start %v is below 0", spec.SlowStart)
	case spec.SlowStart != 0 && !slices.Contains(StartsSlowly(), spec.Scheduler):
		return fmt.Errorf("the scheduler %s knows no slow start: those of %v do", spec.Scheduler, StartsSlowly())
	case spec.Persistence < 0:
		return fmt.Errorf("persistence %v is below 0", spec.Persistence)
	case spec.Address.Prefix().Bits() < 32-MaxRangeBits:
		return fmt.Errorf("the range of addresses is wider than /%d", 32-MaxRangeBits)
	case spec.Address.AllPorts() && spec.Persistence == 0:
		return errors.New("a service for all ports must be persistent, or the connections of one client would scatter")
	case spec.OnePacket && spec.Protocol == protocolTCP:
		return errors.New("one-packet scheduling is for UDP: a TCP connection has more than one packet")
	case spec.OnePacket && spec.Address.AllPorts():
		return errors.New("one-packet scheduling needs a port: a reply's port tells which service it belongs to")
	}
	if spec.OnePacket && (spec.Address.ManyAddrs() || spec.Address.ManyPorts()) {
		if err := checkOnePacketRange(spec); err != nil {
			return err
		}
	}
	servers := make(map[netip.AddrPort]bool, len(spec.Realservers))
	for _, rs := range spec.Realservers {
		if err := checkRealserver(rs); err != nil {
			return fmt.Errorf("realserver %v: %w", rs.Address, err)
		}
		if rs.Address.Port() == 0 && !spec.Address.ManyPorts() {
			return fmt.Errorf("realserver %v: port 0 is for services with port 0 or a range of ports", rs.Address)
		}
		if servers[rs.Address] {
			return fmt.Errorf("realserver %v: listed twice", rs.Address)
		}
		servers[rs.Address] = true
	}
	return nil
}

func checkRealserver(rs RealserverSpec) error {
	switch {
	case !rs.Address.Addr().Is4():
		return errors.New("not an IPv4 address")
	case rs.Weight < 0 || rs.Weight > 65535:
		return fmt.Errorf("weight %d is not between 0 and 65535", rs.Weight)
	case rs.Upper < 0 || rs.Lower < 0 || rs.Upper != 0 && rs.Lower > rs.Upper:
		return fmt.Errorf("thresholds %d and %d: the lower must not be above the upper", rs.Upper, rs.Lower)
	}
	return nil
}

// protocolTCP is TCP's IANA number.
const protocolTCP = 6
