package ipvsadm

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/control"
	"lvsnat/scheduler"
	"lvsnat/test/oracle/transcript"
)

// longNames calls every host by one long name.
type longNames struct{ fakeNames }

func (longNames) HostName(netip.Addr) string {
	return "a-host-whose-name-is-longer-than-any-column.example.net"
}

func words(line string) []string { return strings.Fields(line) }

// do carries out a command line that must succeed.
func do(t *testing.T, d Director, line string) {
	t.Helper()
	if got := answerOf(t, d, transcript.Step{Command: words("ipvsadm " + line)}); got.Exit != 0 {
		t.Fatalf("%s: exit code %d: %s", line, got.Exit, got.Stderr)
	}
}

// answerWith carries out a command line with other names and returns stdout.
func answerWith(t *testing.T, d Director, names Names, line string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := Program{Name: "ipvsadm", Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Names: names, Director: d}
	if exit := p.Run(t.Context(), words(line)); exit != 0 {
		t.Fatalf("%s: exit code %d: %s", line, exit, &stderr)
	}
	return stdout.String()
}

func TestRestoreIsOneChange(t *testing.T) {
	d := newFake()
	got := answerOf(t, d, transcript.Step{Command: words("ipvsadm -R"), Stdin: strings.Repeat("-C\n-A -t 192.168.1.110:80\n-a -t 192.168.1.110:80 -r 10.1.1.2\n", 3)})
	if got.Exit != 0 || d.replaced != 1 || len(d.state.Services) != 1 {
		t.Errorf("exit code %d, %d changes, %+v", got.Exit, d.replaced, d.state.Services)
	}
}

func TestRestoreThatChangesNothingTouchesNothing(t *testing.T) {
	d := newFake()
	const rules = "-A -t 192.168.1.110:80 -s wlc\n-a -t 192.168.1.110:80 -r 10.1.1.2:80 -m -w 1\n"
	answerOf(t, d, transcript.Step{Command: words("ipvsadm -R"), Stdin: rules})
	got := answerOf(t, d, transcript.Step{Command: words("ipvsadm -R"), Stdin: "-C\n" + rules})
	if got.Exit != 0 || d.replaced != 1 {
		t.Errorf("exit code %d, %d changes, want the first only", got.Exit, d.replaced)
	}
}

func TestALineThatIsNotUnderstoodChangesNothing(t *testing.T) {
	d := newFake()
	do(t, d, "-A -t 192.168.1.110:80")
	for _, test := range []struct {
		rules, stderr string
		exit          int
	}{
		{"-C\n\n-A -t\n", "-t: missing argument\nline 3: nothing was changed\n", 255},
		{"-C\n-A\n", "You need to supply the 'service-address' option for the 'add-service' command\nline 2: nothing was changed\n", 2},
		{"-C\nnonsense\n", "Try `ipvsadm -h' or 'ipvsadm --help' for more information.\nline 2: nothing was changed\n", 255},
		{"-C\n-R\n", "Try `ipvsadm -h' or 'ipvsadm --help' for more information.\nline 2: nothing was changed\n", 255},
		{"-C\n" + strings.Repeat("x", 1<<20), "read rules: bufio.Scanner: token too long; nothing was changed\n", 255},
	} {
		got := answerOf(t, d, transcript.Step{Command: words("ipvsadm -R"), Stdin: test.rules})
		if got.Stderr != test.stderr || got.Exit != test.exit {
			t.Errorf("%.20q: exit code %d, %q; want %d, %q", test.rules, got.Exit, got.Stderr, test.exit, test.stderr)
		}
		if d.replaced != 1 {
			t.Fatalf("%.20q: something was changed", test.rules)
		}
	}
}

