package scheduler

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// spec is a service at 192.168.1.110:80 with servers "10.1.1.2*3" at port 80,
// the number behind the star being the weight.
func spec(scheduler string, servers ...string) ServiceSpec {
	s := ServiceSpec{Address: address("192.168.1.110:80"), Protocol: 6, Scheduler: scheduler}
	for _, server := range servers {
		addr, weight, ok := strings.Cut(server, "*")
		rs := RealserverSpec{Address: netip.AddrPortFrom(netip.MustParseAddr(addr), 80), Weight: 1}
		if ok {
			rs.Weight = 0
			for _, digit := range weight {
				rs.Weight = rs.Weight*10 + int(digit-'0')
			}
		}
		s.Realservers = append(s.Realservers, rs)
	}
	return s
}

func apply(t *testing.T, set *Set, specs ...ServiceSpec) *Service {
	t.Helper()
	if err := set.Apply(specs); err != nil {
		t.Fatal(err)
	}
	if len(specs) == 0 {
		return nil
	}
	return set.Snapshot().Service(specs[0].Key())
}

// choose returns the server that a new connection gets.
func choose(s *Service, client Client) *Realserver {
	rs, _ := s.Pick(client)
	return rs
}

// picks opens n connections and returns the last byte of each chosen address,
// 0 where none was chosen.
func picks(s *Service, n int) []byte {
	var chosen []byte
	for range n {
		rs := choose(s, Client{})
		if rs == nil {
			chosen = append(chosen, 0)
			continue
		}
		rs.Opened()
		rs.Activated()
		chosen = append(chosen, byte(rs.Addr))
	}
	return chosen
}

func TestRoundRobin(t *testing.T) {
	tests := []struct {
		name    string
		servers []string
		want    []byte
	}{
		{"the server added last is first", []string{"10.1.1.2", "10.1.1.3", "10.1.1.4"}, []byte{4, 3, 2, 4, 3, 2, 4}},
		{"weights do not matter", []string{"10.1.1.2*9", "10.1.1.3"}, []byte{3, 2, 3, 2}},
		{"weight 0 is passed over", []string{"10.1.1.2", "10.1.1.3*0", "10.1.1.4"}, []byte{4, 2, 4, 2}},
		{"one server has all", []string{"10.1.1.2"}, []byte{2, 2, 2}},
		{"all at weight 0: nobody", []string{"10.1.1.2*0", "10.1.1.3*0"}, []byte{0, 0}},
		{"no servers: nobody", nil, []byte{0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			service := apply(t, newSet(), spec("rr", tt.servers...))
			if got := picks(service, len(tt.want)); !slices.Equal(got, tt.want) {
				t.Errorf("chose %v, want %v", got, tt.want)
			}
		})
	}
}

func TestRoundRobinGoesOnBehindTheLastServerAfterAChange(t *testing.T) {
	set := newSet()
	service := apply(t, set, spec("rr", "10.1.1.2", "10.1.1.3", "10.1.1.4"))
	if got, want := picks(service, 2), []byte{4, 3}; !slices.Equal(got, want) {
		t.Fatalf("chose %v, want %v", got, want)
	}
	apply(t, set, spec("rr", "10.1.1.2", "10.1.1.3", "10.1.1.4", "10.1.1.5"))
	if got, want := picks(service, 3), []byte{2, 5, 4}; !slices.Equal(got, want) {
		t.Errorf("chose %v after a server was added, want %v", got, want)
	}
}

func TestRoundRobinGoesOnBehindAServerThatWasRemoved(t *testing.T) {
	set := newSet()
	service := apply(t, set, spec("rr", "10.1.1.2", "10.1.1.3", "10.1.1.4", "10.1.1.5"))
	if got, want := picks(service, 3), []byte{5, 4, 3}; !slices.Equal(got, want) {
		t.Fatalf("chose %v, want %v", got, want)
	}
	apply(t, set, spec("rr", "10.1.1.2", "10.1.1.5"))
	if got, want := picks(service, 2), []byte{2, 5}; !slices.Equal(got, want) {
		t.Errorf("chose %v after the last two servers were removed, want %v", got, want)
	}
}

func TestWeightedLeastConnection(t *testing.T) {
	tests := []struct {
		name    string
		servers []string
		want    []byte
	}{
		{"equals: the server added last is first", []string{"10.1.1.2", "10.1.1.3", "10.1.1.4"}, []byte{4, 3, 2, 4, 3, 2}},
		{"by weight", []string{"10.1.1.2*2", "10.1.1.3"}, []byte{3, 2, 2, 3, 2, 2}},
		{"weight 0 gets nothing", []string{"10.1.1.2*0", "10.1.1.3"}, []byte{3, 3}},
		{"large weights do not overflow", []string{"10.1.1.2*65535", "10.1.1.3*65535"}, []byte{3, 2, 3, 2}},
		{"all at weight 0: nobody", []string{"10.1.1.2*0"}, []byte{0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			service := apply(t, newSet(), spec("wlc", tt.servers...))
			if got := picks(service, len(tt.want)); !slices.Equal(got, tt.want) {
				t.Errorf("chose %v, want %v", got, tt.want)
			}
		})
	}
}

