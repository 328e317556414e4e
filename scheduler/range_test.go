package scheduler

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAddressesAreReadAndWritten(t *testing.T) {
	for _, text := range []string{
		"192.168.1.110:80", "192.168.1.110:0", "192.168.1.110:5000-5999", "192.168.1.110:1-65535",
		"192.168.1.96/28:80", "192.168.1.96/28:0", "192.168.1.96/28:5000-5999", "[2001:db8::1]:80",
	} {
		a, err := ParseAddress(text)
		if err != nil || a.String() != text {
			t.Errorf("%s became %v, %v", text, a, err)
			continue
		}
		if a.Addr().Is4() {
			if key := (ServiceSpec{Address: a}).Key(); key.Address() != a {
				t.Errorf("%s became %v by its key", text, key.Address())
			}
		}
	}
	for text, want := range map[string]string{"192.168.1.110/32:80": "192.168.1.110:80", "192.168.1.110:80-80": "192.168.1.110:80"} {
		if a, err := ParseAddress(text); err != nil || a.String() != want || a != address(want) {
			t.Errorf("%s became %v, %v", text, a, err)
		}
	}
}

func TestBrokenAddressesAreRefused(t *testing.T) {
	for text, says := range map[string]string{
		"192.168.1.110":              "has no port; write 192.168.1.110:80",
		"":                           "has no port",
		"host:80":                    `"host" is not an address`,
		"192.168.1.96/33:80":         `"192.168.1.96/33" is not an address`,
		"192.168.1.96/:80":           "is not an address",
		"192.168.1.110/28:80":        "192.168.1.110 is not the first address of its range; write 192.168.1.96/28",
		"192.168.1.110:6000-5000":    "end before they begin; write 5000-6000",
		"192.168.1.110:0-99":         "begin at 0, which is no port; write 1-99",
		"192.168.1.110:5000-":        `"5000-" is neither a port nor a range of ports`,
		"192.168.1.110:-5999":        "neither a port",
		"192.168.1.110:5000-5999-1":  "neither a port",
		"192.168.1.110:5000-65536":   "neither a port",
		"192.168.1.110:5000 - 5999":  "neither a port",
		"192.168.1.110:05000-05999":  "neither a port",
		"192.168.1.110:":             "neither a port",
		"192.168.1.110-115:80":       "is not an address",
		"192.168.1.1-192.168.1.9:80": "is not an address",
	} {
		if a, err := ParseAddress(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q became %v, %v, want an error with %q", text, a, err, says)
		}
	}
}

// at makes a service for an address with one realserver.
func at(text, server string) ServiceSpec {
	s := ServiceSpec{Address: address(text), Protocol: 6, Scheduler: "rr", Persistence: time.Minute}
	if server != "" {
		s.Realservers = []RealserverSpec{{Address: addrPort(server), Weight: 1}}
	}
	return s
}

func TestTheMoreSpecificServiceServes(t *testing.T) {
	set := newSet()
	apply(t, set,
		at("192.168.1.0/24:0", ""), at("192.168.1.96/28:0", ""), at("192.168.1.96/28:1-2000", ""), at("192.168.1.96/28:80", ""),
		at("192.168.1.110:0", ""), at("192.168.1.110:5000-5999", ""), at("192.168.1.110:5100-5199", ""), at("192.168.1.110:5150", ""),
		at("192.168.1.110:6000-6000", ""), at("192.168.1.110:5000-5009", ""),
	)
	for packet, want := range map[string]string{
		"192.168.1.110:5150":  "192.168.1.110:5150",
		"192.168.1.110:5151":  "192.168.1.110:5100-5199",
		"192.168.1.110:5100":  "192.168.1.110:5100-5199",
		"192.168.1.110:5199":  "192.168.1.110:5100-5199",
		"192.168.1.110:5099":  "192.168.1.110:5000-5999",
		"192.168.1.110:5200":  "192.168.1.110:5000-5999",
		"192.168.1.110:5000":  "192.168.1.110:5000-5009",
		"192.168.1.110:5010":  "192.168.1.110:5000-5999",
		"192.168.1.110:5999":  "192.168.1.110:5000-5999",
		"192.168.1.110:6000":  "192.168.1.110:6000",
		"192.168.1.110:4999":  "192.168.1.110:0",
		"192.168.1.110:80":    "192.168.1.110:0", // the address counts before the port
		"192.168.1.96:80":     "192.168.1.96/28:80",
		"192.168.1.111:81":    "192.168.1.96/28:1-2000",
		"192.168.1.111:2001":  "192.168.1.96/28:0",
		"192.168.1.111:65535": "192.168.1.96/28:0",
		"192.168.1.112:80":    "192.168.1.0/24:0",
		"192.168.1.255:1":     "192.168.1.0/24:0",
		"192.168.2.0:80":      "",
		"192.168.0.255:80":    "",
	} {
		to := ServiceSpec{Address: address(packet), Protocol: 6}.Key()
		got := ""
		if s := set.Snapshot().ServiceFor(to); s != nil {
			got = s.Address().String()
		}
		if got != want {
			t.Errorf("%s is served by %q, want %q", packet, got, want)
		}
		if virtual := set.Snapshot().Virtual(to.Addr); virtual != (want != "") {
			t.Errorf("%s is a VIP: %v", packet, virtual)
		}
	}
}

