package config

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lvsnat/conntrack"
	"lvsnat/scheduler"
)

func TestWhatIsWrittenReadsAsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		config := drawConfig(t)
		text := Marshal(config)
		again, err := Parse("written", text)
		if err != nil {
			t.Fatalf("refused: %v\n%s", err, text)
		}
		if err := Check(config); err != nil {
			t.Fatalf("Parse takes it, Check does not: %v\n%s", err, text)
		}
		if !reflect.DeepEqual(again, config) {
			t.Fatalf("read again: %+v\nwritten:    %+v\n%s", again, config, text)
		}
	})
}

// drawConfig draws a valid configuration. VIPs are in 192.0.0.0/8 and realservers
// in 10.0.0.0/8, so that none is both.
func drawConfig(t *rapid.T) *Config {
	nic := rapid.StringMatching(`[!-.0-9;-~]{3,15}`)
	seconds := rapid.Map(rapid.IntRange(1, int(maxTimeout/time.Second)), func(n int) time.Duration { return time.Duration(n) * time.Second })
	config := Config{
		VIPNIC:      nic.Draw(t, "VIP NIC"),
		DIPNIC:      nic.Draw(t, "DIP NIC"),
		Workers:     rapid.IntRange(0, maxWorkers).Draw(t, "workers"),
		Connections: rapid.IntRange(1, maxConnections).Draw(t, "connections"),
		Metrics:     rapid.SampledFrom([]string{"", "0.0.0.0:80", "[::]:9105", "[fe80::1%eth0]:1"}).Draw(t, "metrics"),
		Guard:       rapid.SampledFrom([]Guard{GuardAuto, GuardNFT, GuardNone}).Draw(t, "guard"),
		Timeouts:    Timeouts{TCP: seconds.Draw(t, "tcp"), TCPFIN: seconds.Draw(t, "tcpfin"), UDP: seconds.Draw(t, "udp")},
	}
	if rapid.Bool().Draw(t, "profile rfc") {
		config.TCPProfile = conntrack.RFC
		config.Timeouts.TCPSYN = seconds.Draw(t, "tcpsyn")
	}
	addresses := rapid.SliceOfNDistinct(drawVirtual(), 0, 5, scheduler.Address.Prefix)
	for _, address := range addresses.Draw(t, "services") {
		service := scheduler.ServiceSpec{
			Address:   address,
			Protocol:  rapid.SampledFrom([]uint8{6, 17}).Draw(t, "protocol"),
			Scheduler: rapid.SampledFrom(scheduler.Names()).Draw(t, "scheduler"),
		}
		switch service.Scheduler {
		case "sh":
			service.Flags = scheduler.Flags{SHFallback: rapid.Bool().Draw(t, "fallback"), SHPort: rapid.Bool().Draw(t, "port")}
		case "mh":
			service.Flags = scheduler.Flags{MHFallback: rapid.Bool().Draw(t, "fallback"), MHPort: rapid.Bool().Draw(t, "port")}
		}
		if rapid.Bool().Draw(t, "persistent") {
			service.Persistence = time.Duration(rapid.IntRange(1, int(maxPersistence/time.Second)).Draw(t, "persistence")) * time.Second
			service.Netmask = rapid.Uint32Max(1<<32-2).Draw(t, "netmask")
			if rapid.Bool().Draw(t, "all ports") {
				service.Address, _ = scheduler.RangeOf(address.Prefix(), 0, 0)
			}
		}
		single := !service.Address.ManyAddrs() && !service.Address.ManyPorts()
		service.OnePacket = service.Protocol == 17 && single && rapid.Bool().Draw(t, "one packet")
		if slices.Contains(scheduler.RotatesTies(), service.Scheduler) {
			service.RotateTies = rapid.Bool().Draw(t, "rotate ties")
		}
		if slices.Contains(scheduler.StartsSlowly(), service.Scheduler) && rapid.Bool().Draw(t, "slow") {
			service.SlowStart = time.Duration(rapid.IntRange(1, int(maxSlowStart/time.Second)).Draw(t, "slow start")) * time.Second
		}
		for _, real := range rapid.SliceOfNDistinct(drawAddress(10), 0, 5, netip.AddrPort.Addr).Draw(t, "realservers") {
			if service.Address.ManyPorts() && rapid.Bool().Draw(t, "the port asked for") {
				real = netip.AddrPortFrom(real.Addr(), 0)
			}
			weight := rapid.IntRange(0, maxWeight).Draw(t, "weight")
			upper := rapid.IntRange(0, maxThreshold).Draw(t, "upper threshold")
			lower := rapid.IntRange(0, upper).Draw(t, "lower threshold")
			service.Realservers = append(service.Realservers, scheduler.RealserverSpec{Address: real, Weight: weight, Upper: upper, Lower: lower})
		}
		config.Services = append(config.Services, service)
	}
	if _, shared := scheduler.SharedOrigins(config.Services); shared {
		for i := range config.Services {
			config.Services[i].OnePacket = false
		}
	}
	return &config
}

