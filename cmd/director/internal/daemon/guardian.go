package daemon

import (
	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/guard"
)

// A guardian is the guard with the decision for or against it.
type guardian struct {
	*guard.Guard
	active bool
	reason string

	classifier string // why it is there or not, as the log has it last
}

// decide says whether the guard is to be there in a mode and state.
func (g *guardian) decide(mode config.Guard, s guard.State) (use bool, reason string, err error) {
	if mode == config.GuardNone {
		return guard.Decide(guard.None, guard.Facts{})
	}
	if g.active {
		// That it can be there needs no trial, which under load can hold up a
		// reload for seconds: to remove a hook the kernel waits for all
		// processors (synchronize_rcu in nf_unregister_net_hook).
		return true, g.reason, nil
	}
	facts, err := g.Gather(s)
	if err != nil {
		return false, "", err
	}
	return guard.Decide(guard.Mode(mode), facts)
}

// apply carries a decision out.
func (g *guardian) apply(use bool, reason string, s guard.State) error {
	if use {
		if err := g.Set(s); err != nil {
			return err
		}
	} else if err := g.takeAway(); err != nil {
		return err
	}
	g.active, g.reason = use, reason
	return nil
}

// takeAway removes a guard that is not wanted, one that a crash has left
// included. A kernel that cannot have a guard has none.
func (g *guardian) takeAway() error {
	if err := g.Remove(); err != nil && g.Supported() == nil {
		return err
	}
	return nil
}

// putUpGuard decides about the guard for the first time.
func (d *director) putUpGuard() error {
	made, err := guard.New(d.nics...)
	if err != nil {
		return err
	}
	d.guard.Guard = made
	s := handled(nil, d.plane.Services(), d.box().Local)
	use, reason, err := d.guard.decide(d.config.Guard, s)
	if err != nil {
		return err
	}
	d.later(d.takeDownGuard)
	if err := d.guard.apply(use, reason, s); err != nil {
		return err
	}
	d.Log.Info("guard", "mode", string(d.config.Guard), "active", use, "reason", reason)
	return nil
}

// takeDownGuard is the guard's end at a clean stop.
func (d *director) takeDownGuard() error {
	if !d.guard.active {
		return nil
	}
	return d.guard.Remove()
}

// keepGuardLocked brings the guard up to date. Without one, it looks whether
// that is still safe: an address that was added to the box may be a VIP.
func (d *director) keepGuardLocked() error {
	defer d.tellOfClassifierLocked()
	s := handled(nil, d.plane.Services(), d.box().Local)
	if d.guard.active {
		return d.guard.Set(s)
	}
	if d.config.Guard != config.GuardAuto {
		return nil
	}
	use, reason, err := d.guard.decide(d.config.Guard, s)
	if err != nil {
		d.guard.reason = err.Error()
		return err
	}
	return d.guard.apply(use, reason, s)
}

// tellOfClassifierLocked logs what has become of the guard's classifier. It is a
// matter of speed only, so that it is never worth a warning.
func (d *director) tellOfClassifierLocked() {
	active, why := d.guard.Classifier()
	if why != "" && why != d.guard.classifier {
		d.Log.Info("guard: classifier", "active", active, "reason", why)
	}
	d.guard.classifier = why
}
