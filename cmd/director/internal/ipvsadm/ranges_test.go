package ipvsadm

import (
	"regexp"
	"strings"
	"testing"

	"lvsnat/cmd/director/internal/control"
	"lvsnat/test/oracle/transcript"
)

// withRanges has services of both kinds.
func withRanges(t *testing.T) *fakeDirector {
	t.Helper()
	d := newFake()
	for _, line := range []string{
		"-A -t 192.168.1.110:80 -s rr", "-a -t 192.168.1.110:80 -r 10.1.1.9:8080",
		"-A -t 192.168.1.110:5000-5999 -s wlc", "-a -t 192.168.1.110:5000-5999 -r 10.1.1.2", "-a -t 192.168.1.110:5000-5999 -r 10.1.1.3:8000 -w 2",
		"-A -t 192.168.1.96/28:http -s sh", "-a -t 192.168.1.96/28:80 -r 10.1.1.2",
		"-A -u 192.168.100.96/28:50000-59999 -s rr -p 300", "-a -u 192.168.100.96/28:50000-59999 -r 10.1.1.2:0",
	} {
		do(t, d, line)
	}
	return d
}

func TestServicesWithRangesAreListedFirst(t *testing.T) {
	const want = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  192.168.1.96/28:80 sh
  -> 10.1.1.2:80                  Masq    1      0          0         
TCP  192.168.1.110:5000-5999 wlc
  -> 10.1.1.2:0                   Masq    1      0          0         
  -> 10.1.1.3:8000                Masq    2      0          0         
UDP  192.168.100.96/28:50000-59999 rr persistent 300
  -> 10.1.1.2:0                   Masq    1      0          0         
TCP  192.168.1.110:80 rr
  -> 10.1.1.9:8080                Masq    1      0          0         
`
	d := withRanges(t)
	if got := answerWith(t, d, testNames, "-L -n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	const stats = "UDP  192.168.100.96/28:50000-59999        0        0        0        0        0\n"
	if got := answerWith(t, d, testNames, "-L -n --stats"); !strings.Contains(got, stats) {
		t.Errorf("got\n%s\nwant a line\n%s", got, stats)
	}
	if got := answerWith(t, d, testNames, "-L -t 192.168.1.96/28:80"); !strings.Contains(got, "TCP  192.168.1.96/28:http sh\n") {
		t.Errorf("with names: %s", got)
	}
}

func TestCountersOfARangeAreFound(t *testing.T) {
	d := withRanges(t)
	d.counters["tcp 192.168.1.110:5000-5999"] = control.Service{SinceZero: control.Traffic{Connections: 4711}}
	if got := answerWith(t, d, testNames, "-L -n --stats"); !strings.Contains(got, "TCP  192.168.1.110:5000-5999          4711") {
		t.Errorf("the counters are not listed:\n%s", got)
	}
	do(t, d, "-Z -t 192.168.1.110:5000-5999")
	if z := d.zeroed; len(z) != 1 || len(z[0]) != 1 || z[0][0].Address().String() != "192.168.1.110:5000-5999" {
		t.Errorf("zeroed %v", z)
	}
}

// ldirectord passes over the line of a service that it does not understand,
// and takes the realservers below for those of the service before. Before the
// first service it passes them over, too.
func TestLdirectordDoesNotMixRangesUp(t *testing.T) {
	service := regexp.MustCompile(`^(\w+)\s+(\d+\.\d+\.\d+\.\d+\:\d+|\[[0-9A-Fa-f:]+\]:\d+|\d+)( IPv6)?\s+(\w+)`)
	real := regexp.MustCompile(`^  ->\s+(\d+\.\d+\.\d+\.\d+\:\d+|\[[0-9A-Fa-f:]+\]:\d+)\s+(\w+)\s+(\d+)`)
	for _, list := range []string{"-L -n", "-L -n --nosort"} {
		current, seen := "", ""
		for line := range strings.Lines(answerWith(t, withRanges(t), testNames, list)) {
			if match := service.FindStringSubmatch(line); match != nil {
				current = match[2]
			} else if match := real.FindStringSubmatch(line); match != nil && current != "" {
				seen += current + " has " + match[1] + "\n"
			}
		}
		if want := "192.168.1.110:80 has 10.1.1.9:8080\n"; seen != want {
			t.Errorf("%s: ldirectord reads\n%s\nwant\n%s", list, seen, want)
		}
	}
}

func TestRangesAreSavedChangedAndDeleted(t *testing.T) {
	d := withRanges(t)
	do(t, d, "-E -t 192.168.1.110:5000-5999 -s rr")
	do(t, d, "-e -t 192.168.1.110:5000-5999 -r 10.1.1.2 -w 7")
	do(t, d, "-d -t 192.168.1.110:5000-5999 -r 10.1.1.3:8000")
	do(t, d, "-D -t 192.168.1.96/28:80")
	const want = `-A -t 192.168.1.110:5000-5999 -s rr
-a -t 192.168.1.110:5000-5999 -r 10.1.1.2:0 -m -w 7
-A -u 192.168.100.96/28:50000-59999 -s rr -p 300
-a -u 192.168.100.96/28:50000-59999 -r 10.1.1.2:0 -m -w 1
-A -t 192.168.1.110:80 -s rr
-a -t 192.168.1.110:80 -r 10.1.1.9:8080 -m -w 1
`
	saved := answerWith(t, d, testNames, "-S -n")
	if saved != want {
		t.Errorf("saved\n%s\nwant\n%s", saved, want)
	}
	again := newFake()
	if got := answerOf(t, again, transcript.Step{Command: words("ipvsadm -R"), Stdin: saved}); got.Exit != 0 {
		t.Fatalf("restored with exit code %d: %s", got.Exit, got.Stderr)
	}
	if left := difference(d.state, again.state); len(left) > 0 {
		t.Errorf("restored, there is still to do: %q", left)
	}
}

func TestBrokenRangesAreRefused(t *testing.T) {
	const illegal = "illegal virtual server address[:port] specified"
	for _, tt := range []struct {
		address, says string
		exit          int
	}{
		{"192.168.1.110:5999-5000", illegal + ": the ports 5999-5000 end before they begin; write 5000-5999\n", 2},
		{"192.168.1.110:0-99", illegal + ": the ports 0-99 begin at 0, which is no port; write 1-99, or 0 for all ports\n", 2},
		{"192.168.1.110:5000-66000", illegal + ": \"5000-66000\" is neither a port nor a range of ports; write 80 or 5000-5999\n", 2},
		{"192.168.1.110/28:80", illegal + ": 192.168.1.110 is not the first address of its range; write 192.168.1.96/28\n", 2},
		{"192.168.1.96/33:80", illegal + ": \"33\" is not the length of a prefix such as 28\n", 2},
		{"192.168.1.96/:80", illegal + ": \"\" is not the length of a prefix such as 28\n", 2},
		{"nowhere/28:80", illegal + "\n", 2},
		{"192.168.1.96/28:nothing", illegal + "\n", 2},
		{"192.168.1.110:5000-", illegal + "\n", 2},
		{"192.168.1.110:-5999", illegal + "\n", 2},
		{"192.168.1.110:a-b", illegal + "\n", 2},
		{"192.168.1.96/28", "Zero port specified for non-persistent service\n", 2},
		{"192.168.0.0/19:80", "the range of addresses of 192.168.0.0/19:80 is wider than /20; write several smaller ones, in services of their own\n", 255},
		{"192.168.1.110:5500-6500", "the service tcp 192.168.1.110:5500-6500 has some ports in common with 192.168.1.110:5000-5999, and neither is the narrower one; write ranges that lie one in the other, or apart\n", 255},
		{"192.168.1.110:5000-5999", "Service already exists\n", 255},
	} {
		d := withRanges(t)
		got := answerOf(t, d, transcript.Step{Command: words("ipvsadm -A -t " + tt.address)})
		if got.Stderr != tt.says || got.Exit != tt.exit {
			t.Errorf("%s: exit code %d, %q; want %d, %q", tt.address, got.Exit, got.Stderr, tt.exit, tt.says)
		}
	}
	// A name with a hyphen is no range.
	do(t, newFake(), "-A -t 192.168.1.110:http-alt")
	do(t, newFake(), "-A -t 192.168.1.110/32:microsoft-ds")
}
