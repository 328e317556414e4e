package ipvsadm

import (
	"testing"

	"lvsnat/cmd/director/internal/control"
	"lvsnat/test/oracle/transcript"
)

// The limits are those of print_largenum in ipvsadm.c; the columns are nine.
func TestLargeNumbersLoseDigitsAtTheKernelsLimits(t *testing.T) {
	for _, test := range []struct {
		n             uint64
		short, digits string
	}{
		{0, "        0", "        0"},
		{99_999_999, " 99999999", " 99999999"},
		{100_000_000, "  100000K", " 100000000"},
		{999_999_999, "  999999K", " 999999999"},
		{1_000_000_000, "    1000M", " 1000000000"},
		{99_999_999_999, "   99999M", " 99999999999"},
		{100_000_000_000, "     100G", " 100000000000"},
		{99_999_999_999_999, "   99999G", " 99999999999999"},
		{100_000_000_000_000, "     100T", " 100000000000000"},
		{18_446_744_073_709_551_615, "18446744T", " 18446744073709551615"},
	} {
		if got := (format{}).count(test.n); got != test.short {
			t.Errorf("%d is written %q, want %q", test.n, got, test.short)
		}
		if got := (format{exact: true}).count(test.n); got != test.digits {
			t.Errorf("%d is written with all digits as %q, want %q", test.n, got, test.digits)
		}
	}
}

// listed is a director with traffic that no recording has.
func listed(t *testing.T) *fakeDirector {
	t.Helper()
	d := newFake()
	do(t, d, "-A -t 192.168.1.110:80 -s wlc -p 300 -M 255.255.255.0")
	do(t, d, "-a -t 192.168.1.110:80 -r 10.1.1.2:8000 -x 100 -y 80")
	total := control.Traffic{Connections: 123_456_789, RequestPackets: 2_000_000_000, ReplyPackets: 3, RequestBytes: 150_000_000_000, ReplyBytes: 200_000_000_000_000}
	rate := control.Rate{Connections: 123_456_789, RequestPackets: 7, ReplyPackets: 8, RequestBytes: 100_000_000, ReplyBytes: 9}
	d.counters["tcp 192.168.1.110:80"] = control.Service{Protocol: "tcp", Address: "192.168.1.110:80", SinceZero: total, Rate: rate}
	d.servers["tcp 192.168.1.110:80 10.1.1.2:8000"] = control.Realserver{Active: 12, Inactive: 345, Persistent: 6, SinceZero: total, Rate: rate}
	d.connections = []control.Connection{
		{Protocol: "tcp", State: "ESTABLISHED", Client: "192.168.1.254:51234", Virtual: "192.168.1.110:80", Real: "10.1.1.2:8000", ExpiresMs: 899_999},
		{Protocol: "tcp", State: "NONE", Client: "192.168.1.0:0", Virtual: "192.168.1.110:80", Real: "10.1.1.2:8000", ExpiresMs: 6_000_000},
	}
	return d
}

// The rows are made by hand from ipvsadm's formats for counters that the guest
// cannot reach.
func TestListingsWithMuchTraffic(t *testing.T) {
	d := listed(t)
	for _, test := range []struct{ line, want string }{
		{"-L -n -t 192.168.1.110:80", titles[plainForm] +
			"TCP  192.168.1.110:80 wlc persistent 300 mask 255.255.255.0\n" +
			"  -> 10.1.1.2:8000                Masq    1      12         345       \n"},
		{"-L -n -t 192.168.1.110:80 --stats", titles[statsForm] +
			"TCP  192.168.1.110:80              123456K    2000M        3     150G     200T\n" +
			"  -> 10.1.1.2:8000                 123456K    2000M        3     150G     200T\n"},
		{"-L -n -t 192.168.1.110:80 --stats --exact", titles[statsForm] +
			"TCP  192.168.1.110:80             123456789 2000000000        3 150000000000 200000000000000\n" +
			"  -> 10.1.1.2:8000                123456789 2000000000        3 150000000000 200000000000000\n"},
		// A realserver's first three rates have all digits and no fixed width.
		{"-L -n -t 192.168.1.110:80 --rate", titles[rateForm] +
			"TCP  192.168.1.110:80              123456K        7        8  100000K        9\n" +
			"  -> 10.1.1.2:8000                123456789        7        8  100000K        9\n"},
		{"-L -n -t 192.168.1.110:80 --thresholds", titles[thresholdsForm] +
			"TCP  192.168.1.110:80 wlc persistent 300 mask 255.255.255.0\n" +
			"  -> 10.1.1.2:8000                100        80         12         345       \n"},
		{"-L -n -t 192.168.1.110:80 --persistent-conn", titles[persistentForm] +
			"TCP  192.168.1.110:80 wlc persistent 300 mask 255.255.255.0\n" +
			"  -> 10.1.1.2:8000                1         6           12         345       \n"},
		{"-L -n -c", "IPVS connection entries\n" +
			"pro expire state       source             virtual            destination\n" +
			"TCP 14:59  ESTABLISHED 192.168.1.254:51234 192.168.1.110:80   10.1.1.2:8000\n" +
			"TCP 100:00 NONE        192.168.1.0:0      192.168.1.110:80   10.1.1.2:8000\n"},
		{"-L -c", "IPVS connection entries\n" +
			"pro expire state       source             virtual            destination\n" +
			"TCP 14:59  ESTABLISHED 192.168.1.254:51234 192.168.1.110:http 10.1.1.2:8000\n" +
			"TCP 100:00 NONE        192.168.1.0:0      192.168.1.110:http 10.1.1.2:8000\n"},
	} {
		got := answerOf(t, d, transcript.Step{Command: words("ipvsadm " + test.line)})
		if got.Stdout != test.want || got.Exit != 0 {
			t.Errorf("%s: exit code %d, %s\n%s\nwant\n%s", test.line, got.Exit, got.Stderr, got.Stdout, test.want)
		}
	}
}

func TestLongNamesAreCutWhereIpvsadmCutsThem(t *testing.T) {
	d := newFake()
	do(t, d, "-A -t 192.168.1.110:80")
	do(t, d, "-a -t 192.168.1.110:80 -r 10.1.1.2:8000")
	got := answerWith(t, d, longNames{testNames}, "-L")
	want := tableLine + titles[plainForm] +
		"TCP  a-host-whose-name-is-longer- wlc\n" +
		"  -> a-host-whose-name-is-longer- Masq    1      0          0         \n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
