package daemon

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lvsnat/cmd/director/internal/announce"
	"lvsnat/cmd/director/internal/buildinfo"
	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/control"
	"lvsnat/cmd/director/internal/estimator"
	"lvsnat/cmd/director/internal/metrics"
	"lvsnat/cmd/director/internal/network"
	"lvsnat/conntrack"
	"lvsnat/dataplane"
	"lvsnat/dataplane/afpacket"
)

// Options are what Run needs.
type Options struct {
	File     string // the configuration; read at the start and by each reload
	StateDir string // for the lock and the control socket; made when there is none
	Build    buildinfo.Info
	Log      *slog.Logger
	Notifier Notifier
	Hangups  <-chan os.Signal // each one asks for a reload
	Ready    func()           // called once packets are forwarded
}

// A director is one that runs, or is about to.
type director struct {
	Options
	started   time.Time
	workers   int
	nics      []string // by port number
	watcher   *network.Watcher
	plane     *dataplane.Dataplane
	announcer *announce.Announcer
	estimator estimator.Estimator
	control   *control.Server
	metrics   *metrics.Server // nil: none wanted

	ordinary sync.Once // for telling that workers have no priority

	changed chan struct{} // the box or the set of connections' realservers has changed
	failed  chan error    // the first is why the director ends
	undo    []func() error

	seen  atomic.Pointer[network.State] // the box, as the watcher has seen it last
	shown atomic.Pointer[view]

	// mu is held by whoever changes something, for as long as that takes: a
	// transaction of the guard waits for the kernel. Whoever only looks reads
	// shown.
	mu          sync.Mutex
	config      *config.Config // guarded by mu; what is in force
	revision    uint64         // guarded by mu; counts what was put in force
	loaded      time.Time      // guarded by mu; when it was read
	reloadError error          // guarded by mu; of the last reload
	restart     []string       // guarded by mu; keys that the last reload could not apply
	rings       rings          // guarded by mu
	guard       guardian       // guarded by mu
	virtual     []netip.Prefix // guarded by mu; what the rings were told last

	localServers []netip.Addr // guarded by mu; realservers that are the box itself, which was warned of
}

// Run runs a director until ctx ends, which is no error, or until something
// without which it cannot go on fails.
func Run(ctx context.Context, o Options) (err error) {
	cfg, err := config.Load(o.File)
	if err != nil {
		return err
	}
	if err := checkCapabilities(); err != nil {
		return err
	}
	d := newDirector(o, cfg)
	defer func() { err = errors.Join(err, d.stop()) }()
	for _, step := range []func(context.Context) error{d.setUp, d.start} {
		if err := step(ctx); err != nil {
			if ctx.Err() != nil {
				return nil // told to stop before it was up
			}
			return err
		}
	}
	d.tell(d.Notifier.ready())
	d.Ready()
	select {
	case <-ctx.Done():
	case err = <-d.failed:
	}
	d.tell(d.Notifier.stopping())
	return err
}

func newDirector(o Options, cfg *config.Config) *director {
	now := time.Now()
	d := &director{
		Options: o,
		started: now,
		workers: cfg.Workers,
		nics:    []string{cfg.VIPNIC},
		changed: make(chan struct{}, 1),
		failed:  make(chan error, 1),
		config:  cfg,
		loaded:  now,
	}
	if d.workers == 0 {
		d.workers = runtime.NumCPU()
	}
	if cfg.DIPNIC != cfg.VIPNIC {
		d.nics = append(d.nics, cfg.DIPNIC)
	}
	return d
}

// setUp opens everything. What it has opened when it fails, stop closes.
func (d *director) setUp(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	lock, err := lock(d.StateDir)
	if err != nil {
		return err
	}
	d.later(lock.release)
	if err := d.watch(); err != nil {
		return err
	}
	if err := d.makePlane(); err != nil {
		return err
	}
	d.later(d.rings.close)
	if err := d.rings.open(ctx, d.box().NICs); err != nil {
		return err
	}
	if err := d.putUpGuard(); err != nil {
		return err
	}
	d.announcer = announce.New(d.Log, time.Now)
	d.later(func() error { d.announcer.Close(); return nil })
	if err := d.followLocked(ctx); err != nil {
		return err
	}
	d.showLocked()
	return d.listen()
}

// watch begins to watch the box's network.
func (d *director) watch() error {
	var err error
	if d.watcher, err = network.New(d.nics, d.Log); err != nil {
		return err
	}
	d.later(func() error { d.watcher.Close(); return nil })
	state := d.watcher.State()
	d.seen.Store(&state)
	for _, nic := range state.NICs {
		if nic.Index == 0 {
			return fmt.Errorf("there is no network interface %s: see vip_nic and dip_nic in %s", nic.Name, d.File)
		}
		if !nic.Up {
			d.Log.Warn("the NIC is down or has no carrier", "nic", nic.Name)
		}
	}
	return nil
}

