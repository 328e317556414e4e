package dataplane

import (
	"context"
	"time"

	"lvsnat/conntrack"
	"lvsnat/dataplane/packet"
	"lvsnat/scheduler"
)

// Stats is a reading of all counters. Counters only grow while the process
// lives.
type Stats struct {
	Workers  []WorkerStats
	Threads  int            // that carry the workers; fewer where that serves better
	Services []ServiceStats // in the order of the wanted state
	Total    Traffic        // of all services, those removed since the start included
}

// WorkerStats are the counters of one worker.
type WorkerStats struct {
	Verdicts    [NumVerdicts]uint64
	QueuedSent  uint64 // of the frames with verdict Queued, those that went out
	QueuedLost  uint64 // and those whose neighbour did not answer
	Evicted     uint64 // half-open or closing connections that made way for new ones
	Connections int    // entries in the table now
	HalfOpen    int    // of these, opened but not answered or not established
	Capacity    int    // the table's hard cap
	Flood       FloodStage
	Admitted    int64 // in FloodShedding: connections of unknown clients a second
	Ports       []PortStats
}

// PortStats are the counters of one NIC's rings of one worker.
type PortStats struct {
	Receiver packet.ReceiverStats
	Sender   packet.SenderStats
}

// Traffic counts connections, packets and bytes as IPVS does: bytes are those
// of the IP datagram, requests are "in", replies are "out".
type Traffic struct {
	Connections  uint64
	RequestPkts  uint64
	RequestBytes uint64
	ReplyPkts    uint64
	ReplyBytes   uint64
}

// Add adds u to t.
func (t *Traffic) Add(u Traffic) {
	t.Connections += u.Connections
	t.RequestPkts += u.RequestPkts
	t.RequestBytes += u.RequestBytes
	t.ReplyPkts += u.ReplyPkts
	t.ReplyBytes += u.ReplyBytes
}

// ServiceStats are a service's counters and those of its realservers.
type ServiceStats struct {
	scheduler.Key
	Scheduler   string
	Flags       scheduler.Flags
	Persistence time.Duration // 0: not persistent
	Netmask     uint32        // of persistence, host order
	OnePacket   bool
	Traffic     Traffic // removed realservers included
	Realservers []RealserverStats
}

// RealserverStats are the counters of one realserver of one service.
type RealserverStats struct {
	Addr     uint32 // host order
	Port     uint16
	Weight   int
	Active   int  // connections established or opening
	Inactive int  // all others
	Removed  bool // no longer wanted, finishing its connections
	Traffic  Traffic

	Persistent int // clients bound to it by persistence
	Upper      int // thresholds, 0: none
	Lower      int

	Share     float64       // of the weight, what counts at the moment: less while the server starts slowly
	Handshake time.Duration // smoothed time from a connection's first packet to its answer; 0: none was measured
}

// A Connection is one entry of the table, as shown to an operator. Addresses
// and ports are in host order. A template of persistence is listed as a
// connection whose client port is 0, as IPVS does; its worker is -1, for it is
// shared by all.
type Connection struct {
	Protocol    uint8
	State       string // IPVS's name of the state
	ClientAddr  uint32
	VirtualAddr uint32
	RealAddr    uint32
	ClientPort  uint16
	VirtualPort uint16
	RealPort    uint16
	ExpiresMs   int64 // until the entry goes if no packet comes
	Worker      int
}

// Stats reads all counters. It asks each worker, between two batches, for a
// copy of its own, so that counting costs the packet path nothing. It fails
// only when ctx ends first or the dataplane has stopped.
func (d *Dataplane) Stats(ctx context.Context) (Stats, error) {
	d.moving.RLock()
	defer d.moving.RUnlock()
	s := Stats{Workers: make([]WorkerStats, len(d.workers)), Threads: d.threadsOf(d.groups())}
	var traffic []Traffic
	for i, w := range d.workers {
		err := w.do(ctx, func(w *worker) {
			s.Workers[i] = w.stats()
			if n := len(w.realservers); n > len(traffic) {
				traffic = append(traffic, make([]Traffic, n-len(traffic))...)
			}
			for id := range w.realservers {
				traffic[id].Add(w.realservers[id].traffic)
			}
		})
		if err != nil {
			return Stats{}, err
		}
	}
	s.Services = d.serviceStats(traffic)
	s.Total = d.total(traffic)
	return s, nil
}

func (w *worker) stats() WorkerStats {
	s := WorkerStats{
		Verdicts:    w.verdicts,
		QueuedSent:  w.pending.sent,
		QueuedLost:  w.pending.lost,
		Evicted:     w.table.Evicted(),
		Connections: w.table.Len(),
		HalfOpen:    w.table.HalfOpen(),
		Capacity:    w.table.Capacity(),
		Flood:       w.admission.stage(w.now),
		Ports:       make([]PortStats, len(w.ports)),
	}
	if s.Flood == FloodShedding {
		s.Admitted = w.admission.limit
	}
	for i := range w.ports {
		s.Ports[i] = w.portStats(i)
	}
	return s
}

