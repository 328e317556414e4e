package workload

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"lvsnat/bench/testbed"
)

// transferPiece is how much is written at once; more than the kernel puts into
// one packet.
const transferPiece = 256 << 10

// A transfer is an endless TCP transfer from the client to a realserver.
type transfer struct {
	received atomic.Int64
	failed   chan error // once, when it ends before it is stopped
	ends     []func() error
	running  sync.WaitGroup
}

// startTransfer returns when the first bytes have arrived.
func startTransfer(ctx context.Context, s *Setup) (_ *transfer, err error) {
	t := &transfer{failed: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.stop())
		}
	}()
	listener, err := s.Bed.Realserver.Listen(fmt.Sprintf(":%d", testbed.TransferPort))
	if err != nil {
		return nil, err
	}
	t.ends = append(t.ends, listener.Close)
	t.running.Go(func() { t.serve(listener) })
	sender, err := s.Bed.Client.DialContext(ctx, "tcp", netip.AddrPortFrom(s.Carrier.Target, testbed.TransferPort).String())
	if err != nil {
		return nil, fmt.Errorf("begin a transfer: %w", err)
	}
	t.ends = append(t.ends, sender.Close)
	t.running.Go(func() { t.send(sender) })
	for t.received.Load() == 0 {
		if err := sleep(ctx, time.Millisecond); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// serve takes the one connection of the transfer.
func (t *transfer) serve(listener net.Listener) {
	c, err := listener.Accept()
	if err != nil {
		return // stopped before it began
	}
	defer c.Close()
	for buffer := make([]byte, transferPiece); ; {
		n, err := c.Read(buffer)
		t.received.Add(int64(n))
		if err != nil {
			return // the sender tells why
		}
	}
}

func (t *transfer) send(c net.Conn) {
	for piece := make([]byte, transferPiece); ; {
		if _, err := c.Write(piece); err != nil {
			t.failed <- fmt.Errorf("transfer after %d bytes: %w", t.received.Load(), err)
			return
		}
	}
}

// broken is why the transfer has ended by itself, nil while it goes on.
func (t *transfer) broken() error {
	select {
	case err := <-t.failed:
		return err
	default:
		return nil
	}
}

func (t *transfer) stop() error {
	var errs []error
	for i := len(t.ends) - 1; i >= 0; i-- {
		if err := t.ends[i](); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	t.running.Wait()
	return errors.Join(errs...)
}
