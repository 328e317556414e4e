package network

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lvsnat/dataplane"
	"lvsnat/dataplane/packet"
)

// A neighbour is an entry of the kernel's neighbour table.
type neighbour struct {
	mac   packet.MAC
	state int // NUD_... (linux/neighbour.h)
}

// usable are the states in which the kernel itself sends to the address it has
// (NUD_VALID, include/net/neighbour.h).
const usable = netlink.NUD_PERMANENT | netlink.NUD_NOARP | netlink.NUD_REACHABLE |
	netlink.NUD_PROBE | netlink.NUD_STALE | netlink.NUD_DELAY

func (n neighbour) usable() bool { return n.state&usable != 0 }

// resolve answers the dataplane's question at once when the kernel knows the
// neighbour, and sets the kernel to work when it does not, or does not trust
// its knowledge any more: an address that has changed without a word is noticed
// that way.
func (w *Watcher) resolve(ctx context.Context, n dataplane.Neighbour) error {
	known, ok := w.neighbours[n]
	if ok && known.usable() {
		if err := w.dataplane.SetNeighbour(ctx, n, known.mac, true); err != nil {
			return err
		}
		if known.state != netlink.NUD_STALE {
			return nil
		}
	}
	if n.Port >= len(w.state.NICs) || w.state.NICs[n.Port].Index == 0 {
		return w.dataplane.SetNeighbour(ctx, n, packet.MAC{}, false)
	}
	if err := w.use(n); err != nil {
		w.complain(n, err)
		return w.dataplane.SetNeighbour(ctx, n, packet.MAC{}, false)
	}
	return nil
}

// use makes the kernel resolve or verify a neighbour as if it had something to
// send (NTF_USE, neigh_add in net/core/neighbour.c). The kernel asks by ARP,
// three times within three seconds unless configured otherwise, and notifies
// of the outcome.
func (w *Watcher) use(n dataplane.Neighbour) error {
	return w.kernel.NeighSet(&netlink.Neigh{
		LinkIndex: w.state.NICs[n.Port].Index,
		Family:    unix.AF_INET,
		State:     netlink.NUD_NONE,
		Flags:     netlink.NTF_USE,
		IP:        toIP(n.Addr),
	})
}

// complain logs why the kernel cannot even ask for a neighbour, once per reason
// until something of the box changes: a flood of clients must not become a
// flood of lines.
func (w *Watcher) complain(n dataplane.Neighbour, err error) {
	if errors.Is(err, unix.ENETDOWN) || w.complained[err.Error()] {
		return // of a link that is down its own state tells
	}
	w.complained[err.Error()] = true
	w.log.Warn("cannot resolve a neighbour", "address", toIP(n.Addr).String(), "nic", w.state.NICs[n.Port].Name, "err", explain(err))
}

// explain adds to an error of the kernel's what an operator can do about it.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("CAP_NET_ADMIN is missing: %w", err)
	case errors.Is(err, unix.ENOBUFS):
		return fmt.Errorf("the kernel's neighbour table is full, raise net.ipv4.neigh.default.gc_thresh3: %w", err)
	}
	return err
}

// noticed takes the kernel's news of a neighbour in, and tells the dataplane
// when it changes what is sent where. Each failure is told, because each
// answers a question; states between asking and failing are not.
func (w *Watcher) noticed(ctx context.Context, e event) error {
	port, ours := w.state.portOf(e.neighbour.LinkIndex)
	addr, ok := addrOf(e.neighbour.IP)
	if !ours || !ok {
		return nil
	}
	n := dataplane.Neighbour{Port: port, Addr: hostOrder(addr)}
	if e.kind == neighbourGone {
		// The kernel clears entries away that it does not use itself. The
		// dataplane goes on with what it has and will ask in a few seconds.
		delete(w.neighbours, n)
		return nil
	}
	return w.learn(ctx, n, neighbourOf(e.neighbour))
}

func (w *Watcher) learn(ctx context.Context, n dataplane.Neighbour, now neighbour) error {
	before := w.neighbours[n]
	w.neighbours[n] = now
	switch {
	case now.usable() && (!before.usable() || before.mac != now.mac):
		return w.dataplane.SetNeighbour(ctx, n, now.mac, true)
	case now.state == netlink.NUD_FAILED && before.usable() && w.use(n) == nil:
		// The kernel has asked at the old address alone. Another card may have
		// the neighbour's IP address now, so all are asked before the
		// neighbour counts as gone.
		return nil
	case now.state == netlink.NUD_FAILED:
		return w.dataplane.SetNeighbour(ctx, n, packet.MAC{}, false)
	}
	return nil
}

// readNeighbours reads the kernel's table whole. What it no longer has is
// forgotten.
func (w *Watcher) readNeighbours(ctx context.Context) error {
	before := w.neighbours
	w.neighbours = make(map[dataplane.Neighbour]neighbour, len(before))
	for port, nic := range w.state.NICs {
		if nic.Index == 0 {
			continue
		}
		list, err := complete(func() ([]netlink.Neigh, error) { return w.kernel.NeighList(nic.Index, unix.AF_INET) })
		if err != nil {
			return fmt.Errorf("network: list neighbours of %s: %w", nic.Name, err)
		}
		for _, entry := range list {
			addr, ok := addrOf(entry.IP)
			if !ok || !isNeighbour(entry) {
				continue
			}
			n := dataplane.Neighbour{Port: port, Addr: hostOrder(addr)}
			if old, known := before[n]; known {
				w.neighbours[n] = old
			}
			if err := w.learn(ctx, n, neighbourOf(entry)); err != nil {
				return err
			}
		}
	}
	return nil
}

func neighbourOf(entry netlink.Neigh) neighbour {
	n := neighbour{state: entry.State}
	if len(entry.HardwareAddr) == len(n.mac) {
		n.mac = packet.MAC(entry.HardwareAddr)
	} else if n.usable() {
		// Links without ARP and tunnels have neighbours without an Ethernet
		// address: nothing can be sent to those.
		n.state = netlink.NUD_FAILED
	}
	return n
}
