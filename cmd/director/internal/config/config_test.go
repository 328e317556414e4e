package config

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"lvsnat/scheduler"
)

const example = "../../../../packaging/director.yaml"

func TestThePackagedFileMeansWhatItsCommentsSay(t *testing.T) {
	got, err := Load(example)
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.VIPNIC, want.DIPNIC = "eth0", "eth1"
	want.Services = []scheduler.ServiceSpec{
		{
			Address: scheduler.MustParseAddress("192.168.1.110:80"), Protocol: 6, Scheduler: "wlc",
			Realservers: []scheduler.RealserverSpec{
				{Address: netip.MustParseAddrPort("10.1.1.2:8000"), Weight: 2},
				{Address: netip.MustParseAddrPort("10.1.1.3:80"), Weight: 1},
				{Address: netip.MustParseAddrPort("10.1.1.4:80"), Weight: 0},
			},
		},
		{
			Address: scheduler.MustParseAddress("192.168.1.110:53"), Protocol: 17, Scheduler: "rr", OnePacket: true,
			Realservers: []scheduler.RealserverSpec{
				{Address: netip.MustParseAddrPort("10.1.1.2:53"), Weight: 1},
				{Address: netip.MustParseAddrPort("10.1.1.3:5353"), Weight: 3},
			},
		},
		{
			Address: scheduler.MustParseAddress("192.168.1.110:8080"), Protocol: 6, Scheduler: "wlc",
			RotateTies: true, SlowStart: 30 * time.Second,
			Realservers: []scheduler.RealserverSpec{{Address: netip.MustParseAddrPort("10.1.1.2:8080"), Weight: 1}},
		},
		{
			Address: scheduler.MustParseAddress("192.168.1.111:0"), Protocol: 6, Scheduler: "sh",
			Flags:       scheduler.Flags{SHFallback: true},
			Persistence: 360 * time.Second, Netmask: 0xffffff00,
			Realservers: []scheduler.RealserverSpec{
				{Address: netip.MustParseAddrPort("10.1.1.2:0"), Weight: 1, Upper: 1000, Lower: 800},
				{Address: netip.MustParseAddrPort("10.1.1.3:0"), Weight: 1},
			},
		},
		{
			Address: scheduler.MustParseAddress("192.168.1.110:5000-5999"), Protocol: 6, Scheduler: "wlc",
			Realservers: []scheduler.RealserverSpec{
				{Address: netip.MustParseAddrPort("10.1.1.2:0"), Weight: 1},
				{Address: netip.MustParseAddrPort("10.1.1.3:8000"), Weight: 1},
			},
		},
		{
			Address: scheduler.MustParseAddress("192.168.1.96/28:443"), Protocol: 6, Scheduler: "wlc",
			Realservers: []scheduler.RealserverSpec{{Address: netip.MustParseAddrPort("10.1.1.2:443"), Weight: 1}},
		},
	}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
}

func TestThePackagedFileHasEveryKeyThatWorks(t *testing.T) {
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	names = appendNames(names, directorKeys)
	names = appendNames(names, timeoutKeys)
	names = appendNames(names, serviceKeys)
	names = appendNames(names, realserverKeys)
	for _, name := range names {
		if !strings.Contains(string(text), name+": ") && !strings.Contains(string(text), name+":\n") {
			t.Errorf("%s is not in %s", name, example)
		}
	}
}

func appendNames[T any](names []string, keys []key[T]) []string {
	for _, k := range keys {
		if !k.later {
			names = append(names, k.name)
		}
	}
	return names
}

func TestLoad(t *testing.T) {
	t.Run("a missing file is named", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "none.yaml")
		_, err := Load(path)
		if want := "read configuration: open " + path + ": no such file or directory"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
	t.Run("a folder is not a file", func(t *testing.T) {
		path := t.TempDir()
		_, err := Load(path)
		if want := "read configuration: read " + path + ": is a directory"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
	t.Run("a file that is too large is refused without being read to its end", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "large.yaml")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 1<<40); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		if want := path + ":1:1: the file is larger than 16 MiB; split it among several directors"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
}

// head makes a file of services complete.
const head = "vip_nic: eth0\ndip_nic: eth1\n"

func TestWhatMayBeLeftOutHasItsDefault(t *testing.T) {
	got, err := Parse("f", []byte(head))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		VIPNIC: "eth0", DIPNIC: "eth1",
		Connections: 2097152,
		Metrics:     "127.0.0.1:9105",
		Guard:       GuardAuto,
		Timeouts:    Timeouts{TCP: 15 * time.Minute, TCPFIN: 2 * time.Minute, UDP: 5 * time.Minute},
	}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
}

