package test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

// ipvsadm runs a command line of ipvsadm against the director and returns
// what it wrote to stdout.
func ipvsadm(d *labtest.Director, line string) string {
	return d.Ask(append([]string{"ipvsadm"}, strings.Fields(line)...)...)
}

func TestIpvsadmMakesAServiceThatForwards(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 2})
	serveNames(t, top, ":8000")
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config()})
	for _, line := range []string{
		"-A -t 192.168.1.110:80 -s rr",
		"-a -t 192.168.1.110:80 -r 10.1.1.2:8000 -m",
		"-a -t 192.168.1.110:80 -r 10.1.1.3:8000 -m -w 2",
	} {
		ipvsadm(d, line)
	}
	sameCounts(t, getMany(t, top.Client, "192.168.1.110", 4), map[string]int{"real1": 2, "real2": 2})
	stats := ipvsadm(d, "-L -n --stats")
	if !strings.Contains(stats, "TCP  192.168.1.110:80                    4 ") || strings.Count(stats, "  -> 10.1.1.") != 2 {
		t.Errorf("four connections are not in the statistics:\n%s", stats)
	}
	list := ipvsadm(d, "-L -n")
	if !strings.Contains(list, "  -> 10.1.1.3:8000                Masq    2      0          2         \n") {
		t.Errorf("the realserver and its two connections are not in the listing:\n%s", list)
	}
	if table := ipvsadm(d, "-L -n -c"); strings.Count(table, "\nTCP 0") != 4 {
		t.Errorf("four connections are not in the table:\n%s", table)
	}
	ipvsadm(d, "-Z")
	if stats := ipvsadm(d, "-L -n --stats"); !strings.Contains(stats, "TCP  192.168.1.110:80                    0 ") {
		t.Errorf("zeroed statistics are not 0:\n%s", stats)
	}
	sameCounts(t, getMany(t, top.Client, "192.168.1.110", 2), map[string]int{"real1": 1, "real2": 1})
	// A service that was away begins at 0 with its realservers, whose
	// connections are still there; so in IPVS.
	for _, line := range []string{
		"-D -t 192.168.1.110:80", "-A -t 192.168.1.110:80 -s rr",
		"-a -t 192.168.1.110:80 -r 10.1.1.2:8000 -m", "-a -t 192.168.1.110:80 -r 10.1.1.3:8000 -m -w 2",
	} {
		ipvsadm(d, line)
	}
	if stats := ipvsadm(d, "-L -n --stats"); !strings.Contains(stats, "  -> 10.1.1.2:8000                       0        0        0        0        0\n") {
		t.Errorf("a service that was away has not begun at 0:\n%s", stats)
	}
	if list := ipvsadm(d, "-L -n"); !strings.Contains(list, "  -> 10.1.1.3:8000                Masq    2      0          3         \n") {
		t.Errorf("a realserver that was away has lost its connections:\n%s", list)
	}
	ipvsadm(d, "-e -t 192.168.1.110:80 -r 10.1.1.2:8000 -m -w 0")
	sameCounts(t, getMany(t, top.Client, "192.168.1.110", 3), map[string]int{"real2": 3})
}

func TestIpvsadmListsTemplatesAndRates(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 2})
	serveNames(t, top, ":80")
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config()})
	ipvsadm(d, "-A -t 192.168.1.110:80 -s rr -p 300")
	ipvsadm(d, "-a -t 192.168.1.110:80 -r 10.1.1.2")
	ipvsadm(d, "-a -t 192.168.1.110:80 -r 10.1.1.3")
	if counts := getMany(t, top.Client, "192.168.1.110", 40); len(counts) != 1 {
		t.Errorf("a client of a persistent service has met %v", counts)
	}
	if table := ipvsadm(d, "-L -n -c"); !strings.Contains(table, "ASSURED     192.168.1.254:0    192.168.1.110:80   10.1.1.") {
		t.Errorf("the client's template is not in the table:\n%s", table)
	}
	if list := ipvsadm(d, "-L -n --persistent-conn"); !strings.Contains(list, " 1         1           0          40 ") {
		t.Errorf("no realserver has one client bound and 40 connections:\n%s", list)
	}
	// The exact number depends on when the samples are taken.
	rate := regexp.MustCompile(`TCP  192\.168\.1\.110:80 +[1-9]\d* +[1-9]\d* +[1-9]\d* +[1-9]\d* +[1-9]\d*\n`)
	labtest.Eventually(t, "there are rates", func() bool { return rate.MatchString(ipvsadm(d, "-L -n --rate")) })
}

// What was changed at run time is shown by diff, kept by save and undone by
// reload.
func TestReloadMakesTheFileWinOverChangesAtRunTime(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 2})
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(web(top, "rr"))})
	if out := d.Ask("diff"); out != "" {
		t.Errorf("a fresh director differs from its file:\n%s", out)
	}
	ipvsadm(d, "-d -t 192.168.1.110:80 -r 10.1.1.3")
	out, err := d.Control(labtest.Context(t), "diff")
	if err == nil || !strings.Contains(out, "10.1.1.3:80 added, weight 1") {
		t.Errorf("diff after a change: %v\n%s", err, out)
	}
	saved := d.Ask("save")
	if strings.Contains(saved, "10.1.1.3") || !strings.Contains(saved, "10.1.1.2:80") {
		t.Errorf("saved:\n%s", saved)
	}
	file := filepath.Join(t.TempDir(), "saved.yaml")
	labtest.Must(t, os.WriteFile(file, []byte(saved), 0o600))
	d.Ask("check", "-c", file)
	d.Ask("reload")
	if list := ipvsadm(d, "-L -n"); !strings.Contains(list, "10.1.1.3:80") {
		t.Errorf("a reload has not brought back the file's realserver:\n%s", list)
	}
}

