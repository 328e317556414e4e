package daemon

import (
	"context"
	"time"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/control"
	"lvsnat/cmd/director/internal/estimator"
	"lvsnat/scheduler"
)

// State is what can be changed at run time.
func (d *director) State(context.Context) (control.State, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return control.State{Revision: d.revision, Timeouts: d.config.Timeouts, Services: d.config.Services}, nil
}

// Replace puts another state in force. It lasts until the next reload or
// restart, when the file counts again.
func (d *director) Replace(ctx context.Context, s control.State) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.showLocked()
	if s.Revision != d.revision {
		return 0, control.ErrChanged
	}
	next := *d.config
	next.Timeouts, next.Services = s.Timeouts, s.Services
	// Only what a file could say is taken, so that save always writes one that
	// can be loaded.
	if err := config.Check(&next); err != nil {
		return 0, err
	}
	changes := differences(d.config, &next)
	if err := d.applyLocked(ctx, &next); err != nil {
		return 0, err
	}
	d.config = &next
	d.revision++
	for _, change := range changes {
		d.Log.Info("changed at run time: " + change)
	}
	d.wake()
	return d.revision, nil
}

// Difference says what a reload would change.
func (d *director) Difference(context.Context) (control.Reloaded, error) {
	next, err := config.Load(d.File)
	if err != nil {
		return control.Reloaded{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	done := control.Reloaded{Version: control.Version, Changes: []string{}, Restart: []string{}}
	done.Restart = append(done.Restart, keepFixed(next, d.config)...)
	done.Changes = append(done.Changes, differences(d.config, next)...)
	return done, nil
}

// Config is the configuration in force.
func (d *director) Config(context.Context) (control.Saved, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return control.Saved{Version: control.Version, Text: string(config.Marshal(d.config))}, nil
}

// Zero makes shown counters begin anew. Those that metrics show go on.
func (d *director) Zero(ctx context.Context, services []scheduler.Key) error {
	stats, err := d.plane.Stats(ctx)
	if err != nil {
		return err
	}
	d.estimator.Zero(stats.Services, services...)
	return nil
}

// beginCounts lets the counters that ipvsadm shows begin at 0 for services that
// are new or were away, those of their realservers included, as in IPVS
// (__ip_vs_update_dest in ip_vs_ctl.c). Connections that a service had before
// are still counted as active or inactive.
func (d *director) beginCounts(ctx context.Context, services []scheduler.Key) {
	if len(services) == 0 {
		return
	}
	// It fails only in a director that has stopped, where nobody looks.
	_ = d.Zero(ctx, services)
}

// added lists the services of next that are not in old.
func added(old, next []scheduler.ServiceSpec) []scheduler.Key {
	was := make(map[scheduler.Key]bool, len(old))
	for _, s := range old {
		was[s.Key()] = true
	}
	var keys []scheduler.Key
	for _, s := range next {
		if !was[s.Key()] {
			keys = append(keys, s.Key())
		}
	}
	return keys
}

// estimate samples the counters for rates until ctx ends.
func (d *director) estimate(ctx context.Context) error {
	ticker := time.NewTicker(estimator.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		stats, err := d.plane.Stats(ctx)
		if err != nil {
			return err
		}
		d.estimator.Sample(stats.Services)
	}
}
