package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"lvsnat/dataplane/packet"
	"lvsnat/test/oracle/traffic"
	"lvsnat/test/oracle/uml"
)

// tunnelDevice has the number of /dev/net/tun in every kernel
// (Documentation/admin-guide/devices.txt).
const tunnelDevice = "/run/tun"

func makeTunnelDevice() error {
	if err := unix.Mknod(tunnelDevice, unix.S_IFCHR|0o600, int(unix.Mkdev(10, 200))); err != nil {
		return fmt.Errorf("make %s: %w", tunnelDevice, err)
	}
	return nil
}

// A tunnel is one side of the director, as the file descriptor of an interface:
// what the kernel sends by the interface is read from it, and what is written
// to it the kernel receives.
type tunnel int

// openTunnel makes an interface of that name without an address.
func openTunnel(name string) (tunnel, error) {
	fd, err := unix.Open(tunnelDevice, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open %s: %w", tunnelDevice, err)
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return 0, fmt.Errorf("make the interface %s: %w", name, err)
	}
	return tunnel(fd), uml.Do("ip", "link", "set", name, "up")
}

// read returns the next datagram behind an Ethernet header, which an interface
// of this kind does not have, or nil when there is none.
func (t tunnel) read() ([]byte, error) {
	frame := make([]byte, packet.EthernetLen+1500)
	packet.Ethernet(frame).SetType(packet.TypeIPv4)
	n, err := unix.Read(int(t), frame[packet.EthernetLen:])
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("receive: %w", err)
	}
	return frame[:packet.EthernetLen+n], nil
}

// A wire is both sides of the director.
type wire struct {
	outside, inside tunnel // where clients and realservers are
}

const (
	// quiet is how long is waited for what becomes of a packet. The director
	// does what it does while the packet is written, and it never took longer
	// than a few milliseconds.
	quiet = 200 * time.Millisecond

	// atOnce is how many packets are sent before what became of them is looked
	// at. An interface's queue has room for 500.
	atOnce = 64
)

// exchange sends packets, each of another flow, and writes down what becomes of
// them.
func (w wire) exchange(steps []*traffic.Step) error {
	for chunk := range slices.Chunk(steps, atOnce) {
		waiting := make(map[traffic.Flow]*traffic.Step, len(chunk))
		for _, step := range chunk {
			step.Outcome = traffic.Nothing
			waiting[step.Packet.Flow()] = step
			side := w.outside
			if step.Packet.Reply {
				side = w.inside
			}
			if _, err := unix.Write(int(side), step.Packet.Frame().Data[packet.EthernetLen:]); err != nil {
				return fmt.Errorf("send %v: %w", step.Packet, err)
			}
		}
		if err := w.await(waiting); err != nil {
			return err
		}
	}
	return nil
}

// await takes in what the director sends until it is known of all flows, or
// nothing more comes.
func (w wire) await(waiting map[traffic.Flow]*traffic.Step) error {
	deadline := time.Now().Add(quiet)
	for {
		if err := w.take(waiting); err != nil || len(waiting) == 0 {
			return err
		}
		left := time.Until(deadline)
		if left <= 0 {
			return nil
		}
		fds := []unix.PollFd{{Fd: int32(w.outside), Events: unix.POLLIN}, {Fd: int32(w.inside), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, int(left.Milliseconds())+1); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait: %w", err)
		}
	}
}

// take takes in what the director has sent.
func (w wire) take(waiting map[traffic.Flow]*traffic.Step) error {
	for _, side := range []tunnel{w.outside, w.inside} {
		for {
			frame, err := side.read()
			if err != nil {
				return err
			}
			if frame == nil {
				break
			}
			seen, ok := traffic.See(frame, side == w.outside)
			if !ok {
				continue
			}
			if step := waiting[seen.Flow]; step != nil {
				step.Outcome = seen.Outcome(step.Packet)
				delete(waiting, seen.Flow)
			}
		}
	}
	return nil
}