// Debian's ldirectord, which runs ipvsadm and reads its listings, takes a dead
// realserver out and in again.
func TestLdirectordWorksWithTheDirector(t *testing.T) {
	t.Run("not quiescent, by a program", func(t *testing.T) {
		dir := t.TempDir()
		up := filepath.Join(dir, "up-")
		check := filepath.Join(dir, "check")
		labtest.Must(t, os.WriteFile(check, []byte("#!/bin/sh\ntest -e "+up+"$3\n"), 0o700))
		for _, rip := range []string{"10.1.1.2", "10.1.1.3"} {
			labtest.Must(t, os.WriteFile(up+rip, nil, 0o600))
		}
		ldirectord{
			options: "checktimeout=5\nquiescent=no", check: "\tchecktype=external\n\tcheckcommand=" + check,
			kill:   func(*lab.Host) error { return os.Remove(up + "10.1.1.3") },
			revive: func(*lab.Host) error { return os.WriteFile(up+"10.1.1.3", nil, 0o600) },
			isOut:  func(list string) bool { return !strings.Contains(list, "10.1.1.3:8000") },
		}.run(t)
	})
	// The checks are connections from the director's own address, to the port
	// that the guard watches.
	t.Run("quiescent, by connecting", func(t *testing.T) {
		ldirectord{
			options: "checktimeout=3\nquiescent=yes", check: "\tchecktype=connect",
			kill: func(rs *lab.Host) error { return rs.SetUp("eth0", false) },
			revive: func(rs *lab.Host) error {
				return errors.Join(rs.SetUp("eth0", true), rs.AddRoute(lab.Route{To: lab.Default, Via: lab.DIP}))
			},
			isOut: func(list string) bool {
				return strings.Contains(list, "  -> 10.1.1.3:8000                Masq    0 ")
			},
		}.run(t)
	})
}

// ldirectord is a way of running it: with two realservers, of which the second
// dies and comes back.
type ldirectord struct {
	options, check string // lines of its configuration
	kill, revive   func(rs *lab.Host) error
	isOut          func(list string) bool // as ipvsadm -L -n shows it
}

func (l ldirectord) run(t *testing.T) {
	t.Helper()
	top := labtest.Build(t, lab.Options{Realservers: 2})
	serveNames(t, top, ":8000")
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config()})
	// ldirectord does not know ranges and must leave this one's realserver alone.
	ipvsadm(d, "-A -t 192.168.1.110:5000-5999 -s rr")
	ipvsadm(d, "-a -t 192.168.1.110:5000-5999 -r 10.1.1.2:8000 -w 7")
	l.start(t, top, d)
	bothListed := func() bool {
		list := ipvsadm(d, "-L -n")
		return strings.Contains(list, "  -> 10.1.1.2:8000                Masq    1 ") &&
			strings.Contains(list, "  -> 10.1.1.3:8000                Masq    2 ")
	}
	// At first ldirectord adds each realserver and takes it away again until
	// it was checked.
	labtest.Eventually(t, "both realservers are in", bothListed)
	sameCounts(t, getMany(t, top.Client, "192.168.1.110", 3), map[string]int{"real1": 1, "real2": 2})
	labtest.Must(t, l.kill(top.Realservers[1]))
	labtest.Eventually(t, "the dead realserver is out", func() bool { return l.isOut(ipvsadm(d, "-L -n")) })
	sameCounts(t, getMany(t, top.Client, "192.168.1.110", 3), map[string]int{"real1": 3})
	labtest.Must(t, l.revive(top.Realservers[1]))
	labtest.Eventually(t, "the realserver is in again", bothListed)
	const ranged = "TCP  192.168.1.110:5000-5999 rr\n  -> 10.1.1.2:8000                Masq    7 "
	if list := ipvsadm(d, "-L -n"); !strings.Contains(list, ranged) {
		t.Errorf("the service with a range is not as it was:\n%s", list)
	}
}

// start starts ldirectord beside the director.
func (l ldirectord) start(t *testing.T, top *lab.Topology, d *labtest.Director) {
	t.Helper()
	dir := t.TempDir()
	// With -d it takes the ipvsadm of its working directory.
	labtest.Must(t, os.Symlink(d.Binary, filepath.Join(dir, "ipvsadm")))
	// The name becomes that of its file with the process id, in /var/run.
	config := filepath.Join(dir, fmt.Sprintf("lvsnat-%d", os.Getpid()))
	labtest.Must(t, os.WriteFile(config, []byte(`checkinterval=1
`+l.options+`
logfile="`+dir+`/log"
virtual=192.168.1.110:80
	real=10.1.1.2:8000 masq 1
	real=10.1.1.3:8000 masq 2
	protocol=tcp
	scheduler=wlc
`+l.check+`
`), 0o600))
	p, err := top.Director.Start(lab.Command{
		Path: "ldirectord", Args: []string{"-d", config, "start"}, Dir: dir,
		Env: []string{"DIRECTOR_STATE_DIR=" + d.StateDir},
	})
	labtest.Must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("ldirectord said:\n%s%s", p.Stdout(), p.Stderr())
		}
	})
}
