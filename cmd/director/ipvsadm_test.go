package main

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/control"
	"lvsnat/scheduler"
)

// changingDirector has a state that can be changed, and a file that it may
// differ from.
type changingDirector struct {
	control.Director // nil: what these tests do not ask
	state            control.State
	difference       control.Reloaded
}

func (d *changingDirector) State(context.Context) (control.State, error) { return d.state, nil }

func (d *changingDirector) Replace(_ context.Context, s control.State) (uint64, error) {
	d.state = s
	d.state.Revision++
	return d.state.Revision, nil
}

func (d *changingDirector) Services(context.Context) (control.Services, error) {
	return control.Services{Version: control.Version}, nil
}

func (d *changingDirector) Difference(context.Context) (control.Reloaded, error) {
	return d.difference, nil
}

func (d *changingDirector) Config(context.Context) (control.Saved, error) {
	return control.Saved{Version: control.Version, Text: "vip_nic: eth0\n"}, nil
}

func TestTheNameThatTheProgramIsCalledByIsASubcommand(t *testing.T) {
	for _, test := range []struct{ args, want []string }{
		{[]string{"/usr/bin/director", "status"}, []string{"status"}},
		{[]string{"/sbin/ipvsadm", "-L", "-n"}, []string{"ipvsadm", "-L", "-n"}},
		{[]string{"ipvsadm"}, []string{"ipvsadm"}},
		{[]string{"./ipvsadm-save", "-n"}, []string{"ipvsadm-save", "-n"}},
		{[]string{"ipvsadm-restore"}, []string{"ipvsadm-restore"}},
	} {
		if got := wordsOf(test.args); !slices.Equal(got, test.want) {
			t.Errorf("%q gives %q, want %q", test.args, got, test.want)
		}
	}
}

func TestIpvsadmTalksToTheDirectorOfTheStateDirectory(t *testing.T) {
	d := &changingDirector{}
	dir := serve(t, d)
	d.state.Timeouts = config.Timeouts{TCP: 900e9, TCPFIN: 120e9, UDP: 300e9}
	for _, args := range [][]string{
		{"--state-dir", dir, "ipvsadm", "-A", "-t", "192.168.1.110:80", "-s", "rr"},
		{"ipvsadm", "--state-dir=" + dir, "-a", "-t", "192.168.1.110:80", "-r", "10.1.1.2"},
	} {
		if code, stdout, stderr := runHere(args...); code != 0 || stdout+stderr != "" {
			t.Errorf("%q: exit code %d, %s%s", args, code, stdout, stderr)
		}
	}
	want := []scheduler.RealserverSpec{{Address: netip.MustParseAddrPort("10.1.1.2:80"), Weight: 1}}
	if len(d.state.Services) != 1 || !slices.Equal(d.state.Services[0].Realservers, want) {
		t.Errorf("the director has %+v", d.state.Services)
	}
	t.Setenv(stateDirEnvironment, dir)
	const rules = "-A -t 192.168.1.110:80 -s rr\n-a -t 192.168.1.110:80 -r 10.1.1.2:80 -m -w 1\n"
	if code, stdout, stderr := runHere("ipvsadm-save", "-n"); code != 0 || stdout != rules {
		t.Errorf("saved: exit code %d, %s%s", code, stdout, stderr)
	}
	for _, test := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"ipvsadm", "-D", "-t", "192.168.1.110:81"}, 255, "No such service\n"},
		{[]string{"ipvsadm", "-L", "-t", "192.168.1.110:81"}, 1, "No such service\n"},
		{[]string{"ipvsadm", "-A"}, 2, "You need to supply the 'service-address' option for the 'add-service' command\n"},
		{[]string{"ipvsadm", "--help", "me"}, 0, ""},
		{[]string{"ipvsadm-save", "-x"}, 255, "-x: missing argument\n"},
	} {
		if code, _, stderr := runHere(test.args...); code != test.code || stderr != test.stderr {
			t.Errorf("%q: exit code %d, %q; want %d, %q", test.args, code, stderr, test.code, test.stderr)
		}
	}
}

func TestDiffTellsByItsExitCode(t *testing.T) {
	d := &changingDirector{}
	t.Setenv(stateDirEnvironment, serve(t, d))
	if code, stdout, stderr := runHere("diff"); code != 0 || stdout+stderr != "" {
		t.Errorf("no difference: exit code %d, %s%s", code, stdout, stderr)
	}
	d.difference = control.Reloaded{Changes: []string{"service added"}, Restart: []string{"workers"}}
	code, stdout, stderr := runHere("diff")
	if want := "service added\nworkers: differs, and only a restart applies it\n"; code != 1 || stdout != want || stderr != "" {
		t.Errorf("a difference: exit code %d, %q, %q", code, stdout, stderr)
	}
	t.Setenv(stateDirEnvironment, t.TempDir())
	if code, stdout, stderr := runHere("diff"); code != 2 || stdout != "" || !strings.HasPrefix(stderr, "director: no director runs") {
		t.Errorf("no director: exit code %d, %q, %q", code, stdout, stderr)
	}
}

func TestSaveWritesTheFile(t *testing.T) {
	t.Setenv(stateDirEnvironment, serve(t, &changingDirector{}))
	if code, stdout, stderr := runHere("save"); code != 0 || stdout != "vip_nic: eth0\n" || stderr != "" {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
}

// Both samples of the LVS-HOWTO give a file that check finds good.
func TestWhatIsImportedIsGood(t *testing.T) {
	hosts := filepath.Join(t.TempDir(), "hosts")
	text := "192.168.1.110 lvs\n10.1.1.2 realserver1 rs1 # the first\n10.1.1.3 realserver2\n10.1.1.4 realserver3\n10.9.9.9 lvs\n::1 lvs\n"
	if err := os.WriteFile(hosts, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"howto-names.conf", "howto-addresses.conf", "rules.txt", "keepalived.conf"} {
		path := filepath.Join("internal/importer/testdata", file)
		code, stdout, stderr := runHere("import", "--hosts", hosts, path)
		if code != 0 || !strings.Contains(stdout, `address: "192.168.1.110:`) || !strings.Contains(stderr, path+":") {
			t.Errorf("%s: exit code %d\n%s\n%s", file, code, stdout, stderr)
		}
		if code, _, stderr := runHere("check", "-c", write(t, stdout)); code != 0 {
			t.Errorf("%s: what was imported is not good: %s", file, stderr)
		}
	}
	code, stdout, stderr := runHere("import", write(t, "nothing\n"))
	if code != 1 || stdout != "" || !strings.Contains(stderr, "neither rules of ipvsadm-save") {
		t.Errorf("another file: exit code %d, %q, %q", code, stdout, stderr)
	}
	if code, _, stderr := runHere("import", "--hosts", "/nowhere", write(t, "-C\n")); code != 1 || !strings.Contains(stderr, "read hosts: open /nowhere") {
		t.Errorf("no hosts: exit code %d, %q", code, stderr)
	}
}
