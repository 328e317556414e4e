package lab

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
)

// SlowDown puts a cable between realserver i and its switch on which each frame
// takes this much longer, in both directions. There must be a switch, which
// there is with two realservers and more. It is for the beginning of a
// scenario: connections and listeners on the realserver's address do not
// outlive it. The kernels of test machines have no qdisc that delays
// (sch_netem), so a process carries the frames.
func (t *Topology) SlowDown(i int, delay time.Duration) error {
	rs := t.Realservers[i]
	if err := rs.RemoveNIC("eth0"); err != nil {
		return err
	}
	slow, err := t.Host(fmt.Sprintf("slow%d", i+1))
	if err != nil {
		return err
	}
	near := End{Host: slow, NIC: "eth0", MTU: t.Options.MTU}
	far := End{Host: slow, NIC: "eth1", MTU: t.Options.MTU}
	if err := Connect(End{Host: rs, NIC: "eth0", MAC: MACOf(RIP(i)), MTU: t.Options.MTU}, near); err != nil {
		return err
	}
	if err := t.back.Plug(far); err != nil {
		return err
	}
	// The process sees no virtio-net header, so no checksum may be left to the
	// NIC, and no segment be larger than the MTU.
	err = errors.Join(
		rs.SetOffloads("eth0", Offloads{}),
		t.back.SetOffloads(far.Host.Name+"-"+far.NIC, Offloads{}),
		slow.SetOffloads(near.NIC, Offloads{}),
		slow.SetOffloads(far.NIC, Offloads{}))
	if err != nil {
		return err
	}
	if err := slow.relay(near.NIC, far.NIC, delay); err != nil {
		return err
	}
	return rs.configure("eth0", within(innerNet, RIP(i)), DIP)
}

// relay carries what one NIC of the host receives to the other, and back, each
// frame after a delay, until the host is closed.
func (h *Host) relay(a, b string, delay time.Duration) error {
	one, err := h.openRaw(a)
	if err != nil {
		return err
	}
	other, err := h.openRaw(b)
	if err != nil {
		return errors.Join(err, one.Close())
	}
	var running sync.WaitGroup
	running.Go(func() { carry(one, other, delay) })
	running.Go(func() { carry(other, one, delay) })
	h.OnClose(func() error {
		err := errors.Join(one.Close(), other.Close())
		running.Wait()
		return err
	})
	return nil
}

// openRaw opens a socket for all frames that a NIC receives.
func (h *Host) openRaw(nic string) (*packet.Conn, error) {
	ifi, err := h.NIC(nic)
	if err != nil {
		return nil, err
	}
	var c *packet.Conn
	err = h.Do(func() (err error) {
		c, err = packet.Listen(ifi, packet.Raw, unix.ETH_P_ALL, nil)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: packet socket on %s: %w", h.Name, nic, err)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: leave out what %s sends: %w", h.Name, nic, err), c.Close())
	}
	return c, nil
}

// carry brings frames from one socket to the other until the first is closed.
// What the second does not take is lost, as on any cable.
func carry(from, to *packet.Conn, delay time.Duration) {
	type late struct {
		frame []byte
		due   time.Time
	}
	queue := make(chan late, 1024)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for l := range queue {
			time.Sleep(time.Until(l.due))
			_, _ = to.WriteTo(l.frame, &packet.Addr{HardwareAddr: l.frame[:6]})
		}
	}()
	buffer := make([]byte, 1<<16)
	for {
		n, _, err := from.ReadFrom(buffer)
		if err != nil {
			close(queue)
			<-done
			return
		}
		select {
		case queue <- late{append([]byte(nil), buffer[:n]...), time.Now().Add(delay)}:
		default: // a full cable loses
		}
	}
}
