package daemon

import (
	"context"
	"time"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/control"
)

// loggedChanges is how many changes of one reload are logged each in its words.
// Who reloads by the control socket is told all, and the log has their number.
const loggedChanges = 20

// obeyHangups reloads at each SIGHUP until ctx ends.
func (d *director) obeyHangups(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.Hangups:
			// Reload logs what became of it, and a broken file ends nobody.
			_, _ = d.Reload(ctx)
		}
	}
}

// Reload reads the configuration file again and applies what differs. On an
// error nothing has changed.
func (d *director) Reload(ctx context.Context) (control.Reloaded, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return control.Reloaded{}, err // who asked has gone while others changed something
	}
	defer d.showLocked()
	d.tell(d.Notifier.reloading())
	defer func() { d.tell(d.Notifier.ready()) }()
	done, err := d.reloadLocked(ctx)
	d.reloadError = err
	if err != nil {
		d.Log.Error("the configuration was not reloaded", "err", err)
		return done, err
	}
	for _, change := range done.Changes[:min(len(done.Changes), loggedChanges)] {
		d.Log.Info("reload: " + change)
	}
	if len(done.Restart) > 0 {
		d.Log.Info("reload: only a restart applies the rest", "keys", done.Restart)
	}
	d.Log.Info("the configuration is reloaded", "file", d.File, "changes", len(done.Changes))
	return done, nil
}

func (d *director) reloadLocked(ctx context.Context) (control.Reloaded, error) {
	done := control.Reloaded{Version: control.Version, Changes: []string{}, Restart: []string{}}
	now := time.Now()
	next, err := config.Load(d.File)
	if err != nil {
		return done, err
	}
	done.Restart = append(done.Restart, keepFixed(next, d.config)...)
	done.Changes = append(done.Changes, differences(d.config, next)...)
	if err := d.applyLocked(ctx, next); err != nil {
		return done, err
	}
	d.config, d.loaded, d.restart = next, now, done.Restart
	d.revision++
	// What is left to do is not the file's fault and is tried again, so that
	// the reload does not fail for it.
	d.wake()
	return done, nil
}

// applyLocked makes next the configuration in force, or leaves all as it is.
func (d *director) applyLocked(ctx context.Context, next *config.Config) error {
	// The guard comes first and has both the old and the new: the kernel must
	// not reset the first connection to a new service, nor those that an old
	// one has left.
	s := handled(next.Services, d.plane.Services(), d.box().Local)
	use, reason, err := d.guard.decide(next.Guard, s)
	if err != nil {
		return err
	}
	before := d.guard
	if err := d.guard.apply(use, reason, s); err != nil {
		return err
	}
	if err := d.enforceLocked(ctx, next); err != nil {
		d.wake() // takes what was added to the guard away again
		d.guard = before
		return err
	}
	return nil
}

// enforceLocked is applyLocked's part in the dataplane.
func (d *director) enforceLocked(ctx context.Context, next *config.Config) error {
	if err := d.plane.SetServices(next.Services); err != nil {
		return err
	}
	// From here on an asker that goes away cannot stop half-way.
	ctx = context.WithoutCancel(ctx)
	d.beginCounts(ctx, added(d.config.Services, next.Services))
	if next.Timeouts != d.config.Timeouts {
		return d.plane.SetTimeouts(ctx, timeoutsOf(next))
	}
	return nil
}

// keepFixed puts the present values of the keys that cannot change at run time
// into next and returns the names of those that differed.
func keepFixed(next, present *config.Config) []string {
	var keys []string
	if next.VIPNIC != present.VIPNIC {
		keys = append(keys, "vip_nic")
	}
	if next.DIPNIC != present.DIPNIC {
		keys = append(keys, "dip_nic")
	}
	if next.Workers != present.Workers {
		keys = append(keys, "workers")
	}
	if next.Connections != present.Connections {
		keys = append(keys, "max_connections")
	}
	if next.Metrics != present.Metrics {
		keys = append(keys, "metrics")
	}
	if next.TCPProfile != present.TCPProfile {
		keys = append(keys, "tcp_profile")
		next.Timeouts = present.Timeouts // those of the file are the other profile's
	}
	next.TCPProfile = present.TCPProfile
	next.VIPNIC, next.DIPNIC, next.Workers = present.VIPNIC, present.DIPNIC, present.Workers
	next.Connections, next.Metrics = present.Connections, present.Metrics
	return keys
}