func TestADryRunWritesTheDifferenceAndMakesNone(t *testing.T) {
	d := newFake()
	for _, line := range []string{
		"-A -t 192.168.1.110:80 -s wlc", "-a -t 192.168.1.110:80 -r 10.1.1.2", "-a -t 192.168.1.110:80 -r 10.1.1.3",
		"-A -t 192.168.1.110:443",
	} {
		do(t, d, line)
	}
	got := answerOf(t, d, transcript.Step{
		Command: words("ipvsadm -R --dry-run"),
		Stdin:   "-D -t 192.168.1.110:443\n-E -t 192.168.1.110:80 -s rr\n-e -t 192.168.1.110:80 -r 10.1.1.2 -w 5 -x 9\n-d -t 192.168.1.110:80 -r 10.1.1.3\n-a -t 192.168.1.110:80 -r 10.1.1.4\n-A -u 192.168.1.110:53 -o\n--set 10 0 0\n-L -n\n",
	})
	const want = `-D -t 192.168.1.110:443
-E -t 192.168.1.110:80 -s rr
-d -t 192.168.1.110:80 -r 10.1.1.3:80
-e -t 192.168.1.110:80 -r 10.1.1.2:80 -m -w 5 -x 9
-a -t 192.168.1.110:80 -r 10.1.1.4:80 -m -w 1
-A -u 192.168.1.110:53 -s wlc -o
--set 10 120 300
`
	if got.Stdout != want || got.Exit != 0 || d.replaced != 4 {
		t.Errorf("exit code %d, %d changes, %s\n%s\nwant\n%s", got.Exit, d.replaced, got.Stderr, got.Stdout, want)
	}
	if got := answerOf(t, d, transcript.Step{Command: words("ipvsadm -L --dry-run")}); got.Stderr != "Illegal 'dry-run' option with the 'list' command\n" {
		t.Errorf("a dry run of a listing: %q", got.Stderr)
	}
}

// No option can say rotate_ties and slow_start, so no command means to change
// them as long as the service and its scheduler have use for them.
func TestWhatNoOptionCanSayIsKept(t *testing.T) {
	const server = "-a -t 192.168.1.110:80 -r 10.1.1.2\n"
	for _, test := range []struct {
		rules  string
		rotate bool
		slow   time.Duration
	}{
		{"-E -t 192.168.1.110:80 -s wlc -p 60\n", true, 30 * time.Second},
		{"-E -t 192.168.1.110:80 -s lc\n", true, 0},
		{"-E -t 192.168.1.110:80 -s swrr\n", false, 30 * time.Second},
		{"-E -t 192.168.1.110:80 -s rr\n", false, 0},
		{"-E -t 192.168.1.110:80 -s rr\n-E -t 192.168.1.110:80 -s wlc\n", true, 30 * time.Second},
		{"-C\n-A -t 192.168.1.110:80 -s wlc\n" + server, true, 30 * time.Second},
		{"-D -t 192.168.1.110:80\n-A -t 192.168.1.110:80 -s p2c\n", false, 30 * time.Second},
	} {
		d := newFake()
		do(t, d, "-A -t 192.168.1.110:80 -s wlc")
		d.state.Services[0].RotateTies, d.state.Services[0].SlowStart = true, 30*time.Second
		got := answerOf(t, d, transcript.Step{Command: words("ipvsadm -R"), Stdin: test.rules})
		s := d.state.Services[0]
		if got.Exit != 0 || s.RotateTies != test.rotate || s.SlowStart != test.slow {
			t.Errorf("%q: exit code %d %s, rotate_ties %v, slow_start %v; want %v and %v", test.rules, got.Exit, got.Stderr, s.RotateTies, s.SlowStart, test.rotate, test.slow)
		}
	}
	d := newFake()
	do(t, d, "-A -t 192.168.1.110:80 -s wlc")
	d.state.Services[0].RotateTies = true
	do(t, d, "-D -t 192.168.1.110:80")
	do(t, d, "-A -t 192.168.1.110:80 -s wlc")
	if d.state.Services[0].RotateTies {
		t.Error("a service that was gone has rotate_ties when it is new")
	}
}

func TestSchedulersBeyondIPVS(t *testing.T) {
	d := newFake()
	do(t, d, "-A -t 192.168.1.110:80 -s p2c")
	do(t, d, "-A -t 192.168.1.110:81 -s swrr")
	if got, want := answerWith(t, d, testNames, "-S -n"), "-A -t 192.168.1.110:80 -s p2c\n-A -t 192.168.1.110:81 -s swrr\n"; got != want {
		t.Errorf("saved\n%s\nwant\n%s", got, want)
	}
}