// drawVirtual draws the address of a service, some with ranges.
func drawVirtual() *rapid.Generator[scheduler.Address] {
	return rapid.Custom(func(t *rapid.T) scheduler.Address {
		first := drawAddress(192).Draw(t, "first")
		bits := rapid.SampledFrom([]int{32, 32, 31, 28, 20}).Draw(t, "bits")
		last := first.Port()
		if rapid.Bool().Draw(t, "port range") {
			last = rapid.Uint16Min(last).Draw(t, "last port")
		}
		address, err := scheduler.RangeOf(netip.PrefixFrom(first.Addr(), bits).Masked(), first.Port(), last)
		if err != nil {
			t.Fatal(err)
		}
		return address
	})
}

func drawAddress(first byte) *rapid.Generator[netip.AddrPort] {
	return rapid.Custom(func(t *rapid.T) netip.AddrPort {
		b := rapid.SliceOfN(rapid.Byte(), 3, 3).Draw(t, "address")
		port := rapid.Uint16Range(1, 65535).Draw(t, "port")
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{first, b[0], b[1], b[2]}), port)
	})
}

func TestAMisspeltKeyFindsTheNearest(t *testing.T) {
	words := []string{"vip_nic", "dip_nic", "max_connections", "services", "address", "protocol", "realservers", "weight", "tcp", "tcpfin", "udp"}
	for _, test := range []struct{ written, meant string }{
		{"adress", "address"},
		{"addres", "address"},
		{"addresses", "address"},
		{"real_servers", "realservers"},
		{"RealServer", "realservers"},
		{"max-conections", "max_connections"},
		{"wieght", "weight"},
		{"protocoll", "protocol"},
		{"dipnc", "dip_nic"},
		{"vipnc", "vip_nic"},
		{"upd", "udp"},
		{"port", ""},
		{"to", ""},
		{"", ""},
		{strings.Repeat("services", 1<<20), ""},
		{"tcp_timeout", ""},
	} {
		if got := nearest(test.written, words); got != test.meant {
			t.Errorf("nearest(%.20q) = %q, want %q", test.written, got, test.meant)
		}
	}
}

// TestDistance compares with the definition, written as a recursion.
func TestDistance(t *testing.T) {
	letters := rapid.StringMatching(`[abc]{0,5}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := letters.Draw(t, "a"), letters.Draw(t, "b")
		if got, want := distance(a, b), naiveDistance(a, b); got != want {
			t.Fatalf("distance(%q, %q) = %d, want %d", a, b, got, want)
		}
	})
}

func naiveDistance(a, b string) int {
	if a == "" || b == "" {
		return len(a) + len(b)
	}
	n := min(naiveDistance(a[1:], b), naiveDistance(a, b[1:]), naiveDistance(a[1:], b[1:])) + 1
	if a[0] == b[0] {
		n = min(n, naiveDistance(a[1:], b[1:]))
	}
	if len(a) > 1 && len(b) > 1 && a[0] == b[1] && a[1] == b[0] {
		n = min(n, naiveDistance(a[2:], b[2:])+1)
	}
	return n
}
