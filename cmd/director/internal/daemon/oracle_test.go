package daemon

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"lvsnat/test/oracle/traffic"
)

// fresh is where `make oracle-fresh` has put recordings of a moment ago.
var fresh = flag.String("fresh", "", "a directory with traffic*.txt to be replayed, too")

const recordings = "testdata/oracle"

// recording reads a file of scenarios.
func recording(t *testing.T, file string) []traffic.Scenario {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	scenarios, err := traffic.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return scenarios
}

// TestTheRealIPVSDoesTheSame replays what the kernel's IPVS did in the guest of
// test/oracle: who got each packet, what was answered, and the listings. At
// random (traffic*.txt), and packet by packet in each state of a TCP connection
// (states.txt).
func TestTheRealIPVSDoesTheSame(t *testing.T) {
	files := filesOf(t, filepath.Join(recordings, "*.txt"))
	if *fresh != "" {
		files = append(files, filesOf(t, filepath.Join(*fresh, "traffic*.txt"))...)
	}
	for _, file := range files {
		if filepath.Base(file) == differencesFile {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			for _, s := range recording(t, file) {
				t.Run(s.Name, func(t *testing.T) {
					t.Parallel()
					for _, c := range replay(t, s) {
						t.Errorf("%s:%d: %s", file, c.step.Line, c)
					}
				})
			}
		})
	}
}

func filesOf(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	must(t, err)
	if len(files) == 0 {
		t.Fatalf("there is no recording %s", pattern)
	}
	return files
}

// A contradiction is a step at which the director did something else.
type contradiction struct {
	step      traffic.Step
	want, got string
}

func (c contradiction) String() string {
	return fmt.Sprintf("%s\nIPVS:     %s\ndirector: %s", c.step, c.want, c.got)
}

// replay plays a scenario and returns what contradicts it.
func replay(t *testing.T, s traffic.Scenario) (found []contradiction) {
	r := newReplica(t)
	for _, phase := range s.Phases {
		for _, step := range phase.Steps {
			r.until(step.At)
			switch {
			case step.Command != nil:
				if stdout, stderr, exit := r.ipvsadm(step.Command...); exit != 0 || stdout+stderr != "" {
					found = append(found, contradiction{step, "", stdout + stderr})
				}
			case step.Packet != nil:
				if got := r.exchange(step.Packet); got != step.Outcome {
					found = append(found, contradiction{step, step.Outcome, got})
				}
			default:
				for _, pair := range traffic.Compare(step.Listing, r.list(s.VIP)) {
					found = append(found, contradiction{step, pair[0], pair[1]})
				}
			}
		}
	}
	return found
}

const (
	// differencesFile has scenarios in which the director does something else.
	differencesFile = "differences.txt"

	// document lists the differences for operators, each with its reason.
	document = "../../../../docs/ipvs-differences.md"
)