func TestRestoreWholeLeavesNothingElse(t *testing.T) {
	d := newFake()
	do(t, d, "-A -t 192.168.1.110:443")
	var stdout, stderr bytes.Buffer
	p := Program{Name: "ipvsadm-restore", Stdin: strings.NewReader("# rules\n-A -t 192.168.1.110:80 -s rr\n"), Stdout: &stdout, Stderr: &stderr, Names: testNames, Director: d}
	if exit := p.RestoreWhole(t.Context(), nil); exit != 0 || d.replaced != 2 || len(d.state.Services) != 1 || d.state.Services[0].Address.Port() != 80 {
		t.Errorf("exit code %d, %s, %d changes, %+v", exit, &stderr, d.replaced, d.state.Services)
	}
}

func TestAChangeIsMadeAnewWhenSomebodyElseWasFaster(t *testing.T) {
	d := newFake()
	d.interfere = func(s *control.State) {
		s.Services = []scheduler.ServiceSpec{{Address: scheduler.MustParseAddress("192.168.1.110:443"), Protocol: tcp, Scheduler: "rr"}}
	}
	do(t, d, "-A -t 192.168.1.110:80")
	if list := answerWith(t, d, testNames, "-S -n"); list != "-A -t 192.168.1.110:80 -s wlc\n-A -t 192.168.1.110:443 -s rr\n" {
		t.Errorf("one of two changes is lost:\n%s", list)
	}
	d.interfere = func(s *control.State) {
		s.Services = append(s.Services, scheduler.ServiceSpec{Address: scheduler.MustParseAddress("192.168.1.110:22"), Protocol: tcp, Scheduler: "rr"})
	}
	// The message of the attempt that was in vain must not be seen.
	got := answerOf(t, d, transcript.Step{Command: words("ipvsadm -R"), Stdin: "-A -t 192.168.1.110:80\n-A -t 192.168.1.110:22\n-A -t 192.168.1.110:23\n"})
	if want := "Service already exists\nService already exists\n"; got.Stderr != want || got.Exit != 0 {
		t.Errorf("exit code %d, %q; want 0, %q", got.Exit, got.Stderr, want)
	}
}

func TestHundredScriptsAtOnceLoseNothing(t *testing.T) {
	d := newFake()
	var all sync.WaitGroup
	for port := range 100 {
		all.Go(func() {
			var stderr bytes.Buffer
			p := Program{Name: "ipvsadm", Stdin: strings.NewReader(""), Stdout: &stderr, Stderr: &stderr, Names: testNames, Director: d}
			if exit := p.Run(t.Context(), words(fmt.Sprintf("-A -t 192.168.1.110:%d", port+1))); exit != 0 {
				t.Errorf("exit code %d: %s", exit, &stderr)
			}
		})
	}
	all.Wait()
	if len(d.state.Services) != 100 {
		t.Errorf("%d of 100 services are there", len(d.state.Services))
	}
}

func TestWithoutADirectorItSaysSo(t *testing.T) {
	d := newFake()
	d.err = errors.New("no director runs")
	for _, line := range []string{"", "-L", "-C", "-S", "-R"} {
		got := answerOf(t, d, transcript.Step{Command: words("ipvsadm " + line)})
		if got.Stderr != "Can't initialize ipvs: no director runs\n" || got.Exit != 2 {
			t.Errorf("%q: exit code %d, %q", line, got.Exit, got.Stderr)
		}
	}
}

