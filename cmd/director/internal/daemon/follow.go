package daemon

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"lvsnat/cmd/director/internal/guard"
	"lvsnat/cmd/director/internal/network"
)

// againAfter is how soon something that did not succeed is tried again.
const againAfter = time.Second

// boxChanged takes in what the watcher has seen.
func (d *director) boxChanged(before, now network.State) {
	for port, nic := range now.NICs {
		d.report(before.NICs[port], nic)
	}
	d.seen.Store(&now)
	d.wake()
}

// box is the box as it was seen last.
func (d *director) box() network.State { return *d.seen.Load() }

// report logs what has become of a NIC.
func (d *director) report(before, now network.NIC) {
	log := d.Log.With("nic", now.Name)
	switch {
	case now.Index == 0 && before.Index != 0:
		log.Warn("the NIC is gone; its packets go on when it is back")
	case now.Index == 0:
	case !now.Up && (before.Up || before.Index == 0):
		log.Warn("the NIC is down or has no carrier")
	case now.Up && !before.Up:
		log.Info("the NIC is up")
	}
}

// wake makes follow look. It never blocks.
func (d *director) wake() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// follow brings rings, guard and announcements in step with the box until ctx
// ends. What fails is tried again; it is only worth a warning when it then fails
// still: a NIC that comes and goes quickly is often gone again when its rings
// are opened.
func (d *director) follow(ctx context.Context) error {
	var again <-chan time.Time
	said := ""
	for {
		retried := false
		select {
		case <-ctx.Done():
			return nil
		case <-d.changed:
		case <-again:
			retried = true
		}
		again = nil
		err := d.followOnce(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			said = ""
			continue
		}
		again = time.After(againAfter)
		if retried && err.Error() != said {
			said = err.Error()
			d.Log.Warn("cannot follow a change of the box; trying on", "err", err)
		}
	}
}

// watchGuard has the guard put back when somebody else removes it, until ctx
// ends.
func (d *director) watchGuard(ctx context.Context, g *guard.Guard) error {
	for {
		err := g.Watch(ctx, d.wake)
		if ctx.Err() != nil {
			return nil
		}
		d.Log.Warn("the guard is not watched for a moment", "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(againAfter):
		}
	}
}

func (d *director) followOnce(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.showLocked()
	return d.followLocked(ctx)
}

// followLocked does all that a change may ask for. Each part does nothing when
// there is nothing to do.
func (d *director) followLocked(ctx context.Context) error {
	box := d.box()
	reopened, err := d.rings.follow(ctx, box.NICs)
	for _, nic := range reopened {
		d.Log.Info("the NIC is back, its rings are open again", "nic", nic)
	}
	d.warnOfLocalLocked(box.Local)
	return errors.Join(err,
		d.keepGuardLocked(),
		d.tellRingsLocked(),
		d.announcer.Set(box, virtualAddresses(d.plane.Services())),
	)
}

// warnOfLocalLocked warns of realservers that are the box itself. No NIC leads
// there, so nobody would answer their clients.
func (d *director) warnOfLocalLocked(local []netip.Addr) {
	var list []netip.Addr
	for _, service := range d.config.Services {
		for _, rs := range service.Realservers {
			addr := rs.Address.Addr()
			if slices.Contains(local, addr) && !slices.Contains(list, addr) {
				list = append(list, addr)
			}
		}
	}
	for _, addr := range list {
		if !slices.Contains(d.localServers, addr) {
			d.Log.Warn("a realserver's address is one of the director's own, where no packet can be sent: take it out of the services", "address", addr)
		}
	}
	d.localServers = list
}

// tellRingsLocked tells the rings which addresses clients send to.
func (d *director) tellRingsLocked() error {
	virtual := virtualAddresses(d.plane.Services())
	if slices.Equal(virtual, d.virtual) {
		return nil
	}
	if err := d.rings.setVirtual(virtual); err != nil {
		return err
	}
	d.virtual = virtual
	return nil
}
