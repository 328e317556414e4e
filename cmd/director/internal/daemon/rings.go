package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"lvsnat/cmd/director/internal/network"
	"lvsnat/dataplane"
	"lvsnat/dataplane/afpacket"
)

// rings are the receive and transmit rings of all workers on all NICs. They are
// used under the director's lock.
type rings struct {
	plane     *dataplane.Dataplane
	placement afpacket.Placement
	ports     []*nicRings
	abandoned []*nicRings          // by an attach that did not reach all workers
	waiters   [][]*afpacket.Waiter // by worker, then by the groups that begin with it
	retired   [][]*afpacket.Waiter // those before waiters; see attach
}

// nicRings are the rings of all workers on one NIC.
type nicRings struct {
	index   int // the kernel's number of the NIC they were opened on
	mtu     int
	fanout  *afpacket.Fanout
	senders []*afpacket.Sender // by worker
}

// openNIC opens all workers' rings on one NIC.
func openNIC(nic network.NIC, p afpacket.Placement) (_ *nicRings, err error) {
	r := &nicRings{index: nic.Index, mtu: nic.MTU}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if r.fanout, err = afpacket.OpenFanout(nic.Name, p, afpacket.Options{}); err != nil {
		return nil, err
	}
	for range p.Workers {
		sender, err := afpacket.OpenSender(nic.Name, afpacket.Options{})
		if err != nil {
			return nil, err
		}
		r.senders = append(r.senders, sender)
	}
	return r, nil
}

// lost reports whether the rings are on a NIC that is not the present one of
// its name.
func (r *nicRings) lost(nic network.NIC) bool {
	return r.index != nic.Index || r.fanout.Dead()
}

func (r *nicRings) close() error {
	err := afpacket.CloseSenders(r.senders)
	if r.fanout != nil {
		err = errors.Join(r.fanout.Close(), err)
	}
	return err
}

// open opens the rings of all NICs and attaches them to the workers.
func (r *rings) open(ctx context.Context, nics []network.NIC) error {
	var ports []*nicRings
	for port, nic := range nics {
		opened, err := openNIC(nic, r.placementOn(port))
		if err != nil {
			return errors.Join(err, closeNICs(ports))
		}
		ports = append(ports, opened)
	}
	return r.attach(ctx, ports)
}

// follow opens the rings of NICs anew that were lost and have come back, and
// tells senders of a changed MTU. It returns the names of the NICs it reopened.
func (r *rings) follow(ctx context.Context, nics []network.NIC) (reopened []string, err error) {
	var errs []error
	for port, nic := range nics {
		switch {
		case nic.Index == 0:
			continue
		case !r.ports[port].lost(nic):
			r.ports[port].setMTU(nic.MTU)
			continue
		}
		if err := r.reopen(ctx, port, nic); err != nil {
			errs = append(errs, err)
			continue
		}
		reopened = append(reopened, nic.Name)
	}
	return reopened, errors.Join(errs...)
}

func (r *nicRings) setMTU(mtu int) {
	if r.mtu == mtu {
		return
	}
	r.mtu = mtu
	for _, s := range r.senders {
		s.SetMTU(mtu)
	}
}

func (r *rings) reopen(ctx context.Context, port int, nic network.NIC) error {
	opened, err := openNIC(nic, r.placementOn(port))
	if err != nil {
		return err
	}
	ports := slices.Clone(r.ports)
	ports[port] = opened
	return r.attach(ctx, ports)
}

// attach gives the workers new rings and closes those of the present ones that
// are not among them.
func (r *rings) attach(ctx context.Context, ports []*nicRings) error {
	waiters, err := newWaiters(ports, r.placement.Workers)
	if err != nil {
		return errors.Join(err, closeNICs(without(ports, r.ports)))
	}
	// Whoever wakes a worker at this moment may hold the waiter it has had.
	// Closed now, that wake could go to a descriptor that is somebody else's
	// already. The next time a NIC is lost, it has long been over.
	err = closeWaiters(r.retired)
	r.retired, r.waiters = r.waiters, waiters
	old := without(r.ports, ports)
	r.ports = ports
	for worker := range r.placement.Workers {
		if err := r.plane.Attach(ctx, worker, portsOf(ports, worker), waitersOf(waiters[worker])); err != nil {
			// Only a director that stops gets here. A worker may still be on
			// the old rings, so their memory stays until all have ended.
			r.abandoned = append(r.abandoned, old...)
			return fmt.Errorf("attach rings to worker %d: %w", worker, err)
		}
	}
	return errors.Join(err, closeNICs(old))
}

// portsOf returns one worker's rings.
func portsOf(nics []*nicRings, worker int) []dataplane.Port {
	var ports []dataplane.Port
	for _, nic := range nics {
		ports = append(ports, dataplane.Port{Receiver: nic.fanout.Receivers()[worker], Sender: nic.senders[worker]})
	}
	return ports
}

// newWaiters makes the waiters for each worker's receivers and for those of the
// groups that begin with it.
func newWaiters(nics []*nicRings, workers int) ([][]*afpacket.Waiter, error) {
	waiters := make([][]*afpacket.Waiter, workers)
	for worker := range workers {
		for _, size := range dataplane.GroupsOf(worker, workers) {
			waiter, err := afpacket.NewWaiter(receiversOf(nics, worker, size)...)
			if err != nil {
				return nil, errors.Join(err, closeWaiters(waiters))
			}
			waiters[worker] = append(waiters[worker], waiter)
		}
	}
	return waiters, nil
}

// receiversOf returns the receivers of some workers, as far as there are so
// many.
func receiversOf(nics []*nicRings, first, workers int) []*afpacket.Receiver {
	var receivers []*afpacket.Receiver
	for _, nic := range nics {
		all := nic.fanout.Receivers()
		receivers = append(receivers, all[first:min(first+workers, len(all))]...)
	}
	return receivers
}

// waitersOf returns one worker's waiters as the dataplane knows them.
func waitersOf(list []*afpacket.Waiter) []dataplane.Waiter {
	var waiters []dataplane.Waiter
	for _, w := range list {
		waiters = append(waiters, w)
	}
	return waiters
}

// without returns those of list that are not in others.
func without(list, others []*nicRings) []*nicRings {
	return slices.DeleteFunc(slices.Clone(list), func(r *nicRings) bool { return slices.Contains(others, r) })
}

func closeNICs(list []*nicRings) error {
	var errs []error
	for _, nic := range list {
		errs = append(errs, nic.close())
	}
	return errors.Join(errs...)
}

func closeWaiters(list [][]*afpacket.Waiter) error {
	var errs []error
	for _, w := range slices.Concat(list...) {
		errs = append(errs, w.Close())
	}
	return errors.Join(errs...)
}

// setVirtual tells the kernel which addresses clients send to.
func (r *rings) setVirtual(virtual []netip.Prefix) error {
	r.placement.Virtual = virtual
	var errs []error
	for port, nic := range r.ports {
		// Rings that are opened for a NIC's return get the present placement.
		if nic.fanout.Dead() {
			continue
		}
		if err := nic.fanout.SetPlacement(r.placementOn(port)); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (r *rings) placementOn(port int) afpacket.Placement {
	p := r.placement
	p.FacesClients = port == dataplane.VIPPort
	return p
}

// close closes everything. No worker may use it any more.
func (r *rings) close() error {
	return errors.Join(
		closeNICs(r.ports), closeNICs(r.abandoned),
		closeWaiters(r.waiters), closeWaiters(r.retired),
	)
}
