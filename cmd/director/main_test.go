package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lvsnat/cmd/director/internal/control"
	"lvsnat/dataplane"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// runHere runs the program with these arguments and returns what it wrote.
func runHere(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "director.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestWrongUseEndsWithTwoAndAHint(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no subcommand", nil, "director: a subcommand is missing"},
		{"completion for no shell", []string{"completion"}, "director: a subcommand is missing"},
		{"completion for an unknown shell", []string{"completion", "csh"}, `director: unknown command "csh" for "director completion"`},
		{"help for what there is not", []string{"help", "rnu"}, `director: unknown command "rnu" for "director"`},
		{"an unknown subcommand", []string{"rnu"}, `director: unknown command "rnu" for "director"`},
		{"an unknown flag", []string{"status", "--jsno"}, "director: unknown flag: --jsno"},
		{"a flag without its value", []string{"--state-dir"}, "director: flag needs an argument: --state-dir"},
		{"run without a file", []string{"run"}, `director: required flag(s) "config" not set`},
		{"check without a file", []string{"check"}, `director: required flag(s) "config" not set`},
		{"an argument too many", []string{"status", "now"}, `director: unknown command "now" for "director status"`},
		{"a limit that is no number", []string{"conns", "--limit", "many"}, `director: invalid argument "many" for "--limit"`},
		{"a negative limit", []string{"conns", "--limit", "-1"}, "director: --limit: -1 is not a number of connections; 0 means all"},
		{"a client that is no address", []string{"conns", "--client", "web"}, `director: --client: "web" is not an end of a connection`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, stderr := runHere(test.args...)
			if code != exitWrongUse || !strings.HasPrefix(stderr, test.want) || !strings.HasSuffix(stderr, "; see director --help\n") || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit code %d, stderr %q; want %d and %q", code, stderr, exitWrongUse, test.want)
			}
			if stdout != "" {
				t.Errorf("stdout %q", stdout)
			}
		})
	}
}

func TestHelpAndVersionAreDone(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"run", "--help"}, {"help", "conns"}, {"version"}, {"version", "--json"}, {"--version"}, {"completion", "bash"}, {"help"}, {"help", "completion", "zsh"}} {
		if code, stdout, stderr := runHere(args...); code != exitDone || stdout == "" || stderr != "" {
			t.Errorf("%q: exit code %d, %d bytes on stdout, stderr %q", args, code, len(stdout), stderr)
		}
	}
}

