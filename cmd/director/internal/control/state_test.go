package control

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/scheduler"
)

// wholeState has a value in every field.
var wholeState = State{
	Revision: 0,
	Timeouts: config.Timeouts{TCP: 900 * time.Second, TCPFIN: 120 * time.Second, UDP: 300 * time.Second, TCPSYN: 240 * time.Second},
	Services: []scheduler.ServiceSpec{
		{
			Address: scheduler.MustParseAddress("192.168.1.110:80"), Protocol: 6, Scheduler: "sh",
			Flags:       scheduler.Flags{SHFallback: true, SHPort: true, MHFallback: true, MHPort: true},
			Persistence: 360 * time.Second, Netmask: 0xffffff00,
			Realservers: []scheduler.RealserverSpec{{Address: netip.MustParseAddrPort("10.1.1.2:8000"), Weight: 2, Upper: 100, Lower: 80}},
		},
		{Address: scheduler.MustParseAddress("192.168.1.110:53"), Protocol: 17, Scheduler: "rr", OnePacket: true},
		{Address: scheduler.MustParseAddress("192.168.1.110:443"), Protocol: 6, Scheduler: "wlc", RotateTies: true, SlowStart: 30 * time.Second},
		{
			Address: scheduler.MustParseAddress("192.168.1.96/28:5000-5999"), Protocol: 6, Scheduler: "rr",
			Realservers: []scheduler.RealserverSpec{{Address: netip.MustParseAddrPort("10.1.1.2:0"), Weight: 1}},
		},
	},
}

func TestAStateIsReadAndReplacedWhole(t *testing.T) {
	director := &fakeDirector{}
	client := NewClient(serve(t, director))
	if err := client.Replace(t.Context(), wholeState); err != nil {
		t.Fatal(err)
	}
	got, err := client.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := wholeState
	want.Revision = 1
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read back:\n%+v\nwant\n%+v", got, want)
	}
	if err := client.Replace(t.Context(), wholeState); !errors.Is(err, ErrChanged) {
		t.Errorf("an old revision gives %v, want ErrChanged", err)
	}
}

func TestNobodyOverwritesWhatSomebodyElseChanged(t *testing.T) {
	client := NewClient(serve(t, &fakeDirector{}))
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			for {
				s, err := client.State(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				s.Services = append(s.Services, scheduler.ServiceSpec{
					Address: scheduler.AddressOf(netip.AddrPortFrom(Addr(0xc0a8016e), uint16(1+i))), Protocol: 6, Scheduler: "rr",
				})
				if err = client.Replace(t.Context(), s); err == nil {
					return
				}
				if !errors.Is(err, ErrChanged) {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	s, err := client.State(t.Context())
	if err != nil || len(s.Services) != 20 {
		t.Errorf("%d of 20 services are there, %v", len(s.Services), err)
	}
}

func TestServicesAreZeroedByName(t *testing.T) {
	director := &fakeDirector{}
	client := NewClient(serve(t, director))
	keys := []scheduler.Key{{Addr: 0xc0a8016e, Port: 80, Protocol: 6}, {Addr: 0xc0a8016e, Port: 0, Protocol: 17}, {Addr: 0xc0a80160, HostBits: 4, Port: 5000, LastPort: 5999, Protocol: 6}}
	if err := client.Zero(t.Context(), keys...); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(director.zeroed, keys) {
		t.Errorf("zeroed %v, want %v", director.zeroed, keys)
	}
	if err := client.Zero(t.Context()); err != nil || len(director.zeroed) != 0 {
		t.Errorf("zeroing all: %v, %v", director.zeroed, err)
	}
}

func TestADifferenceAndAConfigurationAreAnswered(t *testing.T) {
	client := NewClient(serve(t, &fakeDirector{}))
	if d, err := client.Difference(t.Context()); err != nil || !slices.Equal(d.Changes, []string{"service removed"}) {
		t.Errorf("difference: %+v, %v", d, err)
	}
	if c, err := client.Config(t.Context()); err != nil || c.Text != "vip_nic: eth0\n" {
		t.Errorf("config: %+v, %v", c, err)
	}
}

func TestAMalformedChangeIsRefusedAndChangesNothing(t *testing.T) {
	director := &fakeDirector{}
	dir := serve(t, director)
	for _, test := range []struct {
		name, path, body, reason string
		status                   int
	}{
		{"not JSON", "/v1/replace", "nonsense", "invalid character", 400},
		{"nothing", "/v1/replace", "", "EOF", 400},
		{"two values", "/v1/replace", "{}{}", "more than one value", 400},
		{"an unknown key", "/v1/replace", `{"service": []}`, `unknown field \"service\"`, 400},
		{"a service without an address", "/v1/replace", `{"services": [{"protocol": "tcp"}]}`, "service 0:", 422},
		{"a broken range", "/v1/replace", `{"services": [{"protocol": "tcp", "address": "192.168.1.110/28:80"}]}`, "not the first address of its range", 422},
		{"an unknown protocol", "/v1/replace", `{"services": [{"protocol": "sctp", "address": "192.168.1.110:80"}]}`, `neither tcp nor udp`, 422},
		{"a wrong netmask", "/v1/replace", `{"services": [{"protocol": "tcp", "address": "192.168.1.110:80", "netmask": "24"}]}`, "is not a netmask", 422},
		{"a wrong realserver", "/v1/replace", `{"services": [{"protocol": "tcp", "address": "192.168.1.110:80", "realservers": [{"address": "10.1.1.2"}]}]}`, "service 0:", 422},
		{"zeroing IPv6", "/v1/zero", `{"services": [{"protocol": "tcp", "address": "[::1]:80"}]}`, "is not an IPv4 address", 422},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, text := raw(t, dir, "POST", test.path, strings.NewReader(test.body))
			if status != test.status || !strings.Contains(text, test.reason) {
				t.Errorf("%d %s; want %d and %q", status, text, test.status, test.reason)
			}
			if director.state.Revision != 0 || director.zeroed != nil {
				t.Error("something was changed")
			}
		})
	}
}
