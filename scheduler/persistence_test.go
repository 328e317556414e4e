package scheduler

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

const second = int64(time.Second)

// persistent is a service with rr, two servers and persistence.
func persistent(timeout time.Duration, netmask uint32) ServiceSpec {
	s := spec("rr", "10.1.1.2", "10.1.1.3")
	s.Persistence, s.Netmask = timeout, netmask
	return s
}

func TestAClientStaysWithItsServer(t *testing.T) {
	service := apply(t, newSet(), persistent(300*time.Second, 0))
	first, bound := service.Pick(Client{Addr: 1, Now: 0})
	if !bound {
		t.Fatal("the connection is not bound")
	}
	for i := range int64(5) {
		if rs := choose(service, Client{Addr: 1, Port: uint16(i), Now: i * 200 * second}); rs != first {
			t.Fatalf("connection %d went to another server", i)
		}
	}
	if other := choose(service, Client{Addr: 2}); other == first {
		t.Error("another client should get the next server")
	}
}

func TestABondEndsAfterItsTimeoutAndItsConnections(t *testing.T) {
	service := apply(t, newSet(), persistent(300*time.Second, 0))
	first := choose(service, Client{Addr: 1, Now: 0})
	service.Closed(1, first.ID, 1*second)
	t.Run("not within the timeout after the last connection was opened", func(t *testing.T) {
		if rs := choose(service, Client{Addr: 1, Now: 299 * second}); rs != first {
			t.Error("the bond was lost within its timeout")
		}
	})
	t.Run("not while a connection lives", func(t *testing.T) {
		if rs := choose(service, Client{Addr: 1, Now: 1000 * second}); rs != first {
			t.Error("the bond was lost under a living connection")
		}
	})
	service.Closed(1, first.ID, 1001*second)
	service.Closed(1, first.ID, 1002*second)
	t.Run("and after that within a minute", func(t *testing.T) {
		if rs := choose(service, Client{Addr: 1, Now: 1059 * second}); rs != first {
			t.Error("the bond was lost within its timeout")
		}
		service.Closed(1, first.ID, 1060*second)
	})
	t.Run("then it does", func(t *testing.T) {
		if rs := choose(service, Client{Addr: 1, Now: 1120 * second}); rs == first {
			t.Error("the bond outlived its timeout")
		}
	})
}

// A connection's clock has ticks, so it may seem to end a little later than the
// template that was touched at the same moment.
func TestABondEndsWithAConnectionOfTheSameTimeout(t *testing.T) {
	service := apply(t, newSet(), persistent(10*time.Second, 0))
	first := choose(service, Client{Addr: 1, Now: 0})
	service.Closed(1, first.ID, 10*second+int64(100*time.Millisecond))
	if rs := choose(service, Client{Addr: 1, Now: 11 * second}); rs == first {
		t.Error("the bond outlived its timeout")
	}
}

// As in IPVS, where the template's timer keeps the timeout that it was made
// with.
func TestABondKeepsTheTimeoutItWasMadeWith(t *testing.T) {
	set := newSet()
	service := apply(t, set, persistent(100*time.Second, 0))
	first := choose(service, Client{Addr: 1, Now: 0})
	service.Closed(1, first.ID, 1*second)
	apply(t, set, persistent(10*time.Second, 0))
	if rs := choose(service, Client{Addr: 1, Now: 50 * second}); rs != first {
		t.Error("the bond was cut short")
	}
	service.Closed(1, first.ID, 51*second)
	if rs := choose(service, Client{Addr: 1, Now: 149 * second}); rs != first {
		t.Error("the bond has another timeout now")
	}
}

func TestABondThatIsLateGoesInStepsOfAMinute(t *testing.T) {
	service := apply(t, newSet(), persistent(100*time.Second, 0))
	first := choose(service, Client{Addr: 1, Now: 0})
	service.Closed(1, first.ID, 130*second) // 30 s late: kept up to 160 s
	if rs := choose(service, Client{Addr: 1, Now: 159 * second}); rs != first {
		t.Error("lost before the step was over")
	}
	service.Closed(1, first.ID, 159*second)
	if rs := choose(service, Client{Addr: 1, Now: 260 * second}); rs == first {
		t.Error("kept too long")
	}
}

func TestANetmaskBindsNetworks(t *testing.T) {
	service := apply(t, newSet(), persistent(time.Minute, 0xffff_ff00))
	if choose(service, Client{Addr: 0x0a00_0001}) != choose(service, Client{Addr: 0x0a00_00fe}) {
		t.Error("two clients of one /24 have two servers")
	}
	if choose(service, Client{Addr: 0x0a00_0001}) == choose(service, Client{Addr: 0x0a00_0101}) {
		t.Error("clients of two /24 have one server, though rr gives them two")
	}
}

