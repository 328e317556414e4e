package dataplane

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"lvsnat/conntrack"
	"lvsnat/dataplane/packet"
	"lvsnat/scheduler"
)

// Options are what New needs.
type Options struct {
	Workers     int                // at least 1
	Gather      bool               // may one thread carry several workers, when that serves better?
	Connections int                // hard cap of all tables together, shared out evenly
	Profile     conntrack.Profile  // the rules for TCP connections
	Timeouts    conntrack.Timeouts // of idle connections, by state; the profile's
	Seed        uint64             // secret that keys the hashes; another at each start
	Placement   uint32             // seed of packet.Owner, the same as the rings' fanout program has
	Random      func() uint32      // uniform, for schedulers that choose at random; called concurrently. nil: math/rand/v2
	Now         func() int64       // monotonic clock, ns
	Resolver    Resolver           // finds link addresses
	Prepare     func()             // called, when not nil, by each worker's thread before it begins
	Drained     func()             // called, when not nil, after realservers that were removed have lost their last connection
}

// A Dataplane is the director's packet path. All methods may be called
// concurrently, before and while it runs.
type Dataplane struct {
	services scheduler.Set
	network  atomic.Pointer[network]
	clients  *clients
	workers  []*worker
	threads  []*thread    // by worker
	group    atomic.Int32 // how many workers are carried by one thread
	gathers  bool
	now      func() int64
	prepare  func()
	drained  func()

	// moving is held while counters move from workers to retired, so that no
	// reading misses them on their way.
	moving sync.RWMutex

	mu      sync.Mutex
	retired map[scheduler.Key]Traffic // guarded by mu; of realservers whose IDs were reclaimed
}

// New makes a dataplane that does not run yet.
func New(o Options) (*Dataplane, error) {
	if o.Workers < 1 {
		return nil, fmt.Errorf("dataplane: %d workers, need at least 1", o.Workers)
	}
	if o.Connections < o.Workers {
		return nil, fmt.Errorf("dataplane: room for %d connections is not enough for %d workers", o.Connections, o.Workers)
	}
	d := &Dataplane{
		now:     o.Now,
		gathers: o.Gather && o.Workers > 1,
		prepare: o.Prepare,
		drained: o.Drained,
		retired: make(map[scheduler.Key]Traffic),
		clients: newClients(o.Seed, o.Now()),
	}
	d.services.Now = o.Now
	d.services.Random = o.Random
	if o.Random == nil {
		d.services.Random = rand.Uint32
	}
	d.network.Store(compile(&Network{}))
	for i := range o.Workers {
		w, err := newWorker(i, d, o)
		if err != nil {
			d.close()
			return nil, err
		}
		d.workers = append(d.workers, w)
		d.threads = append(d.threads, newThread(w))
	}
	d.group.Store(1)
	connectInboxes(d.workers)
	return d, nil
}

// Attach gives a worker its ports, one or two by port number, and the waiters of
// the groups of workers that begin with it, see [GroupsOf]. It is called before
// Run and again when a NIC was lost and opened anew; when it has returned for
// all workers, none uses what it had before.
func (d *Dataplane) Attach(ctx context.Context, id int, ports []Port, waiters []Waiter) error {
	return d.workers[id].do(ctx, func(w *worker) { w.attach(ports, waiters) })
}

// Run runs the workers until ctx ends. It returns when all have stopped, and
// the connection tables are gone then. It is called once.
func (d *Dataplane) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, d.rouse)
	defer stop()
	for _, w := range d.workers {
		w.mailbox.begin()
	}
	var running sync.WaitGroup
	for _, t := range d.threads {
		running.Go(func() { t.run(ctx) })
	}
	running.Go(func() { d.tidy(ctx) })
	if d.gathers {
		running.Go(func() { newGatherer(d).run(ctx) })
	}
	running.Wait()
	for _, w := range d.workers {
		w.mailbox.end()
	}
	return d.close()
}

func (d *Dataplane) close() error {
	var errs []error
	for _, w := range d.workers {
		errs = append(errs, w.table.Close())
	}
	return errors.Join(errs...)
}

// SetServices makes the wanted services the ones in force. Connections go on
// whatever changes: each keeps its realserver until it ends. On an error
// nothing has changed.
func (d *Dataplane) SetServices(wanted []scheduler.ServiceSpec) error {
	return d.services.Apply(wanted)
}

// Services returns the services in force and the realservers known, removed
// ones that still have connections included.
func (d *Dataplane) Services() *scheduler.Snapshot {
	return d.services.Snapshot()
}

// SetTimeouts changes how long idle connections live, the open ones included.
func (d *Dataplane) SetTimeouts(ctx context.Context, t conntrack.Timeouts) error {
	return d.each(ctx, func(w *worker) {
		w.table.SetTimeouts(t)
	})
}

// SetNetwork tells the dataplane of changed links, addresses or routes. The
// value is the dataplane's from then on.
func (d *Dataplane) SetNetwork(n *Network) {
	d.network.Store(compile(n))
}

// SetNeighbour answers Resolver.Resolve: the neighbour's link address, or with
// ok false that it does not answer. It returns early, with the neighbour
// unchanged in some workers, only when ctx ends.
func (d *Dataplane) SetNeighbour(ctx context.Context, n Neighbour, mac packet.MAC, ok bool) error {
	return d.each(ctx, func(w *worker) { w.learn(n, mac, ok) })
}

// each runs f in all workers, one after the other.
func (d *Dataplane) each(ctx context.Context, f func(*worker)) error {
	for _, w := range d.workers {
		if err := w.do(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// tidyEvery is how soon after its last connection a removed realserver is
// forgotten.
const tidyEvery = time.Second

// tidy forgets what is no longer needed: clients that have not come again,
// persistence that has expired, and the counters of removed realservers that have finished.
func (d *Dataplane) tidy(ctx context.Context) {
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		d.clients.age(d.now())
		for _, service := range d.services.Snapshot().Services() {
			service.Sweep(d.now())
		}
		if d.services.Snapshot().Finished() && d.forgetFinished(ctx) && d.drained != nil {
			d.drained()
		}
	}
}

// forgetFinished reports whether it forgot a realserver.
func (d *Dataplane) forgetFinished(ctx context.Context) bool {
	// Once each worker has run a call after the removal, none can still be
	// between picking one of these servers and counting the connection.
	if d.each(ctx, func(*worker) {}) != nil {
		return false
	}
	d.moving.Lock()
	defer d.moving.Unlock()
	forgotten := false
	d.services.Reclaim(func(rs *scheduler.Realserver) bool {
		var total Traffic
		if d.each(ctx, func(w *worker) { total.Add(w.takeTraffic(rs.ID)) }) != nil {
			return false
		}
		d.mu.Lock()
		t := d.retired[rs.Service]
		t.Add(total)
		d.retired[rs.Service] = t
		d.mu.Unlock()
		forgotten = true
		return true
	})
	return forgotten
}