func TestCheckSaysWhereEachMistakeIs(t *testing.T) {
	good := write(t, "vip_nic: eth0\ndip_nic: eth1\nservices:\n  - {address: '192.168.1.110:80', protocol: tcp, realservers: [{address: 10.1.1.2}]}\n")
	if code, stdout, stderr := runHere("check", "-c", good); code != exitDone || stdout != good+": good: 1 services with 1 realservers\n" || stderr != "" {
		t.Errorf("a good file: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	bad := write(t, "vip_nic: eth0\ndip_nic: eth1\nworkers: many\nguard: maybe\n")
	code, stdout, stderr := runHere("check", "-c", bad)
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if code != exitFailed || stdout != "" || len(lines) != 2 || !strings.HasPrefix(lines[0], bad+":3:10: ") || !strings.HasPrefix(lines[1], bad+":4:8: ") {
		t.Errorf("a bad file: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if code, _, stderr := runHere("check", "-c", bad+".not"); code != exitFailed || !strings.HasPrefix(stderr, "director: read configuration: ") {
		t.Errorf("no file: exit code %d, stderr %q", code, stderr)
	}
}

func TestWithoutADirectorTheAskingSubcommandsFail(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"status", "services", "conns", "reload"} {
		code, stdout, stderr := runHere("--state-dir", dir, name)
		if code != exitFailed || stdout != "" || !strings.HasPrefix(stderr, "director: no director runs with the state directory "+dir) {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", name, code, stdout, stderr)
		}
	}
}

func TestTheStateDirectoryIsTheFlagsThenTheEnvironments(t *testing.T) {
	t.Setenv(stateDirEnvironment, "/environment")
	if _, _, stderr := runHere("status"); !strings.Contains(stderr, "state directory /environment") {
		t.Errorf("stderr %q", stderr)
	}
	if _, _, stderr := runHere("status", "--state-dir", "/flag"); !strings.Contains(stderr, "state directory /flag") {
		t.Errorf("stderr %q", stderr)
	}
	t.Setenv(stateDirEnvironment, "")
	if _, _, stderr := runHere("status", "--help"); stderr != "" {
		t.Errorf("stderr %q", stderr)
	}
}

// fakeDirector answers with fixed values.
type fakeDirector struct {
	control.Director // nil: what these tests do not ask
	reloadError      error
}

var anytime = time.Date(2026, 11, 23, 8, 0, 0, 0, time.Local)

func (fakeDirector) Status(context.Context) (control.Status, error) {
	return control.Status{
		Version: control.Version, Release: "1.2.3", PID: 42, Started: anytime, UptimeSeconds: 3723.5,
		Config:      control.ConfigStatus{File: "/etc/director.yaml", Loaded: anytime, Error: "director.yaml:1:1: no", Restart: []string{"workers"}},
		Guard:       control.GuardStatus{Mode: "auto", Active: true, Reason: "the kernel is kept out", Classifier: control.ClassifierStatus{Active: true, Reason: "a tc filter on eth0"}},
		Workers:     2,
		Threads:     1,
		TCPProfile:  "rfc",
		Connections: control.ConnectionsStatus{Current: 10, HalfOpen: 1, Limit: 1000, Evicted: 3, Flood: "shedding", Admitted: 1200},
		Packets:     map[string]uint64{"forwarded_request": 7, "short": 0, "forwarded_reply": 6},
		NICs: []control.NIC{
			{Name: "eth0", Role: "vip", Up: true, MAC: "02:00:c0:a8:01:09", MTU: 1500, Received: 7, ReceiveDropped: 1, Truncated: 2, Sent: 6, TransmitDropped: 3},
			{Name: "eth1", Role: "dip"},
		},
		VIPs:         []control.VIP{{Address: "192.168.1.110", ARP: "director", Services: 2}},
		ARPConflicts: []control.ARPConflict{{Address: "192.168.1.110", MAC: "02:00:00:00:00:66", NIC: "eth0", Count: 4, LastSeen: anytime}},
	}, nil
}

func (fakeDirector) Services(context.Context) (control.Services, error) {
	return control.Services{Version: control.Version, Services: []control.Service{{
		Protocol: "tcp", Address: "192.168.1.110:80", Scheduler: "wlc",
		Traffic: control.Traffic{Connections: 11, RequestPackets: 22, RequestBytes: 33, ReplyPackets: 44, ReplyBytes: 55},
		Realservers: []control.Realserver{
			{
				Address: "10.1.1.2:8000", Weight: 2, Active: 3, Inactive: 4,
				Traffic: control.Traffic{Connections: 1, RequestPackets: 2, RequestBytes: 3, ReplyPackets: 4, ReplyBytes: 5},
			},
			{Address: "10.1.1.3:80", Active: 1, Removed: true},
		},
	}}}, nil
}

func (fakeDirector) Connections(_ context.Context, each func(dataplane.Connection) bool) error {
	for i := range uint16(2) {
		if !each(dataplane.Connection{
			Protocol: 6, State: "ESTABLISHED", ClientAddr: 0xc0a801fe, ClientPort: 40000 + i,
			VirtualAddr: 0xc0a8016e, VirtualPort: 80, RealAddr: 0x0a010102, RealPort: 8000, ExpiresMs: 899_400,
		}) {
			return nil
		}
	}
	return nil
}

func (d fakeDirector) Reload(context.Context) (control.Reloaded, error) {
	return control.Reloaded{Version: control.Version, Changes: []string{"service added"}, Restart: []string{"workers", "metrics"}}, d.reloadError
}

// serve runs the fake's control socket and returns its state directory.
func serve(t *testing.T, d control.Director) string {
	t.Helper()
	dir := t.TempDir()
	listener, err := control.Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	server := control.NewServer(d, slog.New(slog.DiscardHandler))
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Shutdown(context.Background())
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestWhatPeopleReadIsAligned(t *testing.T) {
	dir := serve(t, fakeDirector{})
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"status"}, `
director        1.2.3, process 42, up 1h2m3s
configuration   /etc/director.yaml of 2026-11-23 08:00:00
last reload     failed: director.yaml:1:1: no
restart needed  for the changed [workers]
guard           in force: the kernel is kept out
classifier      in force: a tc filter on eth0
workers         2, sharing threads (1), which forwards more at the moment
TCP profile     rfc
connections     10 of 1000, 1 half-open, 3 evicted
flood           more new connections than the workers can carry: of clients not seen before 1200 a second are admitted

NIC   Role  State  MAC                MTU   Received  Dropped  Truncated  Sent  Dropped
eth0  vip   up     02:00:c0:a8:01:09  1500  7         1        2          6     3
eth1  dip   gone   -                  0     0         0        0          0     0

VIP            ARP by    Services
192.168.1.110  director  2

VIP claimed    by MAC             on NIC  Times  Last
192.168.1.110  02:00:00:00:00:66  eth0    4      2026-11-23 08:00:00

Packets            Count
forwarded_reply    6
forwarded_request  7
`},
		{[]string{"services"}, `
Prot  Service / Realserver  Scheduler / Weight  Active  Inactive  Connections  Requests  Replies  Request bytes  Reply bytes
TCP   192.168.1.110:80      wlc                                   11           22        44       33             55
  ->  10.1.1.2:8000         2                   3       4         1            2         4        3              5
  ->  10.1.1.3:80           removed             1       0         0            0         0        0              0
`},
		{[]string{"conns"}, `
Pro  Expires  State        Client                 Virtual service        Realserver
TCP  14:59    ESTABLISHED  192.168.1.254:40000    192.168.1.110:80       10.1.1.2:8000
TCP  14:59    ESTABLISHED  192.168.1.254:40001    192.168.1.110:80       10.1.1.2:8000
`},
		{[]string{"conns", "--client", ":40001"}, `
Pro  Expires  State        Client                 Virtual service        Realserver
TCP  14:59    ESTABLISHED  192.168.1.254:40001    192.168.1.110:80       10.1.1.2:8000
`},
		{[]string{"reload"}, `
service added
needs a restart: workers, metrics
`},
	}
	for _, test := range tests {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			code, stdout, stderr := runHere(append(test.args, "--state-dir", dir)...)
			if code != exitDone || stderr != "" {
				t.Errorf("exit code %d, stderr %q", code, stderr)
			}
			if want := strings.TrimPrefix(test.want, "\n"); stdout != want {
				t.Errorf("got\n%s\nwant\n%s", stdout, want)
			}
		})
	}
}

