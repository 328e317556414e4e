package network

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"lvsnat/dataplane"
	"lvsnat/dataplane/packet"
)

// A Dataplane is told what the watcher sees. [dataplane.Dataplane] is one.
type Dataplane interface {
	SetNetwork(*dataplane.Network)
	SetNeighbour(ctx context.Context, n dataplane.Neighbour, mac packet.MAC, ok bool) error
}

// A Watcher follows the box's network. It is a [dataplane.Resolver]. It acts in
// the network namespace of the thread that called [New].
type Watcher struct {
	nics          []string
	log           *slog.Logger
	kernel        *netlink.Handle
	notifications *nl.NetlinkSocket
	questions     chan dataplane.Neighbour

	// The rest belongs to New and then to Run.
	dataplane  Dataplane
	state      State
	network    *dataplane.Network
	neighbours map[dataplane.Neighbour]neighbour // what the kernel's table holds on the director's NICs
	complained map[string]bool                   // errors that complain has logged
}

var _ dataplane.Resolver = (*Watcher)(nil)

// maxQuestions is how many neighbours may wait to be looked at. What is more is
// forgotten; the dataplane asks again within a second.
const maxQuestions = 1024

// New subscribes to the kernel's notifications and reads the box's network once.
// The NICs are named in order of their port numbers; one that does not exist is
// waited for.
func New(nics []string, log *slog.Logger) (*Watcher, error) {
	notifications, err := subscribe()
	if err != nil {
		return nil, err
	}
	kernel, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		notifications.Close()
		return nil, fmt.Errorf("network: netlink: %w", err)
	}
	w := &Watcher{
		nics:          slices.Clone(nics),
		log:           log,
		kernel:        kernel,
		notifications: notifications,
		questions:     make(chan dataplane.Neighbour, maxQuestions),
		neighbours:    make(map[dataplane.Neighbour]neighbour),
		complained:    make(map[string]bool),
	}
	state, routes, err := w.read()
	if err != nil {
		w.Close()
		return nil, err
	}
	w.state, w.network = state, state.network(routes)
	return w, nil
}

// State returns what New has read. Later states are given to Run's changed.
func (w *Watcher) State() State { return w.state }

// Close frees what New has opened. It is called once, after Run has returned or
// instead of it.
func (w *Watcher) Close() {
	w.notifications.Close()
	w.kernel.Close()
}

// Resolve asks for a neighbour. It never blocks.
func (w *Watcher) Resolve(n dataplane.Neighbour) {
	select {
	case w.questions <- n:
	default:
	}
}

// Run keeps the dataplane informed until ctx ends, or returns the error that
// keeps it from doing so. After each change of links or addresses it calls
// changed, when not nil, with what was and what is now: for rings that must be
// opened again, and for the guard and the announcements. The dataplane has been
// told then. Neighbours wait while changed runs.
func (w *Watcher) Run(ctx context.Context, d Dataplane, changed func(before, now State)) error {
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	// To close the socket is what ends a listener that waits for the kernel.
	defer context.AfterFunc(running, w.notifications.Close)()

	events := make(chan event, 64)
	listened := make(chan struct{})
	go func() {
		defer close(listened)
		stop(w.listen(running, events))
	}()

	w.dataplane = d
	d.SetNetwork(w.network)
	err := w.readNeighbours(running)
	if err == nil {
		err = w.follow(running, events, changed)
	}
	stop(err)
	<-listened
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(running)
}

// follow acts on notifications and questions until ctx ends or an error.
func (w *Watcher) follow(ctx context.Context, events <-chan event, changed func(before, now State)) error {
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case n := <-w.questions:
			err = w.resolve(ctx, n)
		case e := <-events:
			err = w.act(ctx, e, events, changed)
		}
		if err != nil {
			return err
		}
	}
}

// act takes in an event and all that have come with it, and then reads the box
// once if any of them asks for it.
func (w *Watcher) act(ctx context.Context, e event, more <-chan event, changed func(before, now State)) error {
	box, lost := false, false
	for {
		switch e.kind {
		case boxChanged:
			box = true
		case overrun:
			lost = true
		default:
			if err := w.noticed(ctx, e); err != nil {
				return err
			}
		}
		select {
		case e = <-more:
			continue
		default:
		}
		break
	}
	if !box && !lost {
		return nil
	}
	return w.refresh(ctx, lost, changed)
}

// refresh reads the box and passes on what is new.
func (w *Watcher) refresh(ctx context.Context, lost bool, changed func(before, now State)) error {
	now, routes, err := w.read()
	if err != nil {
		return err
	}
	before := w.state
	w.state = now
	if n := now.network(routes); !equal(n, w.network) {
		w.network = n
		w.dataplane.SetNetwork(n)
	}
	// Neighbours that were noticed before the link had its new number, or that
	// belong to the number it had, are found by reading them all.
	if lost || !sameLinks(before, now) {
		if err := w.readNeighbours(ctx); err != nil {
			return err
		}
	}
	if before.Equal(now) {
		return nil
	}
	clear(w.complained)
	if changed != nil {
		changed(before, now)
	}
	return nil
}

func sameLinks(a, b State) bool {
	return slices.EqualFunc(a.NICs, b.NICs, func(a, b NIC) bool { return a.Index == b.Index })
}

func equal(a, b *dataplane.Network) bool {
	return slices.Equal(a.Links, b.Links) && slices.Equal(a.Routes, b.Routes) && slices.Equal(a.Local, b.Local)
}
