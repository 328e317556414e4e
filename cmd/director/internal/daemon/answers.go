package daemon

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/control"
	"lvsnat/cmd/director/internal/metrics"
	"lvsnat/cmd/director/internal/network"
	"lvsnat/dataplane"
	"lvsnat/dataplane/packet"
)

var (
	_ control.Director = (*director)(nil)
	_ metrics.Source   = (*director)(nil)
)

// Services reads the counters of services.
func (d *director) Services(ctx context.Context) (control.Services, error) {
	stats, err := d.plane.Stats(ctx)
	return control.ServicesOf(stats.Services, d.estimator.Read(stats.Services)), err
}

// Connections lists the connection table.
func (d *director) Connections(ctx context.Context, each func(dataplane.Connection) bool) error {
	return d.plane.Connections(ctx, each)
}

// Stats reads the dataplane's counters.
func (d *director) Stats(ctx context.Context) (dataplane.Stats, error) { return d.plane.Stats(ctx) }

// A view is what can be looked at while something changes: what was in force
// when the last change was complete. It is immutable.
type view struct {
	config      *config.Config
	loaded      time.Time
	reloadError error
	restart     []string
	guardActive bool
	guardReason string
	classifier  control.ClassifierStatus
	virtual     []netip.Prefix
}

// showLocked lets those who look see what is in force now.
func (d *director) showLocked() {
	classifying, why := d.guard.Classifier()
	d.shown.Store(&view{
		config:      d.config,
		loaded:      d.loaded,
		reloadError: d.reloadError,
		restart:     d.restart,
		guardActive: d.guard.active,
		guardReason: d.guard.reason,
		classifier:  control.ClassifierStatus{Active: classifying, Reason: why},
		virtual:     d.virtual,
	})
}

// Facts are what metrics show beside the counters.
func (d *director) Facts() metrics.Facts {
	v := d.shown.Load()
	return metrics.Facts{
		NICs:         d.nics,
		GuardMode:    string(v.config.Guard),
		GuardActive:  v.guardActive,
		Classifying:  v.classifier.Active,
		TCPProfile:   v.config.TCPProfile.String(),
		ARPConflicts: d.announcer.Stats().Conflicts,
		ReloadOK:     v.reloadError == nil,
		ConfigLoaded: v.loaded,
		Build:        d.Build,
	}
}

// Status says how the director is.
func (d *director) Status(ctx context.Context) (control.Status, error) {
	stats, err := d.plane.Stats(ctx)
	if err != nil {
		return control.Status{}, err
	}
	v, box := d.shown.Load(), d.box()
	s := control.Status{
		Version:           control.Version,
		Release:           d.Build.Version,
		PID:               os.Getpid(),
		Started:           d.started,
		UptimeSeconds:     time.Since(d.started).Seconds(),
		Config:            control.ConfigStatus{File: d.File, Loaded: v.loaded, Restart: v.restart},
		Guard:             control.GuardStatus{Mode: string(v.config.Guard), Active: v.guardActive, Reason: v.guardReason, Classifier: v.classifier},
		Workers:           d.workers,
		Threads:           stats.Threads,
		TCPProfile:        v.config.TCPProfile.String(),
		Packets:           make(map[string]uint64, dataplane.NumVerdicts),
		VIPs:              vipsOf(v.virtual, box.Local, d.plane),
		ARPConflictsTotal: d.announcer.Stats().Conflicts,
		ARPConflicts:      []control.ARPConflict{},
	}
	if v.reloadError != nil {
		s.Config.Error = v.reloadError.Error()
	}
	for port, nic := range box.NICs {
		s.NICs = append(s.NICs, nicOf(port, len(d.nics), nic))
	}
	severest := dataplane.FloodNone
	for _, w := range stats.Workers {
		addWorker(&s, w)
		severest = max(severest, w.Flood)
	}
	s.Connections.Flood = severest.String()
	for _, c := range d.announcer.Conflicts() {
		s.ARPConflicts = append(s.ARPConflicts, control.ARPConflict{
			Address: c.VIP.String(), MAC: macText(c.MAC), NIC: d.nics[dataplane.VIPPort], Count: c.Count, LastSeen: c.Last,
		})
	}
	return s, nil
}

func addWorker(s *control.Status, w dataplane.WorkerStats) {
	s.Connections.Current += w.Connections
	s.Connections.HalfOpen += w.HalfOpen
	s.Connections.Limit += w.Capacity
	s.Connections.Evicted += w.Evicted
	s.Connections.Admitted += w.Admitted
	for v, n := range w.Verdicts {
		s.Packets[dataplane.Verdict(v).String()] += n
	}
	for port, p := range w.Ports {
		nic := &s.NICs[port]
		nic.Received += p.Receiver.Received
		nic.ReceiveDropped += p.Receiver.Dropped
		nic.Truncated += p.Receiver.Truncated
		nic.Sent += p.Sender.Sent
		nic.TransmitDropped += p.Sender.Dropped
	}
}

func nicOf(port, ports int, nic network.NIC) control.NIC {
	role := "vip"
	switch {
	case ports == 1:
		role = "vip+dip"
	case port == dataplane.DIPPort:
		role = "dip"
	}
	n := control.NIC{Name: nic.Name, Role: role, Up: nic.Up, MTU: nic.MTU}
	if nic.MAC != (packet.MAC{}) {
		n.MAC = macText(nic.MAC)
	}
	return n
}

// vipsOf lists the VIPs. Of a range, addresses that the kernel owns are listed
// by themselves behind it, unless they have services of their own.
func vipsOf(virtual []netip.Prefix, local []netip.Addr, plane *dataplane.Dataplane) []control.VIP {
	services := make(map[netip.Prefix]int)
	for _, s := range plane.Services().Services() {
		services[s.Address().Prefix()]++
	}
	vips := []control.VIP{}
	add := func(address, arp string, services int) {
		vips = append(vips, control.VIP{Address: address, ARP: arp, Services: services})
	}
	for _, prefix := range virtual {
		own := slices.Contains(local, prefix.Addr())
		switch {
		case prefix.IsSingleIP() && own:
			add(prefix.Addr().String(), "kernel", services[prefix])
		case prefix.IsSingleIP():
			add(prefix.Addr().String(), "director", services[prefix])
		default:
			add(prefix.String(), "director", services[prefix])
			for _, addr := range local {
				if prefix.Contains(addr) && services[netip.PrefixFrom(addr, 32)] == 0 {
					add(addr.String(), "kernel", services[prefix])
				}
			}
		}
	}
	return vips
}

func macText(mac packet.MAC) string { return net.HardwareAddr(mac[:]).String() }