func TestAListingThatWasCutSaysSo(t *testing.T) {
	dir := serve(t, fakeDirector{})
	code, stdout, stderr := runHere("conns", "--limit", "1", "--state-dir", dir)
	if code != exitDone || strings.Count(stdout, "\n") != 2 || stderr != "director: there are more than 1; --limit 0 lists all\n" {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestWhatProgramsReadIsJSONWithAVersion(t *testing.T) {
	dir := serve(t, fakeDirector{})
	for _, name := range []string{"status", "services", "conns", "reload"} {
		code, stdout, stderr := runHere(name, "--json", "--state-dir", dir)
		var answer struct{ Version int }
		if err := json.Unmarshal([]byte(stdout), &answer); err != nil || answer.Version != control.Version || code != exitDone || stderr != "" {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", name, code, stdout, stderr)
		}
	}
}

func TestARefusedReloadFails(t *testing.T) {
	dir := serve(t, fakeDirector{reloadError: errors.New("director.yaml:1:1: no\ndirector.yaml:2:1: no")})
	code, stdout, stderr := runHere("reload", "--state-dir", dir)
	if code != exitFailed || stdout != "" || stderr != "director: director.yaml:1:1: no\ndirector.yaml:2:1: no\n" {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestRunWithABrokenFileFails(t *testing.T) {
	file := write(t, "vip_nic: eth0\n")
	code, _, stderr := runHere("run", "-c", file, "--state-dir", filepath.Join(t.TempDir(), "state"))
	if code != exitFailed || !strings.HasPrefix(stderr, file+":1:1: ") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

func TestAWrongDemoIsRefused(t *testing.T) {
	code, _, stderr := runHere("demo", "--realservers", "0")
	if code != exitFailed || !strings.Contains(stderr, "0 realservers") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}