// The expressions are those that ldirectord 1.186 reads listings with
// (ld_read_ipvsadm and ld_read_ipvsadm_thresholds).
func TestLdirectordReadsTheListings(t *testing.T) {
	const service = `^(\w+)\s+(\d+\.\d+\.\d+\.\d+\:\d+|\[[0-9A-Fa-f:]+\]:\d+|\d+)( IPv6)?\s+(\w+)`
	persistentMask := regexp.MustCompile(service + `\s+persistent\s+(\d+)\s+mask\s+(.*)`)
	persistent := regexp.MustCompile(service + `\s+persistent\s+(\d+)`)
	plain := regexp.MustCompile(service)
	real := regexp.MustCompile(`^  ->\s+(\d+\.\d+\.\d+\.\d+\:\d+|\[[0-9A-Fa-f:]+\]:\d+)\s+(\w+)\s+(\d+)`)
	thresholds := regexp.MustCompile(`^  ->\s+(\d+\.\d+\.\d+\.\d+\:\d+|\[[0-9A-Fa-f:]+\]:\d+)\s+(\d+)\s+(\d+)\s+(\d+)`)

	d := newFake()
	for _, line := range []string{
		"-A -t 192.168.1.110:80 -s wlc -p 300 -M 255.255.255.0", "-a -t 192.168.1.110:80 -r 10.1.1.2:8000 -w 7 -x 10 -y 5",
		"-A -t 192.168.1.110:443 -p 60 -s rr", "-A -u 192.168.1.110:53 -s sh -b sh-port",
	} {
		do(t, d, line)
	}
	var got []string
	for line := range strings.Lines(strings.Join(strings.SplitAfter(answerWith(t, d, testNames, "-L -n"), "\n")[3:], "")) {
		line = strings.TrimSuffix(line, "\n")
		for _, expression := range []*regexp.Regexp{persistentMask, persistent, plain, real} {
			if match := expression.FindStringSubmatch(line); match != nil {
				got = append(got, strings.Join(match[1:], ","))
				break
			}
		}
	}
	want := []string{
		"TCP,192.168.1.110:80,,wlc,300,255.255.255.0", "10.1.1.2:8000,Masq,7",
		"TCP,192.168.1.110:443,,rr,60", "UDP,192.168.1.110:53,,sh",
	}
	if !slices.Equal(got, want) {
		t.Errorf("ldirectord reads %q, want %q", got, want)
	}
	list := strings.Split(answerWith(t, d, testNames, "-L -n --thresholds"), "\n")
	if match := thresholds.FindStringSubmatch(list[4]); match == nil || !slices.Equal(match[1:], []string{"10.1.1.2:8000", "10", "5", "0"}) {
		t.Errorf("ldirectord reads the thresholds %q of %q", match, list[4])
	}
}

// A difference, carried out as rules, makes the one state of the other.
func TestADifferenceLeadsFromOneStateToTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := drawState(t, "before"), drawState(t, "after")
		rules := strings.Join(difference(before, after), "\n")
		table := newTable(before)
		for line := range strings.Lines(rules) {
			c, err := parse("ipvsadm", ruleWords(line), testNames)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if err := table.change(c); err != nil {
				t.Fatalf("%s: %v\n%s", line, err, rules)
			}
		}
		if left := difference(table.State, after); len(left) > 0 {
			t.Fatalf("after\n%s\nthere is still to do\n%s", rules, strings.Join(left, "\n"))
		}
		for _, s := range after.Services {
			i := table.find(target{protocol: s.Protocol, ranges: s.Address})
			if got := table.Services[i]; !reflect.DeepEqual(got, s) && len(got.Realservers)+len(s.Realservers) > 0 {
				t.Fatalf("got  %+v\nwant %+v\n%s", got, s, rules)
			}
		}
	})
}

// What -S writes, -R makes again.
func TestWhatIsSavedIsRestored(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state := drawState(t, "state")
		var saved bytes.Buffer
		p := printer{w: &saved}
		numbersOnly.writeRules(&p, state.Services)
		again := ReadRules(saved.Bytes(), state.Timeouts, testNames, func(line int, why error) {
			t.Fatalf("line %d: %v\n%s", line, why, &saved)
		})
		if left := difference(state, again); len(left) > 0 {
			t.Fatalf("saved\n%s\nand restored, there is still to do\n%s", &saved, strings.Join(left, "\n"))
		}
	})
}