// covers is the naive rule of what a service has.
func covers(a Address, addr uint32, port uint16) bool {
	first, last := a.Ports()
	return a.Prefix().Contains(Key{Addr: addr}.Address().Addr()) && first <= port && port <= last
}

// narrower reports whether a is more specific than b.
func narrower(a, b Address) bool {
	if x, y := a.Prefix().Bits(), b.Prefix().Bits(); x != y {
		return x > y
	}
	firstA, lastA := a.Ports()
	firstB, lastB := b.Ports()
	return lastA-firstA < lastB-firstB
}

// someAddress draws addresses of a small world, so that they often overlap.
func someAddress(t *rapid.T) Address {
	bits := rapid.SampledFrom([]int{32, 32, 31, 30, 28, 20}).Draw(t, "bits")
	addr := 0xc0a80000 | rapid.Uint32Range(0, 7).Draw(t, "addr")
	prefix := netip.PrefixFrom(Key{Addr: addr}.Address().Addr(), bits).Masked()
	port := rapid.Uint16Range(1, 12)
	first, last := port.Draw(t, "first"), port.Draw(t, "last")
	switch {
	case rapid.IntRange(0, 9).Draw(t, "all ports") == 0:
		first, last = 0, 0
	case rapid.Bool().Draw(t, "one port"):
		last = first
	case rapid.IntRange(0, 9).Draw(t, "up to the end") == 0:
		last = 65535
	}
	a, err := RangeOf(prefix, min(first, last), max(first, last))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// unordered is the naive rule of what Overlaps finds.
func unordered(a, b ServiceSpec) bool {
	firstA, lastA := a.Address.Ports()
	firstB, lastB := b.Address.Ports()
	return a.Protocol == b.Protocol && a.Address.Prefix() == b.Address.Prefix() &&
		(firstA < firstB && firstB <= lastA && lastA < lastB || firstB < firstA && firstA <= lastB && lastB < lastA)
}

func TestServiceForAgainstALinearSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var wanted []ServiceSpec
		seen := make(map[Key]bool)
		refused := false
		for range rapid.IntRange(0, 12).Draw(t, "services") {
			s := ServiceSpec{Address: someAddress(t), Protocol: rapid.SampledFrom([]uint8{6, 17}).Draw(t, "protocol"), Scheduler: "rr", Persistence: 1}
			if seen[s.Key()] {
				continue
			}
			seen[s.Key()] = true
			for _, other := range wanted {
				refused = refused || unordered(s, other)
			}
			wanted = append(wanted, s)
		}
		set := newSet()
		if err := set.Apply(wanted); (err != nil) != refused {
			t.Fatalf("applied with %v, but overlaps without an order: %v", err, refused)
		} else if refused {
			return
		}
		snapshot := set.Snapshot()
		for addr := uint32(0xc0a80000); addr < 0xc0a80000+40; addr++ {
			virtual := false
			for _, port := range []uint16{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 65535} {
				for _, protocol := range []uint8{6, 17} {
					var want *Service
					for _, s := range wanted {
						if s.Protocol == protocol && covers(s.Address, addr, port) && (want == nil || narrower(s.Address, want.Address())) {
							want = snapshot.Service(s.Key())
						}
						virtual = virtual || s.Address.Prefix().Contains(Key{Addr: addr}.Address().Addr())
					}
					key := Key{Addr: addr, Port: port, Protocol: protocol}
					if got := snapshot.ServiceFor(key); got != want {
						t.Fatalf("%v by %d: got %v, want %v", key.Address(), protocol, got, want)
					}
				}
			}
			if snapshot.Virtual(addr) != virtual {
				t.Fatalf("%v is a VIP: %v, want %v", Key{Addr: addr}.Address().Addr(), !virtual, virtual)
			}
		}
	})
}