// portStats reads the counters of a port's rings and of those it had before.
func (w *worker) portStats(i int) PortStats {
	now := PortStats{Receiver: w.ports[i].Receiver.Stats(), Sender: w.ports[i].Sender.Stats()}
	if i < len(w.replaced) {
		now.add(w.replaced[i])
	}
	return now
}

func (s *PortStats) add(o PortStats) {
	s.Receiver.Received += o.Receiver.Received
	s.Receiver.Dropped += o.Receiver.Dropped
	s.Receiver.Truncated += o.Receiver.Truncated
	s.Sender.Sent += o.Sender.Sent
	s.Sender.Dropped += o.Sender.Dropped
}

// serviceStats puts the traffic of each realserver ID where it belongs.
func (d *Dataplane) serviceStats(traffic []Traffic) []ServiceStats {
	snapshot := d.services.Snapshot()
	byService := make(map[scheduler.Key]*ServiceStats)
	list := make([]ServiceStats, len(snapshot.Services()))
	d.mu.Lock()
	for i, service := range snapshot.Services() {
		list[i] = ServiceStats{
			Key: service.Key, Scheduler: service.Scheduler(), Flags: service.Flags(),
			OnePacket: service.OnePacket(), Traffic: d.retired[service.Key],
		}
		list[i].Persistence, list[i].Netmask = service.Persistence()
		byService[service.Key] = &list[i]
	}
	d.mu.Unlock()
	for id, rs := range snapshot.Dests() {
		if rs == nil || byService[rs.Service] == nil {
			continue
		}
		service := byService[rs.Service]
		stats := RealserverStats{
			Addr: rs.Addr, Port: rs.Port,
			Weight: rs.Weight(), Active: rs.Active(), Inactive: rs.Inactive(), Removed: rs.Removed(),
			Share: rs.Share(d.now()), Handshake: rs.Handshake(),
		}
		stats.Upper, stats.Lower = rs.Thresholds()
		if s := snapshot.Service(rs.Service); s != nil {
			stats.Persistent = s.Persistent(rs.ID)
		}
		if id < len(traffic) {
			stats.Traffic = traffic[id]
		}
		service.Traffic.Add(stats.Traffic)
		service.Realservers = append(service.Realservers, stats)
	}
	return list
}

// total adds up the traffic of all realserver IDs and of those reclaimed.
func (d *Dataplane) total(traffic []Traffic) (total Traffic) {
	for _, t := range traffic {
		total.Add(t)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.retired {
		total.Add(t)
	}
	return total
}

// walkPiece is how many table places a worker looks at for a listing before it
// turns to packets again.
const walkPiece = 512

// Connections calls each for every connection, in no order, until it returns
// false. Connections that come or go during the walk may be left out. It fails
// only when ctx ends first or the dataplane has stopped.
func (d *Dataplane) Connections(ctx context.Context, each func(Connection) bool) error {
	piece := make([]Connection, 0, walkPiece)
	for _, w := range d.workers {
		for cursor, more := uint32(0), true; more; {
			piece = piece[:0]
			err := w.do(ctx, func(w *worker) {
				cursor, more = w.table.Walk(cursor, walkPiece, func(e *conntrack.Entry) {
					piece = append(piece, w.describe(e))
				})
			})
			if err != nil {
				return err
			}
			for _, c := range piece {
				if !each(c) {
					return nil
				}
			}
		}
	}
	d.templates(each)
	return nil
}

// templates calls each for the templates of all persistent services.
func (d *Dataplane) templates(each func(Connection) bool) {
	snapshot := d.services.Snapshot()
	for _, service := range snapshot.Services() {
		for _, t := range service.Templates(d.now()) {
			rs := snapshot.Dest(t.Dest)
			if rs == nil {
				continue
			}
			c := Connection{
				Protocol: service.Protocol, State: "NONE",
				ClientAddr:  t.ClientAddr,
				VirtualAddr: service.Addr, VirtualPort: templatePort(service),
				RealAddr: rs.Addr, RealPort: rs.Port,
				ExpiresMs: t.Expires.Milliseconds(), Worker: -1,
			}
			if t.Assured {
				c.State = "ASSURED"
			}
			if !each(c) {
				return
			}
		}
	}
}

// templatePort is the port that a template is listed with: that of its service,
// or 0 when it holds for more than one.
func templatePort(service *scheduler.Service) uint16 {
	if service.LastPort != 0 {
		return 0
	}
	return service.Port
}

func (w *worker) describe(e *conntrack.Entry) Connection {
	return Connection{
		Protocol:   e.Protocol,
		State:      e.State.String(),
		ClientAddr: e.ClientAddr, ClientPort: e.ClientPort,
		VirtualAddr: e.VirtualAddr, VirtualPort: e.VirtualPort,
		RealAddr: e.RealAddr, RealPort: e.RealPort,
		ExpiresMs: w.table.Expires(e, w.ticks).Milliseconds(),
		Worker:    w.id,
	}
}