func drawState(t *rapid.T, label string) control.State {
	address := func(network byte, ports ...uint16) *rapid.Generator[netip.AddrPort] {
		return rapid.Custom(func(t *rapid.T) netip.AddrPort {
			host := rapid.ByteRange(1, 4).Draw(t, "host")
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{network, 1, 1, host}), rapid.SampledFrom(ports).Draw(t, "port"))
		})
	}
	seconds := rapid.Map(rapid.IntRange(1, 5), func(n int) time.Duration { return time.Duration(n) * time.Second })
	state := control.State{Timeouts: config.Timeouts{TCP: seconds.Draw(t, "tcp"), TCPFIN: seconds.Draw(t, "tcpfin"), UDP: seconds.Draw(t, "udp")}}
	virtual := rapid.Custom(func(t *rapid.T) scheduler.Address {
		first := address(192, 53, 80).Draw(t, "first")
		bits := rapid.SampledFrom([]int{32, 32, 30, 24}).Draw(t, "bits")
		last := rapid.SampledFrom([]uint16{0, 0, 1, 1000}).Draw(t, "further ports")
		a, err := scheduler.RangeOf(netip.PrefixFrom(first.Addr(), bits).Masked(), first.Port(), first.Port()+last)
		if err != nil {
			t.Fatal(err)
		}
		return a
	})
	for _, at := range rapid.SliceOfNDistinct(virtual, 0, 5, rapid.ID).Draw(t, label) {
		s := scheduler.ServiceSpec{Address: at, Protocol: rapid.SampledFrom([]uint8{tcp, udp}).Draw(t, "protocol"), Scheduler: "rr"}
		if rapid.Bool().Draw(t, "sh") {
			s.Scheduler, s.Flags = "sh", scheduler.Flags{SHPort: rapid.Bool().Draw(t, "sh-port"), SHFallback: rapid.Bool().Draw(t, "sh-fallback")}
		}
		if rapid.Bool().Draw(t, "persistent") {
			s.Persistence, s.Netmask = seconds.Draw(t, "persistence"), rapid.SampledFrom([]uint32{0, 0xffffff00}).Draw(t, "netmask")
		}
		s.OnePacket = s.Protocol == udp && rapid.Bool().Draw(t, "one packet")
		for _, rs := range rapid.SliceOfNDistinct(address(10, 8000, 8001), 0, 5, rapid.ID).Draw(t, "realservers") {
			if s.Address.ManyPorts() && rs.Port() == 8001 {
				rs = netip.AddrPortFrom(rs.Addr(), 0)
			}
			upper := rapid.IntRange(0, 2).Draw(t, "upper")
			s.Realservers = append(s.Realservers, scheduler.RealserverSpec{
				Address: rs, Weight: rapid.IntRange(0, 2).Draw(t, "weight"), Upper: upper, Lower: rapid.IntRange(0, upper).Draw(t, "lower"),
			})
		}
		state.Services = append(state.Services, s)
	}
	return state
}

// FuzzParse holds that any words give a command or a message, and that a change
// leaves a table that its own rules describe.
func FuzzParse(f *testing.F) {
	for _, line := range []string{
		"-A -t 192.168.1.110:http -s sh -b sh-port -p 5 -M 255.255.255.0", "-a -u 0x7f.1:53 -r [::1]:80 -m -w=5 -x5 -y 4",
		"-A -t 192.168.1.96/28:5000-5999", "-a -u 192.168.1.110:53-54 -r 10.1.1.2", "-Ln --stats -X --", "--set 1 2 3", "-R --dry-run", "--start-daemon=master --mcast-group ::", "-A -f 5 -6", "-p -t",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parse("ipvsadm", ruleWords(line), testNames)
		if err != nil {
			var stop failure
			var said answer
			if !errors.As(err, &stop) && !errors.As(err, &said) {
				t.Fatalf("an error without an exit code: %v", err)
			}
			return
		}
		table := newTable(control.State{Timeouts: config.Timeouts{TCP: time.Second, TCPFIN: time.Second, UDP: time.Second}})
		if !c.changes() || table.change(c) != nil {
			return
		}
		again := ReadRules([]byte(strings.Join(difference(control.State{}, table.State), "\n")), config.Timeouts{}, testNames, func(line int, why error) {
			t.Fatalf("line %d of the rules is refused: %v", line, why)
		})
		if left := difference(again, table.State); len(left) > 0 {
			t.Fatalf("the rules leave to do: %q", left)
		}
	})
}