// makePlane makes the dataplane with the wanted services.
func (d *director) makePlane() error {
	var secret [12]byte
	rand.Read(secret[:]) // never fails: it ends the process instead
	placement := binary.NativeEndian.Uint32(secret[8:])
	base := time.Now()
	plane, err := dataplane.New(dataplane.Options{
		Workers:     d.workers,
		Gather:      d.config.Workers == 0,
		Connections: d.config.Connections,
		Profile:     d.config.TCPProfile,
		Timeouts:    timeoutsOf(d.config),
		Seed:        binary.NativeEndian.Uint64(secret[:8]),
		Placement:   placement,
		Now:         func() int64 { return int64(time.Since(base)) },
		Resolver:    d.watcher,
		Prepare:     d.preferThread,
		Drained:     d.wake,
	})
	if err != nil {
		return err
	}
	d.plane = plane
	if err := d.plane.SetServices(d.config.Services); err != nil {
		return err
	}
	d.virtual = virtualAddresses(plane.Services())
	d.rings = rings{plane: plane, placement: afpacket.Placement{Workers: d.workers, Seed: placement, Virtual: d.virtual}}
	return nil
}

func timeoutsOf(c *config.Config) conntrack.Timeouts {
	t := c.TCPProfile.Timeouts()
	t.Set(c.Timeouts.TCP, c.Timeouts.TCPFIN, c.Timeouts.UDP)
	t.SetOpening(c.Timeouts.TCPSYN)
	return t
}

// listen opens the control socket and the metrics' port.
func (d *director) listen() error {
	socket, err := control.Listen(d.StateDir)
	if err != nil {
		return err
	}
	d.control = control.NewServer(d, d.Log)
	d.serve(d.control, socket)
	if d.config.Metrics == "" {
		return nil
	}
	port, err := metrics.Listen(d.config.Metrics)
	if err != nil {
		return err
	}
	d.metrics = metrics.NewServer(metrics.NewCollector(d), d.Log)
	d.serve(d.metrics, port)
	return nil
}

// start sets everything going. It returns when packets are forwarded.
func (d *director) start(ctx context.Context) error {
	// A worker gives its place in Go's runtime up only to sleep. With one place
	// besides the workers' own, two workers forwarded 0.93 of a flood and served
	// 0.93 of the requests on 50 connections; more than these gain nothing.
	if n := 2*d.workers + 2; runtime.GOMAXPROCS(0) < n {
		runtime.GOMAXPROCS(n)
	}
	told := &told{Dataplane: d.plane, network: make(chan struct{})}
	d.launch(func(ctx context.Context) error { return d.watcher.Run(ctx, told, d.boxChanged) })
	if err := d.wait(ctx, told.network); err != nil {
		return err
	}
	d.launch(d.plane.Run)
	d.launch(d.follow)
	if guard := d.guard.Guard; guard.Supported() == nil {
		d.launch(func(ctx context.Context) error { return d.watchGuard(ctx, guard) })
	}
	d.launch(func(ctx context.Context) error { d.announcer.Run(ctx); return nil })
	d.launch(d.estimate)
	d.launch(d.obeyHangups)
	// Workers answer between two batches, so when they do they are running.
	_, err := d.plane.Stats(ctx)
	return err
}

// told passes on what the watcher sees, and tells when the dataplane knows the
// network for the first time.
type told struct {
	*dataplane.Dataplane
	network chan struct{}
	once    sync.Once
}

// SetNetwork passes a network on.
func (t *told) SetNetwork(n *dataplane.Network) {
	t.Dataplane.SetNetwork(n)
	t.once.Do(func() { close(t.network) })
}

// wait waits until done is closed, or for the end.
func (d *director) wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case err := <-d.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *director) tell(err error) {
	if err != nil {
		d.Log.Warn("the service manager was not told", "err", err)
	}
}

// later says what has to be undone.
func (d *director) later(undo func() error) { d.undo = append(d.undo, undo) }

// stop undoes all in reverse order.
func (d *director) stop() error {
	var errs []error
	for _, undo := range slices.Backward(d.undo) {
		errs = append(errs, undo())
	}
	return errors.Join(errs...)
}

// launch runs f beside everything else until it is undone. When f fails before
// that, the director ends.
func (d *director) launch(f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := f(ctx); err != nil && ctx.Err() == nil {
			d.fail(err)
		}
	}()
	d.later(func() error { cancel(); <-ended; return nil })
}

// fail ends the director. Only the first reason counts.
func (d *director) fail(err error) {
	select {
	case d.failed <- err:
	default:
	}
}