func TestAnActiveConnectionWeighs256InactiveOnes(t *testing.T) {
	set := newSet()
	service := apply(t, set, spec("wlc", "10.1.1.2", "10.1.1.3"))
	three, two := service.Realservers()[0], service.Realservers()[1]
	three.Opened()
	three.Activated()
	for range 255 {
		two.Opened()
	}
	if got := choose(service, Client{}); got != two {
		t.Errorf("chose the server with 1 active connection over one with 255 inactive")
	}
	two.Opened()
	if got := choose(service, Client{}); got != three {
		t.Errorf("256 inactive connections should weigh as much as 1 active, and the first in the list win")
	}
}

func TestApplyKeepsWhatIsInBothStates(t *testing.T) {
	set := newSet()
	service := apply(t, set, spec("rr", "10.1.1.2", "10.1.1.3"))
	rs := service.Realservers()[0]
	rs.Opened()
	again := apply(t, set, spec("wlc", "10.1.1.3*5", "10.1.1.4"))
	if again != service {
		t.Error("the service became another object")
	}
	if got := again.Realservers()[1]; got != rs || got.Weight() != 5 || got.Inactive() != 1 {
		t.Errorf("the realserver lost its identity, count or new weight: %+v", got)
	}
	if again.Scheduler() != "wlc" {
		t.Errorf("scheduler is %s", again.Scheduler())
	}
}

func TestARemovedRealserverFinishesItsConnections(t *testing.T) {
	set := newSet()
	service := apply(t, set, spec("rr", "10.1.1.2", "10.1.1.3"))
	gone := service.Realservers()[1]
	gone.Opened()
	apply(t, set, spec("rr", "10.1.1.3"))
	if got := picks(service, 2); !slices.Equal(got, []byte{3, 3}) {
		t.Errorf("chose %v, want only the server that is left", got)
	}
	snapshot := set.Snapshot()
	if !gone.Removed() || snapshot.Dest(gone.ID) != gone || snapshot.Origin(Key{Addr: gone.Addr, Port: gone.Port, Protocol: 6}) != gone {
		t.Error("a removed server with a connection must stay known")
	}
	set.Reclaim(func(*Realserver) bool { t.Error("reclaimed a server that has a connection"); return true })

	gone.Closed(false)
	if !set.Snapshot().Finished() {
		t.Error("the last connection has ended, but the server does not count as finished")
	}
	set.Reclaim(func(rs *Realserver) bool { return rs == gone })
	snapshot = set.Snapshot()
	if snapshot.Dest(gone.ID) != nil || snapshot.Origin(Key{Addr: gone.Addr, Port: gone.Port, Protocol: 6}) != nil {
		t.Error("a reclaimed server is still known")
	}
	apply(t, set, spec("rr", "10.1.1.3", "10.1.1.9"))
	if added := service.Realservers()[0]; added.ID != gone.ID {
		t.Errorf("the free ID %d was not used again: got %d", gone.ID, added.ID)
	}
}

func TestARemovedRealserverComesBackWithItsConnections(t *testing.T) {
	set := newSet()
	service := apply(t, set, spec("rr", "10.1.1.2", "10.1.1.3"))
	two := service.Realservers()[1]
	two.Opened()
	apply(t, set, spec("rr", "10.1.1.3"))
	apply(t, set, spec("rr", "10.1.1.3", "10.1.1.2"))
	if back := service.Realservers()[0]; back != two || back.Removed() || back.Inactive() != 1 {
		t.Errorf("the server came back as %+v, want the same with its connection", back)
	}
}

func TestAVIPStaysKnownWhileARemovedServiceHasConnections(t *testing.T) {
	set := newSet()
	service := apply(t, set, spec("rr", "10.1.1.2"))
	rs := service.Realservers()[0]
	rs.Opened()
	apply(t, set)
	snapshot := set.Snapshot()
	if !snapshot.Virtual(service.Addr) || snapshot.Service(service.Key) != nil || len(snapshot.Services()) != 0 {
		t.Error("the service should be gone and its address still be known as a VIP")
	}
	rs.Closed(false)
	set.Reclaim(func(*Realserver) bool { return true })
	if set.Snapshot().Virtual(service.Addr) {
		t.Error("the VIP outlived its last connection")
	}
}

