// Package forwarder is the director's rings without the director: workers as
// the director's take frames from one NIC, write two fixed link addresses and
// put them on the other. What it carries is the most that anything on these
// rings can carry, so the director's figure divided by its is what translating
// costs.
package forwarder

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"lvsnat/dataplane/afpacket"
	"lvsnat/dataplane/packet"
)

// batchSize and longestWait are the director's.
const (
	batchSize   = 64
	longestWait = 100 * time.Millisecond
)

// A Side is one of the two NICs, and the link addresses of what leaves it.
type Side struct {
	NIC                 string
	Source, Destination packet.MAC
}

// A Forwarder carries IPv4 frames between two NICs.
type Forwarder struct {
	fanouts []*afpacket.Fanout
	workers []*worker

	cancel  context.CancelFunc
	running sync.WaitGroup
}

// Open opens the rings of workers on two NICs of the calling thread's network
// namespace. A frame to one of the addresses served is placed on a worker by its
// source, another by its destination, as the director does it.
func Open(workers int, served []netip.Prefix, sides ...Side) (_ *Forwarder, err error) {
	f := &Forwarder{}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	for range workers {
		f.workers = append(f.workers, &worker{})
	}
	for _, side := range sides {
		fanout, err := afpacket.OpenFanout(side.NIC, afpacket.Placement{Workers: workers, Virtual: served}, afpacket.Options{})
		if err != nil {
			return nil, err
		}
		f.fanouts = append(f.fanouts, fanout)
		for i, w := range f.workers {
			sender, err := afpacket.OpenSender(side.NIC, afpacket.Options{})
			if err != nil {
				return nil, err
			}
			w.ports = append(w.ports, port{fanout.Receivers()[i], sender, side})
		}
	}
	for _, w := range f.workers {
		if w.waiter, err = afpacket.NewWaiter(w.receivers()...); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Start has the workers carry frames until Close.
func (f *Forwarder) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	for _, w := range f.workers {
		f.running.Go(func() { w.run(ctx) })
	}
}

// Close ends the workers and closes all rings.
func (f *Forwarder) Close() error {
	if f.cancel != nil {
		f.cancel()
		f.running.Wait()
	}
	var errs []error
	for _, w := range f.workers {
		errs = append(errs, w.close())
	}
	for _, fanout := range f.fanouts {
		errs = append(errs, fanout.Close())
	}
	return errors.Join(errs...)
}

// A port is one NIC as one worker uses it.
type port struct {
	receiver *afpacket.Receiver
	sender   *afpacket.Sender
	side     Side
}

// A worker carries its share of the frames.
type worker struct {
	ports  []port
	waiter *afpacket.Waiter
	frames [batchSize]packet.Frame
}

func (w *worker) receivers() []*afpacket.Receiver {
	var receivers []*afpacket.Receiver
	for _, p := range w.ports {
		receivers = append(receivers, p.receiver)
	}
	return receivers
}

func (w *worker) run(ctx context.Context) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for ctx.Err() == nil {
		if w.forward(&w.ports[0], &w.ports[1])+w.forward(&w.ports[1], &w.ports[0]) == 0 {
			w.waiter.Wait(longestWait)
		}
	}
}

// forward carries one batch and returns its size.
func (w *worker) forward(from, to *port) int {
	n := from.receiver.Receive(w.frames[:])
	if n == 0 {
		return 0
	}
	for i := range w.frames[:n] {
		if head := to.sender.Reserve(&w.frames[i]); head != nil {
			packet.Ethernet(head).SetAddresses(&to.side.Destination, &to.side.Source)
			to.sender.Commit()
		}
	}
	to.sender.Flush()
	from.receiver.Release()
	return n
}

func (w *worker) close() error {
	var errs []error
	for _, p := range w.ports {
		errs = append(errs, p.sender.Close())
	}
	if w.waiter != nil {
		errs = append(errs, w.waiter.Close())
	}
	return errors.Join(errs...)
}
