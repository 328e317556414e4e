package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// An event is what a notification of the kernel's comes down to.
type event struct {
	kind      eventKind
	neighbour netlink.Neigh // of neighbourChanged and neighbourGone
}

type eventKind uint8

const (
	boxChanged       eventKind = iota // links, addresses or routes are to be read again
	neighbourChanged                  // a neighbour is new or has another state
	neighbourGone                     // the kernel has forgotten a neighbour
	overrun                           // notifications were lost: neighbours are to be read again, too
)

// receiveBuffer holds about 8,000 notifications while the watcher reads the
// box. What does not fit becomes an overrun.
const receiveBuffer = 4 << 20

func subscribe() (*nl.NetlinkSocket, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE,
		unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_NEIGH)
	if err != nil {
		return nil, fmt.Errorf("network: subscribe to the kernel's notifications: %w", err)
	}
	// Forcing needs CAP_NET_ADMIN in the first user namespace; a smaller buffer
	// only means an overrun earlier.
	if s.SetReceiveBufferSize(receiveBuffer, true) != nil {
		_ = s.SetReceiveBufferSize(receiveBuffer, false)
	}
	return s, nil
}

// listen hands the kernel's notifications on until the socket is closed. The
// kernel keeps what is not taken at once, so to block on events loses nothing
// that is not reported.
func (w *Watcher) listen(ctx context.Context, events chan<- event) error {
	for {
		messages, _, err := w.notifications.Receive()
		switch {
		case errors.Is(err, os.ErrClosed) || ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS):
			w.discard()
			if !send(ctx, events, event{kind: overrun}) {
				return nil
			}
			continue
		case errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN):
			continue
		case err != nil:
			return fmt.Errorf("network: receive the kernel's notifications: %w", err)
		}
		for _, m := range messages {
			if e, ok := eventOf(m); ok && !send(ctx, events, e) {
				return nil
			}
		}
	}
}

// discard empties the socket after an overrun. What is still in it is older
// than what is read next; and until it is empty the kernel drops further
// notifications without another error (netlink_overrun and netlink_rcv_wake in
// net/netlink/af_netlink.c).
func (w *Watcher) discard() {
	_ = w.notifications.SetReceiveTimeout(&unix.Timeval{Usec: 1000}) // only sets a variable
	defer func() { _ = w.notifications.SetReceiveTimeout(&unix.Timeval{}) }()
	for {
		if _, _, err := w.notifications.Receive(); err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EINTR) {
			return // empty, or closed
		}
	}
}

func send(ctx context.Context, events chan<- event, e event) bool {
	select {
	case events <- e:
		return true
	case <-ctx.Done():
		return false
	}
}

// eventOf understands a notification.
func eventOf(m syscall.NetlinkMessage) (event, bool) {
	switch m.Header.Type {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK, unix.RTM_NEWADDR, unix.RTM_DELADDR, unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		return event{kind: boxChanged}, true
	case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
		n, err := netlink.NeighDeserialize(m.Data)
		if err != nil || !isNeighbour(*n) {
			return event{}, false
		}
		if m.Header.Type == unix.RTM_DELNEIGH {
			return event{kind: neighbourGone, neighbour: *n}, true
		}
		return event{kind: neighbourChanged, neighbour: *n}, true
	}
	return event{}, false
}

// isNeighbour tells the ARP table's entries from those for IPv6, of bridges,
// and of proxies.
func isNeighbour(n netlink.Neigh) bool {
	return n.Family == unix.AF_INET && n.Flags&netlink.NTF_PROXY == 0 && n.IP.To4() != nil
}
