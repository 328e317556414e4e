package daemon

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/guard"
	"lvsnat/conntrack"
	"lvsnat/scheduler"
)

func TestMissingCapabilitiesAreNamed(t *testing.T) {
	tests := []struct {
		name string
		has  uint32
		want string
	}{
		{"both", 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW, ""},
		{"one", 1 << unix.CAP_NET_ADMIN, "CAP_NET_RAW missing: run as root"},
		{"the other", 1 << unix.CAP_NET_RAW, "CAP_NET_ADMIN missing: run as root"},
		{"none", 0, "CAP_NET_ADMIN and CAP_NET_RAW missing: run as root"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := lacking(test.has)
			if (err == nil) != (test.want == "") || err != nil && !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func spec(address string, realservers ...string) scheduler.ServiceSpec {
	s := scheduler.ServiceSpec{Address: scheduler.MustParseAddress(address), Protocol: unix.IPPROTO_TCP, Scheduler: "rr"}
	for _, rs := range realservers {
		s.Realservers = append(s.Realservers, scheduler.RealserverSpec{Address: netip.MustParseAddrPort(rs), Weight: 1})
	}
	return s
}

// The kernel must be kept from what is left of a removed service, and its
// address must go on being answered for.
func TestARemovedServiceIsHandledWhileItHasConnections(t *testing.T) {
	set := scheduler.Set{Random: func() uint32 { return 0 }}
	must(t, set.Apply([]scheduler.ServiceSpec{spec("192.168.1.110:80", "10.1.1.2:8000"), spec("192.168.1.111:80", "10.1.1.3:80")}))
	old := set.Snapshot().Services()[0].Realservers()[0]
	old.Opened()
	must(t, set.Apply([]scheduler.ServiceSpec{spec("192.168.1.111:80", "10.1.1.3:80")}))
	set.Reclaim(func(*scheduler.Realserver) bool { return true })

	service := guard.Endpoint{Protocol: unix.IPPROTO_TCP, Addr: scheduler.MustParseAddress("192.168.1.110:80")}
	server := guard.Endpoint{Protocol: unix.IPPROTO_TCP, Addr: scheduler.MustParseAddress("10.1.1.2:8000")}
	s := handled(nil, set.Snapshot(), nil)
	if !slices.Contains(s.Services, service) || !slices.Contains(s.Realservers, server) {
		t.Errorf("not handled any more: %+v", s)
	}
	if v := virtualAddresses(set.Snapshot()); len(v) != 2 || !slices.Contains(v, service.Addr.Prefix()) {
		t.Errorf("virtual addresses %v", v)
	}

	old.Closed(false)
	set.Reclaim(func(*scheduler.Realserver) bool { return true })
	s = handled(nil, set.Snapshot(), nil)
	if slices.Contains(s.Services, service) || slices.Contains(s.Realservers, server) {
		t.Errorf("still handled: %+v", s)
	}
	if v := virtualAddresses(set.Snapshot()); len(v) != 1 {
		t.Errorf("virtual addresses %v", v)
	}
}

func TestWhatIsWantedIsHandledBeforeItIsInForce(t *testing.T) {
	var set scheduler.Set
	local := []netip.Addr{netip.MustParseAddr("10.1.1.1")}
	s := handled([]scheduler.ServiceSpec{spec("192.168.1.110:80", "10.1.1.2:8000")}, set.Snapshot(), local)
	want := guard.State{
		Services:    []guard.Endpoint{{Protocol: 6, Addr: scheduler.MustParseAddress("192.168.1.110:80")}},
		Realservers: []guard.Endpoint{{Protocol: 6, Addr: scheduler.MustParseAddress("10.1.1.2:8000")}},
		Local:       local,
	}
	if !slices.Equal(s.Services, want.Services) || !slices.Equal(s.Realservers, want.Realservers) || !slices.Equal(s.Local, want.Local) {
		t.Errorf("got %+v, want %+v", s, want)
	}
}

func TestRangesAreHandledWithTheirRealservers(t *testing.T) {
	var set scheduler.Set
	wanted := []scheduler.ServiceSpec{
		spec("192.168.1.96/28:5000-5999", "10.1.1.2:0", "10.1.1.3:8000"), spec("192.168.1.96/28:80", "10.1.1.2:80"),
	}
	must(t, set.Apply(wanted))
	endpoint := func(text string) guard.Endpoint {
		return guard.Endpoint{Protocol: 6, Addr: scheduler.MustParseAddress(text)}
	}
	for what, s := range map[string]guard.State{"wanted": handled(wanted, new(scheduler.Set).Snapshot(), nil), "in force": handled(nil, set.Snapshot(), nil)} {
		for _, service := range []string{"192.168.1.96/28:5000-5999", "192.168.1.96/28:80"} {
			if !slices.Contains(s.Services, endpoint(service)) {
				t.Errorf("%s: %s is not among %v", what, service, s.Services)
			}
		}
		for _, server := range []string{"10.1.1.2:5000-5999", "10.1.1.3:8000", "10.1.1.2:80"} {
			if !slices.Contains(s.Realservers, endpoint(server)) {
				t.Errorf("%s: %s is not among %v", what, server, s.Realservers)
			}
		}
	}
	if v := virtualAddresses(set.Snapshot()); !slices.Equal(v, []netip.Prefix{netip.MustParsePrefix("192.168.1.96/28")}) {
		t.Errorf("virtual addresses %v, want the range once", v)
	}
}

func TestDifferencesAreSaidInSentences(t *testing.T) {
	const name = "service tcp 192.168.1.110:80"
	base := func() scheduler.ServiceSpec { return spec("192.168.1.110:80", "10.1.1.2:80", "10.1.1.3:80") }
	tests := []struct {
		name   string
		change func(c *config.Config)
		want   []string
	}{
		{"nothing", func(*config.Config) {}, nil},
		{"the guard", func(c *config.Config) { c.Guard = config.GuardNone }, []string{"guard: none, was auto"}},
		{"a timeout", func(c *config.Config) { c.Timeouts.UDP = time.Minute }, []string{"timeouts: tcp 0s, tcpfin 0s, udp 1m0s, were 0s, 0s, 0s"}},
		{"the timeout of the profile rfc", func(c *config.Config) { c.Timeouts.TCPSYN = time.Minute }, []string{"timeouts: tcpsyn 1m0s, was 0s"}},
		{"a service more", func(c *config.Config) {
			c.Services = append(c.Services, spec("192.168.1.110:443", "10.1.1.2:443"))
		}, []string{"service tcp 192.168.1.110:443: added, with 1 realservers"}},
		{"a service less", func(c *config.Config) { c.Services = nil }, []string{name + ": removed"}},
		{"another protocol is another service", func(c *config.Config) { c.Services[0].Protocol = unix.IPPROTO_UDP },
			[]string{"service udp 192.168.1.110:80: added, with 2 realservers", name + ": removed"}},
		{"a range more", func(c *config.Config) {
			c.Services = append(c.Services, spec("192.168.1.96/28:5000-5999", "10.1.1.2:0"))
		}, []string{"service tcp 192.168.1.96/28:5000-5999: added, with 1 realservers"}},
		{"the scheduler", func(c *config.Config) { c.Services[0].Scheduler = "wlc" }, []string{name + ": scheduler wlc, was rr"}},
		{"options", func(c *config.Config) {
			c.Services[0].OnePacket, c.Services[0].Flags.SHPort = true, true
			c.Services[0].Persistence, c.Services[0].Netmask = time.Minute, 0xffffff00
			c.Services[0].RotateTies, c.Services[0].SlowStart = true, 30*time.Second
		}, []string{
			name + ": flags [sh-port], was []", name + ": persistence 1m0s, was 0s", name + ": netmask 255.255.255.0, was 255.255.255.255",
			name + ": one_packet true, was false", name + ": rotate_ties true, was false", name + ": slow_start 30s, was 0s",
		}},
		{"a weight", func(c *config.Config) { c.Services[0].Realservers[1].Weight = 0 }, []string{name + ": realserver 10.1.1.3:80: weight 0, was 1"}},
		{"thresholds", func(c *config.Config) { c.Services[0].Realservers[0].Upper = 10 }, []string{name + ": realserver 10.1.1.2:80: thresholds 10 and 0, were 0 and 0"}},
		{"another realserver", func(c *config.Config) {
			c.Services[0].Realservers[0].Address = netip.MustParseAddrPort("10.1.1.4:80")
		}, []string{name + ": realserver 10.1.1.4:80 added, weight 1", name + ": realserver 10.1.1.2:80 removed"}},
		{"the order", func(c *config.Config) { slices.Reverse(c.Services[0].Realservers) }, []string{name + ": realservers in another order"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			old := &config.Config{Guard: config.GuardAuto, Services: []scheduler.ServiceSpec{base()}}
			next := &config.Config{Guard: config.GuardAuto, Services: []scheduler.ServiceSpec{base()}}
			test.change(next)
			if got := differences(old, next); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestTheTimeoutsOfAFileReachTheTable(t *testing.T) {
	c := &config.Config{
		TCPProfile: conntrack.RFC,
		Timeouts:   config.Timeouts{TCP: 2 * time.Hour, TCPFIN: time.Minute, UDP: 3 * time.Minute, TCPSYN: 30 * time.Second},
	}
	got := timeoutsOf(c)
	for state, want := range map[conntrack.State]time.Duration{
		conntrack.Established: c.Timeouts.TCP, conntrack.CloseWait: c.Timeouts.TCP, conntrack.TimeWait: c.Timeouts.TCPFIN,
		conntrack.UDP: c.Timeouts.UDP, conntrack.SynRecv: c.Timeouts.TCPSYN,
	} {
		if got.Of(state) != want {
			t.Errorf("%v: %v, want %v", state, got.Of(state), want)
		}
	}
}

func TestKeysThatNeedARestartKeepTheirValues(t *testing.T) {
	present := config.Config{VIPNIC: "eth0", DIPNIC: "eth1", Workers: 1, Connections: 10, Metrics: "a"}
	next := config.Config{VIPNIC: "eth2", DIPNIC: "eth3", Workers: 2, Connections: 20, Metrics: "b", TCPProfile: conntrack.RFC}
	next.Timeouts.TCP = time.Hour // of the profile that has to wait
	keys := keepFixed(&next, &present)
	if want := []string{"vip_nic", "dip_nic", "workers", "max_connections", "metrics", "tcp_profile"}; !slices.Equal(keys, want) {
		t.Errorf("keys %q, want %q", keys, want)
	}
	if next.Timeouts != present.Timeouts {
		t.Errorf("the timeouts of the other profile are in force: %+v", next.Timeouts)
	}
	if keys := keepFixed(&next, &present); len(keys) != 0 {
		t.Errorf("kept values differ still: %q", keys)
	}
}

// A lock's file is removed with the lock, so a newcomer may lock a file that
// has just been removed: then two would hold the lock.
func TestALockHasOneHolderHoweverOftenItIsReleased(t *testing.T) {
	path := filepath.Join(t.TempDir(), lockName)
	var holders, taken atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 300 {
				file, err := lockFile(path)
				if err != nil {
					continue
				}
				if holders.Add(1) != 1 {
					t.Error("two hold the lock")
				}
				taken.Add(1)
				holders.Add(-1)
				must(t, os.Remove(path))
				file.Close()
			}
		})
	}
	all.Wait()
	if taken.Load() == 0 {
		t.Error("nobody got the lock")
	}
}

func TestAStateDirectoryThatCannotBeMadeIsSaidSo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	_, err := lock(filepath.Join(file, "state"))
	if err == nil || !strings.Contains(err.Error(), "name another with --state-dir") {
		t.Errorf("got %v", err)
	}
}
