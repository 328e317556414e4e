package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"lvsnat/bench/peer"
	"lvsnat/bench/workload"
)

func testPlan() plan {
	return plan{
		subject:   peer.Peer{Name: "a"},
		against:   peer.Peer{Name: "b"},
		beside:    []peer.Peer{{Name: "c", Proxy: true}},
		workloads: []workload.Workload{{Name: "web", Unit: "requests/s", Bar: 1}, {Name: "flood", Unit: "packets/s", Bar: 1.5, Flood: true}},
		rounds:    2,
	}
}

func TestPeersTakeTurns(t *testing.T) {
	p := testPlan()
	var got []string
	for _, s := range p.steps() {
		got = append(got, s.workload.Name+":"+s.peer.Name)
	}
	const want = "web:a web:b web:c flood:a flood:b web:b web:a flood:b flood:a"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
}

func testReport() report {
	return report{Samples: []sample{
		{Workload: "web", Peer: "a", Round: 0, Value: 100},
		{Workload: "web", Peer: "b", Round: 0, Value: 50},
		{Workload: "web", Peer: "c", Round: 0, Value: 200},
		{Workload: "web", Peer: "b", Round: 1, Value: 1000},
		{Workload: "web", Peer: "a", Round: 1, Value: 1500},
		{Workload: "flood", Peer: "a", Round: 0, Value: 10},
		{Workload: "flood", Peer: "b", Round: 0, Error: "broken"},
		{Workload: "flood", Peer: "b", Round: 1, Value: 10},
		{Workload: "flood", Peer: "a", Round: 1, Value: 12},
	}}
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
	r := testReport()
	if got := r.ratios("web", "a", "b"); !reflect.DeepEqual(got, []float64{2, 1.5}) {
		t.Errorf("got %v, want 2 and 1.5", got)
	}
	if got := r.ratios("flood", "a", "b"); !reflect.DeepEqual(got, []float64{1.2}) {
		t.Errorf("got %v, want 1.2: a failed sample has no ratio", got)
	}
}

func TestTheTableShowsFiguresRatioAndBar(t *testing.T) {
	r := testReport()
	var out bytes.Buffer
	r.writeTable(&out, testPlan())
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{
		"flood packets/s 11.00 10.00 1.20 1.20 - 1.20 1.50 missed - -",
		"web requests/s 800 525 1.75 1.50 - 2.00 1.00 reached 200 4.00",
		"workload unit a b ratio from - to bar c ratio",
	} {
		if got := strings.Join(strings.Fields(lines[len(lines)-1-i]), " "); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestAWorkloadWithoutFiguresIsNotMissed(t *testing.T) {
	if got := verdict(nil, 1); got != "not measured" {
		t.Errorf("got %q", got)
	}
}

func TestDisturbedMeasurementsAreCounted(t *testing.T) {
	r := testReport()
	if n := r.disturbed(); n != 0 {
		t.Errorf("%d disturbed, want none", n)
	}
	r.Samples[0].StealShare = 0.02
	r.Samples[1].BackgroundShare = 0.5
	var out bytes.Buffer
	r.writeTable(&out, testPlan())
	if !strings.Contains(out.String(), "2 of 9 measurements were disturbed") {
		t.Errorf("the table does not tell:\n%s", out.String())
	}
}

func TestFailuresAreNamed(t *testing.T) {
	r := testReport()
	if err := r.failures(); err == nil || err.Error() != "flood with b: broken" {
		t.Errorf("got %v", err)
	}
}

func TestSamplesAreKept(t *testing.T) {
	r := testReport()
	r.Start = time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "new", "samples.json")
	if err := r.writeJSON(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var again report
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again, r) {
		t.Errorf("got  %+v\nwant %+v", again, r)
	}
}

func TestMedians(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 9, 2}, 3},
	} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}

func TestWrongUseIsExplained(t *testing.T) {
	for line, want := range map[string]string{
		"":                         "usage: bench quick",
		"slow":                     "usage: bench quick",
		"quick more":               `unknown argument "more"`,
		"quick -rounds 0":          "-rounds 0: must be at least 1",
		"quick -duration 10ms":     "-duration 10ms: must be at least 1s",
		"quick -against lvs":       `unknown peer "lvs": there are director, nft`,
		"quick -beside nft,lvs":    `unknown peer "lvs"`,
		"quick -workloads iperf":   `unknown workload "iperf": there are iperf3-to`,
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