func TestOverlapsFindsAServiceOfEachUnorderedPair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var specs []ServiceSpec
		var keys []Key
		for range rapid.IntRange(0, 8).Draw(t, "services") {
			s := ServiceSpec{Address: someAddress(t), Protocol: 6}
			specs, keys = append(specs, s), append(keys, s.Key())
		}
		found := Overlaps(keys)
		for _, o := range found {
			if !unordered(specs[o.First], specs[o.Second]) || o.First >= o.Second {
				t.Fatalf("%v and %v were found", specs[o.First].Address, specs[o.Second].Address)
			}
		}
		for i := range specs {
			for j := range i {
				if unordered(specs[i], specs[j]) && len(found) == 0 {
					t.Fatalf("%v and %v were not found", specs[j].Address, specs[i].Address)
				}
			}
		}
	})
}

func TestARealserverOfAPortRangeSendsFromThatRange(t *testing.T) {
	set := newSet()
	apply(t, set, at("192.168.1.110:5000-5999", "10.1.1.2:0"), at("192.168.1.111:5500-6500", "10.1.1.2:0"),
		at("192.168.1.112:7", "10.1.1.2:5100"), at("192.168.1.96/28:80", "10.1.1.3:8000"))
	for from, want := range map[string]string{
		"10.1.1.2:5000": "192.168.1.110:5000-5999",
		"10.1.1.2:5100": "192.168.1.112:7",
		"10.1.1.2:6500": "192.168.1.111:5500-6500",
		"10.1.1.2:4999": "",
		"10.1.1.2:6501": "",
		"10.1.1.3:8000": "192.168.1.96/28:80",
		"10.1.1.3:80":   "",
	} {
		got := ""
		if rs := set.Snapshot().Origin(ServiceSpec{Address: address(from), Protocol: 6}.Key()); rs != nil {
			got = rs.Service.Address().String()
		}
		if got != want {
			t.Errorf("what comes from %s belongs to %q, want %q", from, got, want)
		}
	}
}

func TestRangesThatAreRefused(t *testing.T) {
	udp := func(text string, alone bool, servers ...string) ServiceSpec {
		s := ServiceSpec{Address: address(text), Protocol: 17, Scheduler: "rr", OnePacket: alone}
		for _, server := range servers {
			s.Realservers = append(s.Realservers, RealserverSpec{Address: addrPort(server), Weight: 1})
		}
		return s
	}
	var many []ServiceSpec
	for i := range 17 {
		many = append(many, at(fmt.Sprintf("10.%d.0.0/20:80", i), ""))
	}
	for name, tt := range map[string]struct {
		wanted []ServiceSpec
		says   string
	}{
		"a partial overlap": {
			[]ServiceSpec{at("192.168.1.110:5000-5999", ""), at("192.168.1.110:1", ""), at("192.168.1.110:5500-6500", "")},
			"192.168.1.110:5000-5999 and 192.168.1.110:5500-6500",
		},
		"a range twice":            {[]ServiceSpec{at("192.168.1.96/28:80", ""), at("192.168.1.96/28:80", "")}, "192.168.1.96/28:80: listed twice"},
		"a range too wide":         {[]ServiceSpec{at("192.168.0.0/19:80", "")}, "wider than /20"},
		"ranges too large in all":  {many, "69632 addresses together, 65536 are the most"},
		"port 0 with one port":     {[]ServiceSpec{at("192.168.1.96/28:80", "10.1.1.2:0")}, "port 0 or a range of ports"},
		"one packet, addresses":    {[]ServiceSpec{udp("192.168.1.96/28:53", true)}, "does not tell which one was asked"},
		"one packet, mapped ports": {[]ServiceSpec{udp("192.168.1.96:50-59", true, "10.1.1.2:53")}, "has no port of its own"},
		"one packet, shared ports": {
			[]ServiceSpec{udp("192.168.1.96:50-59", true, "10.1.1.2:0"), udp("192.168.1.97:57", false, "10.1.1.2:57")},
			"could not be told apart",
		},
		"one packet within another's range": {
			[]ServiceSpec{udp("192.168.1.97:57", true, "10.1.1.2:57"), udp("192.168.1.96:1-5", false, "10.1.1.2:0"), udp("192.168.1.96:50-59", false, "10.1.1.2:0")},
			"192.168.1.96:50-59 and 192.168.1.97:57",
		},
	} {
		if err := newSet().Apply(tt.wanted); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v, want an error with %q", name, err, tt.says)
		}
	}
	allowed := []ServiceSpec{
		udp("192.168.1.96:50-59", true, "10.1.1.2:0", "10.1.1.3:0"), udp("192.168.1.97:60", true, "10.1.1.2:60"), udp("192.168.1.98:49", false, "10.1.1.2:49"),
	}
	if err := newSet().Apply(allowed); err != nil {
		t.Errorf("services that do not touch each other: %v", err)
	}
}