// trafficDifferences are the contradictions to the scenarios of differencesFile, by
// the row of the document that says why: what happens, or the row of a listing
// without its time, in IPVS and in the director.
var trafficDifferences = []struct{ row, scenario, want, got string }{
	{"removed realservers", "removed", "nothing", "10.1.1.2:8000"},
	{"packets of no connection", "unasked", "10.1.1.2:8000", "nothing"},
	{"clients that send from port 20", "ftp-data", "reset", "10.1.1.2:8000"},
	{"clients that send from port 20", "ftp-data", "unreachable", "10.1.1.2:53"},
	{"an edit that changes nothing", "no-edit", "10.1.1.3:8000", "10.1.1.2:8000"},
	{"one client port, two services, one realserver", "clash", "10.1.1.2:8000", "nothing"},
	{"one client port, two services, one realserver", "clash", "172.16.0.6:81", "172.16.0.6:80"},
	{"a realserver's port in a service for all ports", "all-ports", "10.1.1.2:80", "10.1.1.2:8000"},
	{"replies under one-packet scheduling", "one-packet", "10.1.1.2:53", "172.16.0.8:53"},
	{"timeouts of open connections", "timeouts", "UDP 04:51 UDP 10.64.0.9:1024 172.16.0.9:53 10.1.1.2:53", "UDP 00:51 UDP 10.64.0.9:1024 172.16.0.9:53 10.1.1.2:53"},

	// Of a realserver that was removed.
	{"templates", "templates", "TCP 04:42 NONE 10.64.0.4:0 172.16.0.4:65535 10.1.1.3:65535", ""},
	// Of a service whose persistence was taken away and came back: the client
	// is with its old realserver, or with the next.
	{"templates", "templates", "10.1.1.3:8000", "10.1.1.2:8000"},
	{"templates", "templates", "-> 10.1.1.2:8000 Masq 1 0 0 = 0", "-> 10.1.1.2:8000 Masq 1 1 0 = 1"},
	{"templates", "templates", "-> 10.1.1.3:8000 Masq 1 2 0 = 2", "-> 10.1.1.3:8000 Masq 1 1 0 = 1"},
	{"templates", "templates", "TCP 00:51 SYN_RECV 10.64.0.4:1030 172.16.0.4:81 10.1.1.3:8000", ""},
	{"templates", "templates", "", "TCP 00:51 SYN_RECV 10.64.0.4:1030 172.16.0.4:81 10.1.1.2:8000"},
	{"templates", "templates", "TCP 04:51 NONE 10.64.0.4:0 172.16.0.4:81 10.1.1.3:8000", ""},
	{"templates", "templates", "", "TCP 04:51 NONE 10.64.0.4:0 172.16.0.4:81 10.1.1.2:8000"},
	// Of a service that has another netmask now.
	{"templates", "templates", "TCP 04:43 NONE 10.64.0.4:0 172.16.0.4:82 10.1.1.3:8000", ""},
	// Of a service that was removed and came back.
	{"templates", "templates", "10.1.1.2:8000", "10.1.1.3:8000"},
	{"templates", "templates", "-> 10.1.1.2:8000 Masq 1 2 0 = 1", "-> 10.1.1.2:8000 Masq 1 1 0 = 0"},
	{"templates", "templates", "-> 10.1.1.3:8000 Masq 1 1 0 = 0", "-> 10.1.1.3:8000 Masq 1 2 0 = 1"},
	{"templates", "templates", "TCP 00:51 SYN_RECV 10.64.0.4:1032 172.16.0.4:83 10.1.1.2:8000", ""},
	{"templates", "templates", "", "TCP 00:51 SYN_RECV 10.64.0.4:1032 172.16.0.4:83 10.1.1.3:8000"},
	{"templates", "templates", "TCP 04:43 NONE 10.64.1.4:0 172.16.0.4:83 10.1.1.3:8000", ""},
	{"templates", "templates", "TCP 04:51 NONE 10.64.0.4:0 172.16.0.4:83 10.1.1.2:8000", ""},
	{"templates", "templates", "", "TCP 04:51 NONE 10.64.0.4:0 172.16.0.4:83 10.1.1.3:8000"},
}

func TestOnlyListedTrafficDiffers(t *testing.T) {
	met := make([]bool, len(trafficDifferences))
	for _, s := range recording(t, filepath.Join(recordings, differencesFile)) {
		for _, c := range replay(t, s) {
			listed := false
			for i, d := range trafficDifferences {
				if d.scenario == s.Name && traffic.Alike(d.want, c.want) && traffic.Alike(d.got, c.got) {
					listed, met[i] = true, true
				}
			}
			if !listed {
				t.Errorf("line %d: %s\nis on no list", c.step.Line, c)
			}
		}
	}
	for i, d := range trafficDifferences {
		if !met[i] {
			t.Errorf("%s: the director has not answered %q where IPVS says %q", d.row, d.got, d.want)
		}
	}
}

func TestTheDocumentHasARowForEachDifferenceOfTraffic(t *testing.T) {
	text, err := os.ReadFile(document)
	must(t, err)
	var rows []string
	for _, match := range regexp.MustCompile(`(?m)^\| traffic: ([^|]*[^| ]) *\|`).FindAllStringSubmatch(string(text), -1) {
		rows = append(rows, match[1])
	}
	for _, d := range trafficDifferences {
		if !slices.Contains(rows, d.row) {
			t.Errorf("%s has no row %q", document, d.row)
		}
	}
	for _, row := range rows {
		if !slices.ContainsFunc(trafficDifferences, func(d struct{ row, scenario, want, got string }) bool { return d.row == row }) {
			t.Errorf("%s has the row %q, and no recording shows it", document, row)
		}
	}
}
