package compare

import (
	"math/rand/v2"
	"testing"

	"lvsnat/bench/result"
)

// report has rounds in which the opponent always has 100.
func report(less bool, subject ...float64) *result.Report {
	r := &result.Report{Subject: "director", Against: "nft", Workloads: []result.Column{{Name: "web", Less: less}}}
	for round, v := range subject {
		r.Samples = append(r.Samples,
			result.Sample{Workload: "web", Peer: "director", Round: round, Value: v},
			result.Sample{Workload: "web", Peer: "nft", Round: round, Value: 100})
	}
	return r
}

func TestChangesAreToldFromNoise(t *testing.T) {
	random := func() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }
	for _, c := range []struct {
		name     string
		old, new *result.Report
		want     Word
	}{
		{"more", report(false, 100, 101, 102, 103), report(false, 120, 121, 122, 123), Better},
		{"less", report(false, 120, 121, 122, 123), report(false, 100, 101, 102, 103), Worse},
		{"less where that is good", report(true, 120, 121, 122, 123), report(true, 100, 101, 102, 103), Better},
		{"the same again", report(false, 100, 120, 110, 105), report(false, 104, 119, 101, 111), Noise},
		{"three of each", report(false, 100, 101, 102), report(false, 200, 201, 202), TooFew},
	} {
		changes := Reports(c.old, c.new, random())
		if len(changes) != 1 || changes[0].Word != c.want {
			t.Errorf("%s: %+v, want %s", c.name, changes, c.want)
		}
	}
	c := Reports(report(false, 100, 100, 100, 100), report(false, 150, 150, 150, 150), random())[0]
	if c.Quotient() != 1.5 || c.Low != 1.5 || c.High != 1.5 || c.What != "web, director / nft" {
		t.Errorf("%+v, want half as much again", c)
	}
}

func TestOnlyWhatBothHaveIsCompared(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	old, new := report(false, 1, 2), report(false, 1, 2)
	old.Samples = nil
	old.Benchmarks = []result.Benchmark{{Name: "Sum", Values: map[string]float64{"ns/op": 2}}, {Name: "Old", Values: map[string]float64{"ns/op": 2}}}
	new.Benchmarks = []result.Benchmark{{Name: "Sum", Values: map[string]float64{"ns/op": 1}}, {Name: "New", Values: map[string]float64{"ns/op": 2}}}
	changes := Reports(old, new, random)
	if len(changes) != 1 || changes[0].What != "Sum, ns/op" || changes[0].Quotient() != 0.5 || changes[0].Word != TooFew {
		t.Errorf("got %+v", changes)
	}
}

func TestOtherMachinesAreNamed(t *testing.T) {
	old, new := report(false), report(false)
	if d := Differences(old, new); len(d) != 0 {
		t.Errorf("two runs on one machine differ in %v", d)
	}
	new.Machine.CPUs, new.Against = 8, "routing"
	d := Differences(old, new)
	if len(d) != 2 || d[0] != "number of CPUs: 0, now 8" || d[1] != "opponent: nft, now routing" {
		t.Errorf("got %q", d)
	}
}
