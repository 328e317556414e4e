package ipvsadm

import (
	"net/netip"
	"slices"
	"time"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/control"
	"lvsnat/scheduler"
)

// A table is a copy of the director's state on which commands are carried out.
type table struct {
	control.State
	before  []scheduler.ServiceSpec
	zeroAll bool
	zero    []scheduler.Key
}

// newTable makes a table of a state, which stays as it is.
func newTable(s control.State) *table {
	t := &table{State: s, before: s.Services}
	t.Services = slices.Clone(s.Services)
	for i := range t.Services {
		t.Services[i].Realservers = slices.Clone(t.Services[i].Realservers)
	}
	return t
}

// changes reports whether a command changes a table.
func (c *command) changes() bool {
	switch c.verb {
	case list, save:
		return false
	}
	return true
}

// change carries out a command. The errors are those of the kernel, in its
// order (ip_vs_genl_set_cmd in net/netfilter/ipvs/ip_vs_ctl.c).
func (t *table) change(c *command) error {
	switch c.verb {
	case addService:
		return t.addService(c)
	case editService:
		return t.editService(c)
	case deleteService:
		return t.deleteService(c)
	case clearAll:
		t.Services = nil
	case zero:
		return t.zeroCounters(c)
	case addServer, editServer, deleteServer:
		return t.changeServer(c)
	case setTimeouts:
		return t.setTimeouts(c)
	case startDaemon:
		return errSyncDaemon
	case stopDaemon:
		return errNoDaemon
	}
	return nil
}

// find returns the index of a service, or -1.
func (t *table) find(service target) int {
	if service.mark != 0 {
		return -1
	}
	address := service.address()
	return slices.IndexFunc(t.Services, func(s scheduler.ServiceSpec) bool {
		return s.Protocol == service.protocol && s.Address == address
	})
}

func (t *table) addService(c *command) error {
	switch {
	case t.find(c.service) >= 0:
		return errServiceExists
	case c.service.mark != 0:
		return errMark
	case c.service.protocol == sctp:
		return errSCTP
	case c.service.addr.Is6():
		return errIPv6
	}
	if err := checkScheduling(c); err != nil {
		return err
	}
	t.Services = append(t.Services, t.keep(c.spec()))
	return nil
}

func (t *table) editService(c *command) error {
	i := t.find(c.service)
	if i < 0 {
		return errNoService
	}
	if err := checkScheduling(c); err != nil {
		return err
	}
	servers := t.Services[i].Realservers
	t.Services[i] = t.keep(c.spec())
	t.Services[i].Realservers = servers
	return nil
}

// keep returns a service with what it had before the change and no option can
// say, as far as it means something to its scheduler now. So -E leaves that
// alone, and so does a -R that takes a service away and adds it again.
func (t *table) keep(s scheduler.ServiceSpec) scheduler.ServiceSpec {
	for _, was := range t.before {
		if was.Protocol != s.Protocol || was.Address != s.Address {
			continue
		}
		if slices.Contains(scheduler.RotatesTies(), s.Scheduler) {
			s.RotateTies = was.RotateTies
		}
		if slices.Contains(scheduler.StartsSlowly(), s.Scheduler) {
			s.SlowStart = was.SlowStart
		}
	}
	return s
}

func checkScheduling(c *command) error {
	if c.engine != "" || !slices.Contains(scheduler.Names(), c.schedulerOrDefault()) {
		return errNoScheduler
	}
	if c.given[persistent] && c.netmask == 0 {
		return errAllClients
	}
	return nil
}

func (t *table) deleteService(c *command) error {
	i := t.find(c.service)
	if i < 0 {
		return errNoService
	}
	t.Services = slices.Delete(t.Services, i, i+1)
	return nil
}

func (t *table) zeroCounters(c *command) error {
	if !c.given[service] {
		t.zeroAll = true
		return nil
	}
	i := t.find(c.service)
	if i < 0 {
		return errNoService
	}
	t.zero = append(t.zero, t.Services[i].Key())
	return nil
}

func (t *table) changeServer(c *command) error {
	i := t.find(c.service)
	if i < 0 {
		return errNotDefined
	}
	if c.verb != deleteServer && c.lower > c.upper {
		return errRange
	}
	s := &t.Services[i]
	want := c.serverSpec()
	j := slices.IndexFunc(s.Realservers, func(rs scheduler.RealserverSpec) bool { return rs.Address == want.Address })
	switch {
	case c.verb == addServer && j >= 0:
		return errServerExists
	case c.verb == addServer && !unicast(want.Address.Addr()):
		return errInvalid
	case c.verb == addServer:
		s.Realservers = append(s.Realservers, want)
	case j < 0:
		return errNoServer
	case c.verb == editServer:
		s.Realservers[j] = want
	default:
		s.Realservers = slices.Delete(s.Realservers, j, j+1)
	}
	return nil
}

// unicast reports whether the kernel takes the address for one host's
// (inet_addr_type in net/ipv4/fib_frontend.c).
func unicast(addr netip.Addr) bool {
	broadcast := addr == netip.AddrFrom4([4]byte{255, 255, 255, 255})
	return !addr.IsMulticast() && !broadcast && addr.As4()[0] != 0
}

func (t *table) setTimeouts(c *command) error {
	next := t.Timeouts
	for i, field := range []*time.Duration{&next.TCP, &next.TCPFIN, &next.UDP} {
		if c.timeouts[i] != 0 {
			*field = time.Duration(c.timeouts[i]) * time.Second
		}
	}
	if config.CheckTimeouts(next) != nil {
		return errInvalid // as where the kernel counts 1000 ticks a second
	}
	t.Timeouts = next
	return nil
}