func TestApplyRefuses(t *testing.T) {
	v6 := spec("rr", "10.1.1.2")
	v6.Address = address("[2001:db8::1]:80")
	v6Server := spec("rr", "10.1.1.2")
	v6Server.Realservers[0].Address = netip.MustParseAddrPort("[2001:db8::2]:80")
	tests := []struct {
		name   string
		wanted []ServiceSpec
		says   string
	}{
		{"an unknown scheduler", []ServiceSpec{spec("fastest")}, `unknown scheduler "fastest"`},
		{"a service twice", []ServiceSpec{spec("rr"), spec("wlc")}, "listed twice"},
		{"a realserver twice", []ServiceSpec{spec("rr", "10.1.1.2", "10.1.1.2*3")}, "10.1.1.2:80: listed twice"},
		{"a weight too large", []ServiceSpec{spec("rr", "10.1.1.2*65536")}, "weight 65536"},
		{"an IPv6 service", []ServiceSpec{v6}, "not an IPv4 address"},
		{"an IPv6 realserver", []ServiceSpec{v6Server}, "not an IPv4 address"},
		{"all ports without persistence", []ServiceSpec{{Address: address("192.168.1.110:0"), Protocol: 6, Scheduler: "rr"}}, "must be persistent"},
		{"port 0 in a service that has a port", []ServiceSpec{{
			Address: address("192.168.1.110:80"), Protocol: 6, Scheduler: "rr",
			Realservers: []RealserverSpec{{Address: addrPort("10.1.1.2:0")}},
		}}, "port 0 is for services with port 0 or a range"},
		{"one packet by TCP", []ServiceSpec{{Address: address("192.168.1.110:80"), Protocol: 6, Scheduler: "rr", OnePacket: true}}, "is for UDP"},
		{"one packet for all ports", []ServiceSpec{{
			Address: address("192.168.1.110:0"), Protocol: 17, Scheduler: "rr", OnePacket: true, Persistence: 1,
		}}, "needs a port"},
		{"one packet with a shared realserver", []ServiceSpec{
			{Address: address("192.168.1.110:53"), Protocol: 17, Scheduler: "rr", OnePacket: true,
				Realservers: []RealserverSpec{{Address: addrPort("10.1.1.2:53")}}},
			{Address: address("192.168.1.111:53"), Protocol: 17, Scheduler: "rr",
				Realservers: []RealserverSpec{{Address: addrPort("10.1.1.2:53")}}},
		}, "could not be told apart"},
		{"ties that cannot rotate", []ServiceSpec{{Address: address("192.168.1.110:80"), Protocol: 6, Scheduler: "rr", RotateTies: true}}, "rr has no ties"},
		{"slow start without shares", []ServiceSpec{{Address: address("192.168.1.110:80"), Protocol: 6, Scheduler: "sh", SlowStart: 1}}, "sh knows no slow start"},
		{"slow start of less than nothing", []ServiceSpec{{Address: address("192.168.1.110:80"), Protocol: 6, Scheduler: "wlc", SlowStart: -1}}, "below 0"},
		{"a lower threshold above the upper", []ServiceSpec{{
			Address: address("192.168.1.110:80"), Protocol: 6, Scheduler: "rr",
			Realservers: []RealserverSpec{{Address: addrPort("10.1.1.2:80"), Upper: 2, Lower: 3}},
		}}, "must not be above"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := newSet()
			before := apply(t, set, spec("rr", "10.1.1.7"))
			err := set.Apply(tt.wanted)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want an error with %q", err, tt.says)
			}
			if set.Snapshot().Service(before.Key) != before || len(before.Realservers()) != 1 {
				t.Error("a refused state has changed something")
			}
		})
	}
}

func TestNoChoiceAllocates(t *testing.T) {
	for _, name := range Names() {
		service := manyServers(t, name, 20)
		if allocs := testing.AllocsPerRun(200, func() { choose(service, Client{}) }); allocs != 0 {
			t.Errorf("%s: %v allocations a choice", name, allocs)
		}
	}
}

// BenchmarkPick is one new connection by each algorithm, by the number of
// servers, of which half are busy: the choice, and what it counts. As in a flood
// another one ends for each that comes.
func BenchmarkPick(b *testing.B) {
	for _, name := range Names() {
		for _, servers := range []int{1, 10, 100, 1000} {
			b.Run(fmt.Sprintf("%s/%d", name, servers), func(b *testing.B) {
				service := manyServers(b, name, servers)
				var open [64]*Realserver
				for client := uint32(0); b.Loop(); client++ {
					connection := &open[client%uint32(len(open))]
					if *connection != nil {
						(*connection).Closed(true)
					}
					if *connection = choose(service, Client{Addr: client}); *connection != nil {
						occupy(*connection, 1)
					}
				}
			})
		}
	}
}

// manyServers is a service with n servers, of weights 1 to 3, half of them
// with connections.
func manyServers(tb testing.TB, scheduler string, n int) *Service {
	service := manyServersOf(tb, newSet(), scheduler, n)
	for i, rs := range service.Realservers() {
		if rs.Opened(); i%2 == 0 {
			rs.Activated()
		}
	}
	return service
}

// manyServersOf is the only service of a set, with n idle servers.
func manyServersOf(tb testing.TB, set *Set, scheduler string, n int) *Service {
	if err := set.Apply([]ServiceSpec{manySpec(scheduler, n, 0)}); err != nil {
		tb.Fatal(err)
	}
	return set.Snapshot().Services()[0]
}

// manySpec is a service with n servers of weights 1 to 3, which shift shifts.
func manySpec(scheduler string, n, shift int) ServiceSpec {
	wanted := spec(scheduler)
	for i := range n {
		wanted.Realservers = append(wanted.Realservers, RealserverSpec{
			Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 80), Weight: 1 + (i+shift)%3,
		})
	}
	return wanted
}

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func address(s string) Address { return MustParseAddress(s) }
