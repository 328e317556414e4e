package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	captureSnap   = 2048     // bytes kept of a frame; a super-packet is cut
	captureBuffer = 64 << 20 // bytes of receive buffer: a capture that loses frames proves nothing
)

// A Frame is one captured Ethernet frame.
type Frame struct {
	Data []byte    // at most the first 2048 bytes
	Sent bool      // by the host itself
	At   time.Time // when it was read from the socket
}

// A Capture collects the frames that a NIC sends and receives.
type Capture struct {
	host *Host
	nic  *net.Interface
	conn *packet.Conn
	done chan struct{}

	mu      sync.Mutex
	frames  []Frame       // mu
	err     error         // mu; why reading ended early
	stopped bool          // mu; Stop was called
	changed chan struct{} // mu; closed at the next frame, nil when nobody waits
}

// Capture starts to collect what nic sends and receives. The NIC's link address
// must not change meanwhile: it tells the one from the other. With a filter it
// collects only what the classic BPF program lets pass.
func (h *Host) Capture(nic string, filter ...bpf.Instruction) (*Capture, error) {
	ifi, err := h.NIC(nic)
	if err != nil {
		return nil, err
	}
	var config packet.Config
	if config.Filter, err = bpf.Assemble(filter); err != nil {
		return nil, fmt.Errorf("capture filter: %w", err)
	}
	c := &Capture{host: h, nic: ifi, done: make(chan struct{})}
	err = h.Do(func() (err error) {
		c.conn, err = packet.Listen(ifi, packet.Raw, unix.ETH_P_ALL, &config)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: capture on %s: %w", h.Name, nic, err)
	}
	if err := c.enlargeBuffer(); err != nil {
		return nil, errors.Join(err, c.conn.Close())
	}
	go c.read()
	h.OnClose(func() error { _, err := c.Stop(); return err })
	return c, nil
}

func (c *Capture) enlargeBuffer() error {
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer)
	})
	if err := errors.Join(err, failed); err != nil {
		return fmt.Errorf("%s: capture buffer: %w", c.host.Name, err)
	}
	return nil
}

func (c *Capture) read() {
	defer close(c.done)
	buffer := make([]byte, captureSnap)
	for {
		n, _, err := c.conn.ReadFrom(buffer)
		if err != nil {
			c.ended(err)
			return
		}
		c.keep(buffer[:n])
	}
}

// keep adds a frame, unless it is one for somebody else that a switch has
// flooded and that a real NIC would not have received.
func (c *Capture) keep(data []byte) {
	if len(data) < 14 {
		return
	}
	to, from := data[0:6], data[6:12]
	sent := bytes.Equal(from, c.nic.HardwareAddr)
	group := to[0]&1 != 0 // multicast and broadcast
	if !sent && !group && !bytes.Equal(to, c.nic.HardwareAddr) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames = append(c.frames, Frame{Data: bytes.Clone(data), Sent: sent, At: time.Now()})
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// ended keeps the reason why reading ended, unless it was Stop, whose error
// for a read under way has no name to compare with, or the NIC going down,
// after which there is nothing more to capture.
func (c *Capture) ended(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped && !errors.Is(err, unix.ENETDOWN) {
		c.err = err
	}
}

// Frames returns the frames so far, in the order in which the NIC had them.
func (c *Capture) Frames() []Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frames[:len(c.frames):len(c.frames)]
}

// Wait waits until a frame was captured for which match is true.
func (c *Capture) Wait(ctx context.Context, match func(Frame) bool) (Frame, error) {
	seen := 0
	for {
		c.mu.Lock()
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed, frames := c.changed, c.frames
		c.mu.Unlock()
		for ; seen < len(frames); seen++ {
			if match(frames[seen]) {
				return frames[seen], nil
			}
		}
		select {
		case <-changed:
		case <-c.done:
			return Frame{}, fmt.Errorf("%s: the capture on %s has ended without such a frame", c.host.Name, c.nic.Name)
		case <-ctx.Done():
			return Frame{}, fmt.Errorf("%s: no such frame on %s among %d: %w", c.host.Name, c.nic.Name, seen, ctx.Err())
		}
	}
}

// Stop ends the capture and returns its frames. It fails when the kernel had
// to drop frames because they came faster than they were read. Frames that
// were captured but not read yet when Stop is called are lost: wait for the
// last one of interest first. A second call returns the same frames.
func (c *Capture) Stop() ([]Frame, error) {
	stats, statsErr := c.conn.Stats()
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	closeErr := unlessClosed(c.conn.Close())
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.frames, fmt.Errorf("%s: capture on %s: %w", c.host.Name, c.nic.Name, c.err)
	}
	if statsErr == nil && stats.Drops > 0 {
		return c.frames, fmt.Errorf("%s: the capture on %s lost %d frames", c.host.Name, c.nic.Name, stats.Drops)
	}
	return c.frames, closeErr
}