func TestTheProfileDecidesOnTheTimeoutsThatAreLeftOut(t *testing.T) {
	for _, test := range []struct {
		text string
		want Timeouts
	}{
		{"tcp_profile: rfc\n", Timeouts{TCP: 7440 * time.Second, TCPFIN: 240 * time.Second, UDP: 300 * time.Second, TCPSYN: 240 * time.Second}},
		{"timeouts: {tcpfin: 60s}\ntcp_profile: rfc\n", Timeouts{TCP: 7440 * time.Second, TCPFIN: 60 * time.Second, UDP: 300 * time.Second, TCPSYN: 240 * time.Second}},
		{"tcp_profile: ipvs\n", Timeouts{TCP: 900 * time.Second, TCPFIN: 120 * time.Second, UDP: 300 * time.Second}},
	} {
		config, err := Parse("f", []byte(head+test.text))
		if err != nil {
			t.Fatal(err)
		}
		if config.Timeouts != test.want {
			t.Errorf("%q: %+v, want %+v", test.text, config.Timeouts, test.want)
		}
	}
}

func TestAccepted(t *testing.T) {
	const web = "services:\n- address: 192.168.1.110:80\n  protocol: tcp\n"
	for _, test := range []struct{ name, text string }{
		{"one NIC for both sides", "vip_nic: eth0\ndip_nic: eth0\n"},
		{"a name of 15 bytes", "vip_nic: abcdefghijklmno\ndip_nic: br-lan.7@x\n"},
		{"lists that are empty", head + "services:\n"},
		{"a service without realservers", head + web + "  realservers:\n"},
		{"keys in any order", "services:\n- {realservers: [{weight: 0, address: 10.1.1.2}], protocol: tcp, address: 192.168.1.110:80}\ndip_nic: eth1\nvip_nic: eth0\n"},
		{"JSON", `{"vip_nic": "eth0", "dip_nic": "eth1", "workers": 2, "services": [{"address": "192.168.1.110:80", "protocol": "tcp"}]}`},
		{"line ends of Windows, and a byte order mark", "\ufeff" + strings.ReplaceAll(head+web, "\n", "\r\n")},
		{"one document between its marks", "---\n" + head + "...\n"},
		{"timeouts one by one", head + "timeouts: {udp: 1h30m}\n"},
		{"the RFCs' profile", head + "tcp_profile: rfc\ntimeouts: {tcpsyn: 30s}\n"},
		{"metrics on IPv6", head + `metrics: "[::1]:9105"` + "\n"},
		{"the same port for TCP and UDP", head + web + "- address: 192.168.1.110:80\n  protocol: udp\n"},
		{"a realserver in two services", head + web + "  realservers: &farm [{address: 10.1.1.2:80}]\n- address: 192.168.1.111:80\n  protocol: tcp\n  realservers: *farm\n"},
		{"a machine twice in a service, on two ports", head + web + "  realservers: [{address: 10.1.1.2:80}, {address: 10.1.1.2:81}]\n"},
		{"comments that begin further and further to the right", head + commentStair(60)},
		{"an anchor used further down", "vip_nic: &nic eth0\ndip_nic: *nic\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config, err := Parse("f", []byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			checkRoundTrip(t, config)
		})
	}
}

