package scheduler

import "time"

const (
	// maxLocality is how many virtual addresses lblc and lblcr remember.
	maxLocality = 1024 * 16

	// localityIdle is how long one that is not used is remembered
	// (sysctl lblc_expiration and lblcr_expiration).
	localityIdle = int64(24 * time.Hour)

	// localityShort is the same when there are too many (ENTRY_TIMEOUT).
	localityShort = int64(6 * time.Minute)

	// localityCheck is how often old ones are looked for (CHECK_EXPIRE_INTERVAL).
	localityCheck = int64(time.Minute)
)

// A memory keeps something for each virtual address, and forgets what is not
// used. The zero value is empty and ready.
type memory[T any] struct {
	places    map[uint32]*place[T]
	nextCheck int64 // ns
}

type place[T any] struct {
	value T
	used  int64 // ns
}

// at returns what is kept for an address, the zero value at first. The pointer
// holds until the next call.
func (m *memory[T]) at(addr uint32, now int64) *T {
	m.forget(now)
	if m.places == nil {
		m.places = make(map[uint32]*place[T])
	}
	p := m.places[addr]
	if p == nil {
		p = new(place[T])
		m.places[addr] = p
	}
	p.used = now
	return &p.value
}

func (m *memory[T]) forget(now int64) {
	if now < m.nextCheck {
		return
	}
	m.nextCheck = now + localityCheck
	idle := localityIdle
	if len(m.places) > maxLocality {
		idle = localityShort
	}
	for addr, p := range m.places {
		if now-p.used > idle {
			delete(m.places, addr)
		}
	}
}

// firstLeast returns the eligible server with the least overhead for its
// weight, the first of equals, or nil.
func firstLeast(servers []*Realserver, now int64) *Realserver {
	var least *Realserver
	lowest := unavailable
	for _, rs := range servers {
		if !rs.eligible() {
			continue
		}
		if c := weightedLeastConnection(rs, now); lowest.above(c) {
			least, lowest = rs, c
		}
	}
	return least
}

// crowded reports whether a server has more active connections than its weight
// while another one is less than half full.
func crowded(rs *Realserver, servers []*Realserver) bool {
	if rs.Active() <= rs.Weight() {
		return false
	}
	for _, other := range servers {
		if other.Active()*2 < other.Weight() {
			return true
		}
	}
	return false
}
