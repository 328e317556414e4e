package responder

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"lvsnat/dataplane/afpacket"
	"lvsnat/dataplane/packet"
)

const (
	batchSize   = 64
	longestWait = 100 * time.Millisecond
)

// A Responder answers on one NIC.
type Responder struct {
	fanout *afpacket.Fanout
	sender *afpacket.Sender
	waiter *afpacket.Waiter
	far    network

	answered atomic.Uint64
	frames   [batchSize]packet.Frame

	cancel  context.CancelFunc
	running sync.WaitGroup
}

// A network is a prefix in host order.
type network struct{ addr, mask uint32 }

func (n network) contains(addr uint32) bool { return addr&n.mask == n.addr }

// Start answers on a NIC of the calling thread's network namespace what comes
// from or goes to an address of far, until Close. The host's kernel should drop
// all of that, or it answers too.
func Start(nic string, far netip.Prefix) (_ *Responder, err error) {
	addr := far.Masked().Addr().As4()
	r := &Responder{far: network{binary.BigEndian.Uint32(addr[:]), ^uint32(0) << (32 - far.Bits())}}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if r.fanout, err = afpacket.OpenFanout(nic, afpacket.Placement{Workers: 1}, afpacket.Options{}); err != nil {
		return nil, err
	}
	if r.sender, err = afpacket.OpenSender(nic, afpacket.Options{}); err != nil {
		return nil, err
	}
	if r.waiter, err = afpacket.NewWaiter(r.fanout.Receivers()...); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.running.Go(func() { r.run(ctx) })
	return r, nil
}

// Answered is how many packets were answered so far. It may be called from any
// goroutine.
func (r *Responder) Answered() uint64 { return r.answered.Load() }

// Close ends answering.
func (r *Responder) Close() error {
	if r.cancel != nil {
		r.cancel()
		r.running.Wait()
	}
	var errs []error
	if r.waiter != nil {
		errs = append(errs, r.waiter.Close())
	}
	if r.sender != nil {
		errs = append(errs, r.sender.Close())
	}
	if r.fanout != nil {
		errs = append(errs, r.fanout.Close())
	}
	return errors.Join(errs...)
}

func (r *Responder) run(ctx context.Context) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for ctx.Err() == nil {
		if !r.batch() {
			r.waiter.Wait(longestWait)
		}
	}
}

// batch answers what is there and reports whether there was anything.
func (r *Responder) batch() bool {
	receiver := r.fanout.Receivers()[0]
	n := receiver.Receive(r.frames[:])
	if n == 0 {
		return false
	}
	answered := uint64(0)
	var p packet.Packet
	for i := range r.frames[:n] {
		frame := &r.frames[i]
		if p.Parse(frame.Data) != packet.OK || !r.far.contains(p.Source) && !r.far.contains(p.Destination) {
			continue
		}
		head := r.sender.Reserve(frame)
		if head == nil || !answer(head, &p) {
			continue
		}
		r.sender.Commit()
		answered++
	}
	r.sender.Flush()
	receiver.Release()
	r.answered.Add(answered)
	return true
}