// TestTheContract reads a file with every key of the contract, as an operator
// would write it who knows all that is planned.
func TestTheContract(t *testing.T) {
	const text = `vip_nic: eth0                 # faces the clients
dip_nic: eth1                 # faces the realservers; may be the same NIC
workers: 0                    # 0: one per CPU
metrics: 127.0.0.1:9105       # Prometheus; empty: none
guard: auto                   # auto, nft or none (section 5)
timeouts: {tcp: 900s, tcpfin: 120s, udp: 300s}
masquerade:                   # realservers as clients of the outside
  - {source: 10.1.1.0/24, to: 192.168.1.9, ports: 61000-65095}   # to: default is the VIP NIC's primary address
services:
  - address: 192.168.1.110:80
    protocol: tcp             # tcp or udp
    scheduler: wlc            # any IPVS name; default wlc
    persistence: 300s         # optional
    realservers:
      - {address: "10.1.1.2:8000", weight: 2}
      - {address: 10.1.1.3}   # port: the service's; weight: 1
`
	const refused = "f:7:1: masquerade is not supported yet; remove it"
	if _, err := Parse("f", []byte(text)); err == nil || err.Error() != refused {
		t.Errorf("got %v, want %s", err, refused)
	}
	lines := strings.Split(text, "\n")
	lines = slices.Delete(lines, 6, 8)
	config, err := Parse("f", []byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	want := []scheduler.RealserverSpec{
		{Address: netip.MustParseAddrPort("10.1.1.2:8000"), Weight: 2},
		{Address: netip.MustParseAddrPort("10.1.1.3:80"), Weight: 1},
	}
	if got := config.Services[0].Realservers; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRangesOfAddressesAndPorts(t *testing.T) {
	for _, test := range []struct{ address, realserver, virtual, real string }{
		{"192.168.1.110:5000-5999", "10.1.1.2", "192.168.1.110:5000-5999", "10.1.1.2:0"},
		{"192.168.1.110:5000-5999", "10.1.1.2:8000", "192.168.1.110:5000-5999", "10.1.1.2:8000"},
		{"192.168.1.96/28:80", "10.1.1.2", "192.168.1.96/28:80", "10.1.1.2:80"},
		{"192.168.1.96/28:80", "10.1.1.2:8000", "192.168.1.96/28:80", "10.1.1.2:8000"},
		{"192.168.1.96/28:5000-5999", "10.1.1.2", "192.168.1.96/28:5000-5999", "10.1.1.2:0"},
		{"192.168.1.96/28:0", "10.1.1.2", "192.168.1.96/28:0", "10.1.1.2:0"},
		{"192.168.0.0/20:1-65535", "10.1.1.2", "192.168.0.0/20:1-65535", "10.1.1.2:0"},
		{"192.168.1.110/32:80", "10.1.1.2", "192.168.1.110:80", "10.1.1.2:80"},
		{"192.168.1.110:80-80", "10.1.1.2", "192.168.1.110:80", "10.1.1.2:80"},
	} {
		text := fmt.Sprintf("%sservices:\n- address: %s\n  protocol: tcp\n  persistence: 300s\n  realservers:\n  - address: %s\n", head, test.address, test.realserver)
		config, err := Parse("f", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", test.address, err)
			continue
		}
		service := config.Services[0]
		if service.Address.String() != test.virtual || service.Realservers[0].Address.String() != test.real {
			t.Errorf("%s to %s became %v to %v", test.address, test.realserver, service.Address, service.Realservers[0].Address)
		}
		checkRoundTrip(t, config)
	}
}

func TestAMoreSpecificServiceMayLieInARange(t *testing.T) {
	text := head + "services:\n"
	for _, address := range []string{
		"192.168.1.96/28:80", "192.168.1.96/28:1-100", "192.168.1.0/24:50-150", "192.168.1.110:80", "192.168.1.110:60-90", "192.168.1.110:60-70", "192.168.1.110:91-200",
	} {
		text += fmt.Sprintf("- {address: \"%s\", protocol: udp}\n", address)
	}
	if _, err := Parse("f", []byte(text)); err != nil {
		t.Error(err)
	}
}

// commentStair is n comments, each indented by one more space.
func commentStair(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%*s# note\n", i, "")
	}
	return b.String()
}

func TestMetricsMayBeSwitchedOff(t *testing.T) {
	for _, line := range []string{"metrics:\n", "metrics: \"\"\n", "metrics: ~\n", "metrics: ''\n"} {
		config, err := Parse("f", []byte(head+line))
		if err != nil || config.Metrics != "" {
			t.Errorf("%q: got %+v, %v", line, config, err)
		}
	}
}

func checkRoundTrip(t *testing.T, config *Config) {
	t.Helper()
	text := Marshal(config)
	again, err := Parse("written", text)
	if err != nil {
		t.Fatalf("what was written is refused: %v\n%s", err, text)
	}
	if !reflect.DeepEqual(again, config) {
		t.Errorf("read again: %+v\nwritten:    %+v\n%s", again, config, text)
	}
}

func TestMarshal(t *testing.T) {
	config := Config{
		VIPNIC: "true", DIPNIC: "eth\"1",
		Workers:     2,
		Connections: 1000,
		Guard:       GuardNFT,
		Timeouts:    Timeouts{TCP: time.Hour, TCPFIN: time.Second, UDP: 90 * time.Second},
		Services: []scheduler.ServiceSpec{
			{Address: scheduler.MustParseAddress("192.168.1.110:80"), Protocol: 6, Scheduler: "rr"},
			{Address: scheduler.MustParseAddress("192.168.1.111:53"), Protocol: 17, Scheduler: "wlc",
				Realservers: []scheduler.RealserverSpec{{Address: netip.MustParseAddrPort("10.1.1.2:5353"), Weight: 65535}}},
		},
	}
	const want = `vip_nic: "true"
dip_nic: "eth\"1"
workers: 2
max_connections: 1000
metrics: ""
guard: nft
tcp_profile: ipvs
timeouts: {tcp: 3600s, tcpfin: 1s, udp: 90s}
services:
  - address: "192.168.1.110:80"
    protocol: tcp
    scheduler: rr
    realservers: []
  - address: "192.168.1.111:53"
    protocol: udp
    scheduler: wlc
    realservers:
      - {address: "10.1.1.2:5353", weight: 65535}
`
	if got := string(Marshal(&config)); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
	checkRoundTrip(t, &config)
}

func TestTenThousandServices(t *testing.T) {
	var b strings.Builder
	b.WriteString(head + "services:\n")
	for i := range 10_000 {
		fmt.Fprintf(&b, "- {address: 10.0.%d.%d:80, protocol: tcp, realservers: [{address: 10.1.%d.%d}]}\n", i>>8, i&255, i>>8, i&255)
	}
	config, err := Parse("f", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if len(config.Services) != 10_000 || config.Services[9_999].Realservers[0].Address.String() != "10.1.39.15:80" {
		t.Errorf("got %d services", len(config.Services))
	}
	checkRoundTrip(t, config)
}
