package ipvsadm

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/control"
	"lvsnat/cmd/director/internal/names"
	"lvsnat/scheduler"
)

// fakeDirector holds a state in memory, under the rules of the daemon.
type fakeDirector struct {
	mu          sync.Mutex
	state       control.State
	counters    map[string]control.Service // by protocol and address; without realservers
	servers     map[string]control.Realserver
	connections []control.Connection
	zeroed      [][]scheduler.Key
	replaced    int
	interfere   func(*control.State) // changes the state before it is replaced; at most once
	err         error                // of all questions
}

func newFake() *fakeDirector {
	return &fakeDirector{
		state:    control.State{Timeouts: config.Timeouts{TCP: 900 * time.Second, TCPFIN: 120 * time.Second, UDP: 300 * time.Second}},
		counters: make(map[string]control.Service),
		servers:  make(map[string]control.Realserver),
	}
}

func (d *fakeDirector) State(context.Context) (control.State, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state, d.err
}

func (d *fakeDirector) Replace(_ context.Context, s control.State) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.interfere != nil {
		d.interfere(&d.state)
		d.state.Revision++
		d.interfere = nil
	}
	if s.Revision != d.state.Revision {
		return control.ErrChanged
	}
	next := config.Config{VIPNIC: "eth0", DIPNIC: "eth1", Connections: 1, Timeouts: s.Timeouts, Services: s.Services}
	if err := config.Check(&next); err != nil {
		return err
	}
	d.state = s
	d.state.Revision++
	d.replaced++
	return nil
}

func (d *fakeDirector) Services(context.Context) (control.Services, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list control.Services
	for _, spec := range d.state.Services {
		name := counterName(control.ProtocolName(spec.Protocol), spec.Address.String())
		s := d.counters[name]
		s.Protocol, s.Address = control.ProtocolName(spec.Protocol), spec.Address.String()
		for _, rs := range spec.Realservers {
			c := d.servers[name+" "+rs.Address.String()]
			c.Address = rs.Address.String()
			s.Realservers = append(s.Realservers, c)
		}
		list.Services = append(list.Services, s)
	}
	return list, d.err
}

func (d *fakeDirector) Connections(_ context.Context, _ control.Filter, each func(control.Connection) error) (bool, error) {
	for _, c := range d.connections {
		if err := each(c); err != nil {
			return false, err
		}
	}
	return true, d.err
}

func (d *fakeDirector) Zero(_ context.Context, keys ...scheduler.Key) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.zeroed = append(d.zeroed, keys)
	for name, s := range d.counters {
		if len(keys) == 0 || slices.ContainsFunc(keys, func(k scheduler.Key) bool { return k.Address().String() == s.Address }) {
			s.SinceZero, s.Rate = control.Traffic{}, control.Rate{}
			d.counters[name] = s
			for server, c := range d.servers {
				if strings.HasPrefix(server, name+" ") {
					c.SinceZero, c.Rate = control.Traffic{}, control.Rate{}
					d.servers[server] = c
				}
			}
		}
	}
	return d.err
}

// open makes a connection that has just been opened by one packet.
func (d *fakeDirector) open(protocol, client, virtual, real string) {
	c := control.Connection{Protocol: protocol, State: "UDP", Client: client, Virtual: virtual, Real: real, ExpiresMs: 299_990}
	t := control.Traffic{Connections: 1, RequestPackets: 1, RequestBytes: 28}
	rs := control.Realserver{Inactive: 1, SinceZero: t}
	if protocol == "tcp" {
		c.State, c.ExpiresMs = "SYN_RECV", 59_990
		t.RequestBytes = 60
		rs = control.Realserver{Active: 1, SinceZero: t}
	}
	name := counterName(protocol, virtual)
	d.counters[name] = control.Service{Protocol: protocol, Address: virtual, SinceZero: t}
	d.servers[name+" "+real] = rs
	d.connections = append(d.connections, c)
}

// fakeNames knows the hosts that the tests name, and the usual ports.
type fakeNames struct{ names.Services }

var testNames = fakeNames{names.ReadServices(strings.NewReader(`
telnet 23/tcp
http 80/tcp www
https 443/tcp
https 443/udp
snpp 444/tcp
microsoft-ds 445/tcp
domain 53/tcp
domain 53/udp
http-alt 8080/tcp webcache
`))}

func (fakeNames) Host(name string) (netip.Addr, bool) {
	if name == "localhost" {
		return netip.MustParseAddr("127.0.0.1"), true
	}
	return netip.Addr{}, false
}

func (fakeNames) HostName(addr netip.Addr) string {
	if addr.String() == "127.0.0.1" {
		return "localhost"
	}
	return ""
}
