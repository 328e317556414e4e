package announce

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	arp "github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"lvsnat/cmd/director/internal/network"
	"lvsnat/dataplane"
	"lvsnat/dataplane/packet"
)

// An Announcer answers and announces VIPs by ARP. All methods may be called
// concurrently.
type Announcer struct {
	log *slog.Logger
	now func() time.Time

	answered  atomic.Uint64
	announced atomic.Uint64
	conflicts atomic.Uint64

	changed chan struct{}  // wakes Run
	readers sync.WaitGroup // one for each socket

	mu    sync.Mutex
	vips  vips      // guarded by mu
	conn  *arp.Conn // guarded by mu; nil while there is no NIC
	index int       // guarded by mu; the NIC that conn is bound to
}

// Stats are the counts since the start.
type Stats struct {
	Answered  uint64 // requests for VIPs
	Announced uint64 // announcements, defences included
	Conflicts uint64 // claims of other machines to VIPs
}

// New makes an announcer that has no VIPs yet. It is closed with Close.
func New(log *slog.Logger, now func() time.Time) *Announcer {
	return &Announcer{log: log, now: now, changed: make(chan struct{}, 1)}
}

// Set says which VIPs there are and what the box looks like; it is called
// whenever one of them has changed. Each address of a prefix is a VIP. Those
// among the box's own addresses are only watched. The socket is opened here, in the network namespace of the calling
// thread; without a VIP NIC there is none, and that is no error.
func (a *Announcer) Set(s network.State, wanted []netip.Prefix) error {
	var addrs []netip.Addr
	for _, prefix := range wanted {
		if !prefix.Addr().Is4() {
			return fmt.Errorf("announce: %v is not an IPv4 address", prefix.Addr())
		}
		for addr := prefix.Addr(); prefix.Contains(addr); addr = addr.Next() {
			addrs = append(addrs, addr)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.bindLocked(s.NICs[dataplane.VIPPort]); err != nil {
		return err
	}
	a.vips.set(a.now(), s, addrs)
	a.wake()
	return nil
}

// bindLocked makes conn that of the NIC.
func (a *Announcer) bindLocked(nic network.NIC) error {
	if a.conn != nil && a.index == nic.Index {
		return nil
	}
	a.unbindLocked()
	if nic.Index == 0 {
		return nil
	}
	program, err := filter(nic.Index)
	if err != nil {
		return err
	}
	conn, err := arp.Listen(&net.Interface{Index: nic.Index, Name: nic.Name, HardwareAddr: nic.MAC[:]},
		arp.Raw, unix.ETH_P_ARP, &arp.Config{Filter: program})
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("announce: ARP on %s: CAP_NET_RAW is missing: %w", nic.Name, err)
	}
	if err != nil {
		return fmt.Errorf("announce: ARP on %s: %w", nic.Name, err)
	}
	a.conn, a.index = conn, nic.Index
	a.readers.Go(func() { a.listen(conn, nic.Name) })
	return nil
}

func (a *Announcer) unbindLocked() {
	if a.conn != nil {
		_ = a.conn.Close() // nothing is unsaved in it
	}
	a.conn, a.index = nil, 0
}

func (a *Announcer) wake() {
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// Close stops answering. It is called after Run has returned, or instead.
func (a *Announcer) Close() {
	a.mu.Lock()
	a.unbindLocked()
	a.mu.Unlock()
	a.readers.Wait()
}

// Run makes the announcements until ctx ends. Requests are answered without it.
func (a *Announcer) Run(ctx context.Context) {
	for {
		var due <-chan time.Time
		if again := a.announce(); !again.IsZero() {
			due = time.After(again.Sub(a.now()))
		}
		select {
		case <-ctx.Done():
			return
		case <-a.changed:
		case <-due:
		}
	}
}

// announce sends what is due and returns when to do so again.
func (a *Announcer) announce() time.Time {
	a.mu.Lock()
	frames, again := a.vips.due(a.now())
	conn, name := a.conn, a.vips.nic.Name
	a.mu.Unlock()
	for _, frame := range frames {
		if conn == nil {
			break
		}
		if err := send(conn, frame); err != nil {
			// What is lost while the link is down is announced again when it
			// comes up.
			if !errors.Is(err, unix.ENETDOWN) && !errors.Is(err, unix.ENXIO) && !errors.Is(err, os.ErrClosed) {
				a.log.Warn("cannot announce virtual addresses", "nic", name, "err", err)
			}
			break
		}
		a.announced.Add(1)
	}
	return again
}

func send(conn *arp.Conn, frame []byte) error {
	destination := packet.Ethernet(frame).Destination()
	_, err := conn.WriteTo(frame, &arp.Addr{HardwareAddr: destination[:]})
	return err
}

// listen answers what conn receives until conn is closed.
func (a *Announcer) listen(conn *arp.Conn, nic string) {
	frame := make([]byte, 128)
	for {
		n, _, err := conn.ReadFrom(frame)
		switch {
		case err == nil:
			a.answer(conn, frame[:n])
		case errors.Is(err, unix.ENETDOWN), errors.Is(err, unix.EINTR):
			// The socket says once that the link has gone down, and goes on
			// when it comes back.
		default:
			a.stopped(conn, nic, err)
			return
		}
	}
}

// stopped says why conn is not read any more, unless it was closed on purpose.
// The next Set opens another.
func (a *Announcer) stopped(conn *arp.Conn, nic string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.conn != conn {
		return
	}
	a.log.Error("ARP requests for virtual addresses are not answered any more", "nic", nic, "err", err)
	a.unbindLocked()
}

func (a *Announcer) answer(conn *arp.Conn, frame []byte) {
	a.mu.Lock()
	f := a.vips.handle(a.now(), frame)
	nic := a.vips.nic
	a.mu.Unlock()
	if f.reply != nil && send(conn, f.reply) == nil {
		a.answered.Add(1)
	}
	if f.conflict.Count > 0 {
		a.conflicts.Add(1)
	}
	if f.warn {
		a.log.Warn("another machine answers for a virtual address",
			"vip", f.conflict.VIP, "nic", nic.Name, "own", mac(nic.MAC), "other", mac(f.conflict.MAC), "claims", f.conflict.Count)
	}
	if f.defend {
		a.wake()
	}
}

func mac(m packet.MAC) string { return net.HardwareAddr(m[:]).String() }

// Stats reads the counts.
func (a *Announcer) Stats() Stats {
	return Stats{Answered: a.answered.Load(), Announced: a.announced.Load(), Conflicts: a.conflicts.Load()}
}

// Conflicts lists the VIPs that other machines have claimed since they were
// set, in order of address.
func (a *Announcer) Conflicts() []Conflict {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.vips.conflicts()
}