func TestPersistenceHoldsOverAWholeRange(t *testing.T) {
	service := apply(t, newSet(), func() ServiceSpec {
		s := persistent(time.Minute, 0)
		s.Address = address("192.168.1.96/28:80")
		return s
	}())
	first := choose(service, Client{Addr: 1, VirtualAddr: 0xc0a80160})
	for i := range uint32(16) {
		if choose(service, Client{Addr: 1, VirtualAddr: 0xc0a80160 + i}) != first {
			t.Fatalf("address %d led to another server", i)
		}
	}
}

// A packet of no connection is looked up without allocating, or a flood would
// keep the garbage collector busy.
func TestLookUpsDoNotAllocate(t *testing.T) {
	set := newSet()
	apply(t, set, at("192.168.1.96/28:5000-5999", "10.1.1.2:0"), at("192.168.1.0/24:80", "10.1.1.2:80"), at("192.168.1.110:80", "10.1.1.2:8000"))
	snapshot := set.Snapshot()
	for _, text := range []string{"192.168.1.110:80", "192.168.1.110:5500", "192.168.1.1:80", "192.168.1.1:81", "10.1.1.2:5500", "10.1.1.2:1"} {
		key := ServiceSpec{Address: address(text), Protocol: 6}.Key()
		n := testing.AllocsPerRun(100, func() {
			snapshot.ServiceFor(key)
			snapshot.Origin(key)
			snapshot.Virtual(key.Addr)
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

// BenchmarkServiceFor looks services up among many: those of one address and
// port, port ranges of one address, ranges of addresses, and what no service has.
func BenchmarkServiceFor(b *testing.B) {
	addr := func(i int) netip.Addr { return Key{Addr: 0x0a000000 + uint32(i)}.Address().Addr() }
	kinds := []struct {
		name    string
		address func(i int) string
		shift   uint32 // added to the port, to be within a range or beside all
	}{
		{"exact", func(i int) string { return fmt.Sprintf("%v:80", addr(i)) }, 0},
		{"ports", func(i int) string { return fmt.Sprintf("10.0.0.0:%d-%d", 1+6*i, 5+6*i) }, 2},
		{"addresses", func(i int) string { return fmt.Sprintf("%v/31:80", addr(2*i)) }, 0},
		{"lengths", func(i int) string { return fmt.Sprintf("%v/%d:80", addr(4096*(i/12)), 20+i%12) }, 0},
		{"none", func(i int) string { return fmt.Sprintf("%v/31:80", addr(2*i)) }, 1},
	}
	for _, kind := range kinds {
		for _, n := range []int{1, 10, 100, 1000, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", kind.name, n), func(b *testing.B) {
				x := indexOf(b, n, kind.address)
				keys := make([]Key, n)
				for i, s := range x.ordered {
					keys[i] = Key{Addr: s.Addr, Port: s.Port + uint16(kind.shift), Protocol: 6}
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					x.ServiceFor(keys[i])
					if i++; i == n {
						i = 0
					}
				}
			})
		}
	}
}

// indexOf makes a snapshot of n services.
func indexOf(b *testing.B, n int, text func(i int) string) *Snapshot {
	x := &Snapshot{services: make(map[Key]*Service)}
	for i := range n {
		key := ServiceSpec{Address: address(text(i)), Protocol: 6}.Key()
		x.services[key] = &Service{Key: key}
		x.ordered = append(x.ordered, x.services[key])
	}
	x.index()
	return x
}
