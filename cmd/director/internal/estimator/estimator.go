// Package estimator keeps what ipvsadm shows of traffic beyond plain counters:
// rates, and counts since an operator has zeroed them.
//
// Rates are computed as the kernel's estimator does (net/netfilter/ipvs/
// ip_vs_est.c): every two seconds each rate moves by a quarter of what it is
// off, in fixed point. Zeroing remembers where the counters stood
// (ip_vs_zero_stats in ip_vs_ctl.c), so that nobody who reads the counters
// themselves, as Prometheus does, sees them fall.
package estimator

import (
	"maps"
	"sync"
	"time"

	"lvsnat/dataplane"
	"lvsnat/scheduler"
)

// Interval is the time between two calls of Sample. The arithmetic depends on
// it.
const Interval = 2 * time.Second

// A Rate is traffic per second, as ipvsadm --rate shows it.
type Rate struct {
	Connections  uint64
	RequestPkts  uint64
	ReplyPkts    uint64
	RequestBytes uint64
	ReplyBytes   uint64
}

// Counts are the traffic since the last zeroing, and its present rate.
type Counts struct {
	Traffic dataplane.Traffic
	Rate    Rate
}

// A Name names a service, or a realserver of it when Addr is not 0. Addresses
// and ports are in host order.
type Name struct {
	Service scheduler.Key
	Addr    uint32
	Port    uint16
}

// An Estimator follows the counters of all services and realservers. The zero
// value is ready to use. All methods may be called concurrently.
type Estimator struct {
	mu      sync.Mutex
	entries map[Name]entry // guarded by mu
}

// An entry is what is remembered of one service or realserver.
type entry struct {
	last  dataplane.Traffic // counters at the last sample
	zero  dataplane.Traffic // counters at the last zeroing
	rates rates
}

// rates are in fixed point: connections and packets a second in units of
// 1/1024, bytes a second in units of 1/32.
type rates struct{ connections, requestPkts, replyPkts, requestBytes, replyBytes uint64 }

// Sample takes in the counters. It is to be called once every Interval. What is
// not in stats is forgotten.
func (e *Estimator) Sample(stats []dataplane.ServiceStats) {
	e.mu.Lock()
	defer e.mu.Unlock()
	known := make(map[Name]entry, len(e.entries))
	each(stats, func(name Name, t dataplane.Traffic) {
		known[name] = e.entries[name].sampled(t)
	})
	e.entries = known
}

// sampled is the entry after another interval.
func (n entry) sampled(t dataplane.Traffic) entry {
	if fallen(n.last, t) {
		n = entry{}
	}
	// Over two seconds, a count shifted by 9 is a rate shifted by 10.
	n.rates.connections = nearer(n.rates.connections, (t.Connections-n.last.Connections)<<9)
	n.rates.requestPkts = nearer(n.rates.requestPkts, (t.RequestPkts-n.last.RequestPkts)<<9)
	n.rates.replyPkts = nearer(n.rates.replyPkts, (t.ReplyPkts-n.last.ReplyPkts)<<9)
	n.rates.requestBytes = nearer(n.rates.requestBytes, (t.RequestBytes-n.last.RequestBytes)<<4)
	n.rates.replyBytes = nearer(n.rates.replyBytes, (t.ReplyBytes-n.last.ReplyBytes)<<4)
	n.last = t
	return n
}

// nearer moves a rate by a quarter of its distance from the last interval's.
// The shift of a negative number rounds down, as the kernel's does.
func nearer(rate, now uint64) uint64 { return rate + uint64((int64(now)-int64(rate))>>2) }

// Zero makes counts and rates begin anew: those of the services named and their
// realservers, or all when none is named.
func (e *Estimator) Zero(stats []dataplane.ServiceStats, services ...scheduler.Key) {
	chosen := make(map[scheduler.Key]bool, len(services))
	for _, key := range services {
		chosen[key] = true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	next := maps.Clone(e.entries)
	if next == nil {
		next = make(map[Name]entry)
	}
	each(stats, func(name Name, t dataplane.Traffic) {
		if len(chosen) == 0 || chosen[name.Service] {
			next[name] = entry{last: t, zero: t}
		}
	})
	e.entries = next
}

// Read returns the counts of all services and realservers in stats.
func (e *Estimator) Read(stats []dataplane.ServiceStats) map[Name]Counts {
	e.mu.Lock()
	defer e.mu.Unlock()
	counts := make(map[Name]Counts, len(e.entries))
	each(stats, func(name Name, t dataplane.Traffic) {
		n := e.entries[name]
		counts[name] = Counts{Traffic: minus(t, n.zero), Rate: n.rates.rounded()}
	})
	return counts
}

// rounded is the rate in whole units (ip_vs_read_estimator).
func (r rates) rounded() Rate {
	return Rate{
		Connections:  (r.connections + 0x1ff) >> 10,
		RequestPkts:  (r.requestPkts + 0x1ff) >> 10,
		ReplyPkts:    (r.replyPkts + 0x1ff) >> 10,
		RequestBytes: (r.requestBytes + 0xf) >> 5,
		ReplyBytes:   (r.replyBytes + 0xf) >> 5,
	}
}

// each calls do for every service and realserver, removed ones included: a
// removed server keeps its identity in the scheduler.Set, so names are unique.
func each(stats []dataplane.ServiceStats, do func(Name, dataplane.Traffic)) {
	for _, service := range stats {
		do(Name{Service: service.Key}, service.Traffic)
		for _, rs := range service.Realservers {
			do(Name{Service: service.Key, Addr: rs.Addr, Port: rs.Port}, rs.Traffic)
		}
	}
}

// fallen reports that a counter is lower than before: it is another realserver's
// with the same name, which begins anew.
func fallen(before, now dataplane.Traffic) bool {
	return now.Connections < before.Connections || now.RequestPkts < before.RequestPkts || now.ReplyPkts < before.ReplyPkts ||
		now.RequestBytes < before.RequestBytes || now.ReplyBytes < before.ReplyBytes
}

// minus is what was counted since zero.
func minus(t, zero dataplane.Traffic) dataplane.Traffic {
	if fallen(zero, t) {
		return t
	}
	return dataplane.Traffic{
		Connections:  t.Connections - zero.Connections,
		RequestPkts:  t.RequestPkts - zero.RequestPkts,
		RequestBytes: t.RequestBytes - zero.RequestBytes,
		ReplyPkts:    t.ReplyPkts - zero.ReplyPkts,
		ReplyBytes:   t.ReplyBytes - zero.ReplyBytes,
	}
}