func TestABoundClientKeepsAQuiescedServerButNotARemovedOne(t *testing.T) {
	set := newSet()
	wanted := persistent(time.Minute, 0)
	service := apply(t, set, wanted)
	first := choose(service, Client{Addr: 1})
	for i := range wanted.Realservers {
		if hostOrder(wanted.Realservers[i].Address.Addr()) == first.Addr {
			wanted.Realservers[i].Weight = 0
		}
	}
	apply(t, set, wanted)
	if choose(service, Client{Addr: 1}) != first {
		t.Error("weight 0 took the client's server away")
	}
	for i := range wanted.Realservers {
		if hostOrder(wanted.Realservers[i].Address.Addr()) == first.Addr {
			wanted.Realservers = append(wanted.Realservers[:i:i], wanted.Realservers[i+1:]...)
			break
		}
	}
	apply(t, set, wanted)
	if rs := choose(service, Client{Addr: 1}); rs == nil || rs == first {
		t.Errorf("after its server was removed the client got %v", rs)
	}
}

func TestTemplatesAreListedCountedAndSwept(t *testing.T) {
	service := apply(t, newSet(), persistent(time.Minute, 0))
	first := choose(service, Client{Addr: 1, Now: 0})
	service.Assure(1, first.ID)
	list := service.Templates(10 * second)
	if len(list) != 1 || list[0] != (Template{ClientAddr: 1, Dest: first.ID, Expires: 50 * time.Second, Assured: true}) {
		t.Errorf("templates are %+v", list)
	}
	if n := service.Persistent(first.ID); n != 1 {
		t.Errorf("%d templates are counted, want 1", n)
	}
	service.Sweep(1000 * second)
	if service.Persistent(first.ID) != 1 {
		t.Error("a template with a connection was swept")
	}
	service.Closed(1, first.ID, 1000*second)
	service.Sweep(2000 * second)
	if n := service.Persistent(first.ID); n != 0 || len(service.Templates(2000*second)) != 0 {
		t.Errorf("%d templates are left", n)
	}
}

func TestAServiceForAllPorts(t *testing.T) {
	set := newSet()
	all := persistent(time.Minute, 0)
	all.Address = address("192.168.1.110:0")
	for i := range all.Realservers {
		all.Realservers[i].Address = addrPort(all.Realservers[i].Address.Addr().String() + ":0")
	}
	web := spec("rr", "10.1.1.9")
	if err := set.Apply([]ServiceSpec{all, web}); err != nil {
		t.Fatal(err)
	}
	snapshot := set.Snapshot()
	vip := hostOrder(all.Address.Addr())
	if s := snapshot.ServiceFor(Key{Addr: vip, Port: 12345, Protocol: 6}); s == nil || s.Port != 0 {
		t.Errorf("port 12345 is served by %v", s)
	}
	if s := snapshot.ServiceFor(Key{Addr: vip, Port: 80, Protocol: 6}); s == nil || s.Port != 80 {
		t.Errorf("port 80 has a service of its own, got %v", s)
	}
	if s := snapshot.ServiceFor(Key{Addr: vip, Port: 80, Protocol: 17}); s != nil {
		t.Errorf("UDP is served by %v", s)
	}
	if rs := snapshot.Origin(Key{Addr: hostOrder(all.Realservers[0].Address.Addr()), Port: 999, Protocol: 6}); rs == nil {
		t.Error("a reply from any port of the realserver should be known")
	}
}

// IDs are used again, and a bond must not lead to a stranger.
func TestABondToAForgottenServerBindsToNoOther(t *testing.T) {
	set := newSet()
	wanted := persistent(300*time.Second, 0)
	service := apply(t, set, wanted)
	first := choose(service, Client{Addr: 1})
	wanted.Realservers = slices.DeleteFunc(wanted.Realservers, func(rs RealserverSpec) bool {
		return hostOrder(rs.Address.Addr()) == first.Addr
	})
	apply(t, set, wanted)
	service.Closed(1, first.ID, 1*second)
	set.Reclaim(func(*Realserver) bool { return true })
	added := RealserverSpec{Address: netip.MustParseAddrPort("10.1.1.99:80")}
	wanted.Realservers = append(wanted.Realservers, added)
	apply(t, set, wanted)
	if rs := choose(service, Client{Addr: 1, Now: 2 * second}); rs == nil || rs.Weight() == 0 {
		t.Errorf("the client got %v, a server of weight 0 that it never had", rs)
	}
	set.Reclaim(func(*Realserver) bool { return true })
	if set.Snapshot().Dest(first.ID) != nil {
		t.Error("the server is kept though nobody is bound to it")
	}
}
