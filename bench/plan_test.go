package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lvsnat/bench/peer"
	"lvsnat/bench/result"
	"lvsnat/bench/testbed"
	"lvsnat/bench/workload"
)

func TestPeersTakeTurns(t *testing.T) {
	p := plan{
		subject: peer.Peer{Name: "a", Can: testbed.Streams | testbed.Forged},
		against: peer.Peer{Name: "b", Can: testbed.Streams | testbed.Forged},
	}
	g := group{
		beside:    []peer.Peer{{Name: "c", Can: testbed.Streams}},
		workloads: []workload.Workload{{Name: "web", Needs: testbed.Streams}, {Name: "flood", Needs: testbed.Forged}},
		rounds:    2, besideRounds: 1,
	}
	var got []string
	for round := range g.rounds {
		for _, s := range p.steps(&g, round) {
			got = append(got, s.workload.Name+":"+s.peer.Name)
		}
	}
	const want = "web:a web:b web:c flood:a flood:b web:b web:a flood:b flood:a"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
}

func TestALoadIsTakenFromWhatWasMeasured(t *testing.T) {
	r := runner{
		plan: &plan{subject: peer.Peer{Name: "a"}, against: peer.Peer{Name: "b"}},
		report: &result.Report{Samples: []result.Sample{
			{Workload: "web", Peer: "a", Value: 300}, {Workload: "web", Peer: "b", Value: 200},
		}},
	}
	for _, c := range []struct {
		load *workload.Load
		want float64
	}{
		{nil, 0},
		{&workload.Load{Workload: "web", Share: 0.5}, 150},
		{&workload.Load{Workload: "web", Share: 0.5, Slower: true}, 100},
		{&workload.Load{Workload: "flood", Share: 1}, 0},
	} {
		if got := r.rate(&workload.Workload{Load: c.load}); got != c.want {
			t.Errorf("%+v: got %v, want %v", c.load, got, c.want)
		}
	}
	s := step{workload: workload.Workload{Name: "late", Load: &workload.Load{Workload: "flood"}}}
	if sample := s.measure(t.Context(), nil, 0); !strings.Contains(sample.Error, "no figure of flood") {
		t.Errorf("without a load: %+v", sample)
	}
}

func TestARoundThatWouldTakeTooLongIsLeftOut(t *testing.T) {
	r := runner{plan: &plan{budget: time.Hour}, start: time.Now().Add(-50 * time.Minute), done: 100}
	if got := r.expected(30).Round(time.Minute); got != 15*time.Minute {
		t.Errorf("30 measurements like 100 that took 50 minutes: got %v, want 15m", got)
	}
	var progress bytes.Buffer
	r.progress, r.report = &progress, &result.Report{}
	g := group{rounds: 3} // nothing to measure: rounds of no time
	if err := r.group(t.Context(), &g); err != nil || progress.Len() != 0 {
		t.Errorf("%v, %q: rounds that fit in were left out", err, progress.String())
	}
	r.start = time.Now().Add(-2 * time.Hour)
	if err := r.group(t.Context(), &g); err != nil || progress.String() != "no time for round 2 of 3\nno time for round 3 of 3\n" {
		t.Errorf("%v, %q", err, progress.String())
	}
}

func TestOnlyCountersThatGrowAreKept(t *testing.T) {
	got := growth(map[string]float64{"a": 1, "b": 2}, map[string]float64{"a": 1, "b": 5, "c": 7})
	if want := map[string]float64{"b": 3, "c": 7}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWorkloadsAreChosen(t *testing.T) {
	groups := []namedGroup{{workloads: "a,b,c", rounds: 1}, {workloads: "d,e", rounds: 2}}
	for list, want := range map[string][]namedGroup{
		"default": groups,
		"c,a":     {{workloads: "a,c", rounds: 1}},
		"e,b":     {{workloads: "b", rounds: 1}, {workloads: "e", rounds: 2}},
		"x":       {{workloads: "x", rounds: 1}},
	} {
		if got := choose(groups, list); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", list, got, want)
		}
	}
}

func TestEveryModeIsWhole(t *testing.T) {
	for _, m := range modes {
		p, err := parseMode(m, nil, os.Stderr)
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		var r result.Report
		p.describe(&r)
		for _, g := range p.groups {
			for _, w := range g.workloads {
				if w.Load == nil {
					continue
				}
				if !strings.Contains(workloadNames(&r, w.Name), w.Load.Workload) {
					t.Errorf("%s: %s takes its load from %s, which does not come before it", m.name, w.Name, w.Load.Workload)
				}
			}
		}
	}
}

// workloadNames are those that come before one.
func workloadNames(r *result.Report, before string) string {
	var names []string
	for _, w := range r.Workloads {
		if w.Name == before {
			break
		}
		names = append(names, w.Name)
	}
	return strings.Join(names, " ")
}

func TestWrongUseIsExplained(t *testing.T) {
	for line, want := range map[string]string{
		"":                         "usage: bench COMMAND",
		"slow":                     "usage: bench COMMAND",
		"quick more":               `unknown argument "more"`,
		"quick -rounds -1":         "-rounds -1: must be at least 1",
		"quick -duration 10ms":     "-duration 10ms: must be at least 1s",
		"quick -against lvs":       `unknown peer "lvs": there are director, nft`,
		"full -beside nft,lvs":     `unknown peer "lvs"`,
		"flood -workloads iperf":   `unknown workload "iperf": there are iperf3-to`,
		"quick -no-such-flag=true": "no-such-flag",
	} {
		var stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(line), nil, &stderr); code != 2 {
			t.Errorf("bench %s: exit code %d, want 2", line, code)
		}
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("bench %s: got %q, want %q", line, stderr.String(), want)
		}
	}
}

// The kernel by itself stands in for the director, so that this test fails for
// reasons of the benchmark only.
func TestARunMeasuresAllPeers(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	testlvs := filepath.Join(t.TempDir(), "testlvs")
	build(t, testlvs, "../cmd/testlvs")
	output := t.TempDir()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{
		"quick", "-subject", "nft", "-against", "forwarder", "-beside", "", "-testlvs", testlvs,
		"-workloads", "request-50,latency,udp,flood-new,idle-16,alive-half", "-rounds", "1", "-duration", "1s", "-out", output,
	}, &stdout, &stderr)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	r, err := result.Read(filepath.Join(output, samplesFile))
	if err != nil {
		t.Fatal(err)
	}
	measured := make(map[string]int)
	for _, s := range r.Samples {
		if s.Value <= 0 || s.Error != "" || s.BusySeconds <= 0 {
			t.Errorf("sample %+v", s)
		}
		if !s.Repeated {
			measured[s.Peer]++
		}
	}
	for _, one := range []string{"nft", "forwarder"} {
		if measured[one] != 6 {
			t.Errorf("%s was measured %d times, want each of 6 workloads once", one, measured[one])
		}
	}
	if !strings.Contains(stdout.String(), "| alive-half") {
		t.Errorf("no table:\n%s", stdout.String())
	}
	if took := time.Duration(r.Seconds * float64(time.Second)); took <= 0 {
		t.Errorf("took %v", took)
	}
}

func build(t *testing.T, output, directory string) {
	t.Helper()
	if out, err := exec.Command("go", "build", "-o", output, directory).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", directory, err, out)
	}
}
