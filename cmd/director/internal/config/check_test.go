package config

import (
	"net/netip"
	"testing"
	"time"

	"lvsnat/scheduler"
)

// What no file has said is refused without places in a file.
func TestCheckSaysWhatIsWrongWithoutPlaces(t *testing.T) {
	at := netip.MustParseAddrPort
	web := func(change func(*scheduler.ServiceSpec)) []scheduler.ServiceSpec {
		s := scheduler.ServiceSpec{
			Address: scheduler.MustParseAddress("192.168.1.110:80"), Protocol: 6, Scheduler: "wlc",
			Realservers: []scheduler.RealserverSpec{{Address: at("10.1.1.2:80"), Weight: 1}},
		}
		change(&s)
		return []scheduler.ServiceSpec{s}
	}
	unchanged := web(func(*scheduler.ServiceSpec) {})
	for _, test := range []struct {
		name     string
		services []scheduler.ServiceSpec
		want     string
	}{
		{"a good one", unchanged, ""},
		{"a service twice", append(unchanged, unchanged...),
			"the service tcp 192.168.1.110:80 is listed a second time; put its realservers into one entry"},
		{"a realserver that is a VIP", web(func(s *scheduler.ServiceSpec) { s.Realservers[0].Address = at("192.168.1.110:8000") }),
			"the realserver 192.168.1.110 is the VIP of a service; write the realserver's own address"},
		{"a realserver twice", web(func(s *scheduler.ServiceSpec) { s.Realservers = append(s.Realservers, s.Realservers...) }),
			"the realserver 10.1.1.2:80 is listed a second time in its service; keep one of the two"},
		{"IPv6", web(func(s *scheduler.ServiceSpec) { s.Address = scheduler.MustParseAddress("[2001:db8::1]:80") }),
			"service tcp [2001:db8::1]:80: 2001:db8::1 is not IPv4, and IPv6 is not supported yet; write the address of one host"},
		{"a range too wide", web(func(s *scheduler.ServiceSpec) { s.Address = scheduler.MustParseAddress("192.168.0.0/16:80") }),
			"the range of addresses of 192.168.0.0/16:80 is wider than /20; write several smaller ones, in services of their own"},
		{"a realserver on the loopback", web(func(s *scheduler.ServiceSpec) { s.Realservers[0].Address = at("127.0.0.1:80") }),
			"service tcp 192.168.1.110:80: 127.0.0.1 is a loopback address, which never leaves a box; write the address of one host"},
		{"too large a weight", web(func(s *scheduler.ServiceSpec) { s.Realservers[0].Weight = 65536 }),
			"the realserver 10.1.1.2:80 has a weight of 65536; write a number from 0 to 65535"},
	} {
		c := defaults()
		c.VIPNIC, c.DIPNIC, c.Services = "eth0", "eth1", test.services
		got := ""
		if err := Check(&c); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	for _, timeout := range []time.Duration{0, time.Millisecond, -time.Second, maxTimeout + time.Second} {
		if err := CheckTimeouts(Timeouts{TCP: timeout, TCPFIN: time.Second, UDP: time.Second}); err == nil {
			t.Errorf("the timeout %v is taken", timeout)
		}
	}
}
