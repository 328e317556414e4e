package gobench

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"lvsnat/bench/result"
)

const output = `goos: linux
pkg: lvsnat/scheduler
cpu: AMD EPYC
BenchmarkPick/wlc/1000-2         	 1000000	      12.50 ns/op	       0 B/op
BenchmarkFind/connections=1000/touched_batch-2 	    5	  1e+03 ns/op	 31.2 ns/packet
BenchmarkOnOneProcessor          	       1	       7 ns/op
--- BENCH: BenchmarkNoisy-2
    noisy_test.go:7: Benchmark of something else
PASS
ok  	lvsnat/scheduler	1.234s
`

var parsed = []result.Benchmark{
	{Name: "Pick/wlc/1000", Values: map[string]float64{"ns/op": 12.5, "B/op": 0}},
	{Name: "Find/connections=1000/touched_batch", Values: map[string]float64{"ns/op": 1000, "ns/packet": 31.2}},
	{Name: "OnOneProcessor", Values: map[string]float64{"ns/op": 7}},
}

func TestTheOutputOfGoTestIsRead(t *testing.T) {
	got, err := Parse(output)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, parsed) {
		t.Errorf("got  %+v\nwant %+v", got, parsed)
	}
	if _, err := Parse("BenchmarkX-2 1 fast ns/op\n"); err == nil {
		t.Error("a figure that is none was read")
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	r := &result.Report{
		Samples: []result.Sample{
			{Workload: "flood-1k", Peer: "nft", Unit: "packets/s", Value: 1234.5, Details: map[string]float64{"cpu_ns_per_packet": 900}},
			{Workload: "alive-half", Peer: "nft", Unit: "of throughput", Value: 0.5},
			{Workload: "flood-1k", Peer: "nft", Unit: "packets/s", Value: 1, Repeated: true},
			{Workload: "flood-1k", Peer: "nft", Unit: "packets/s", Error: "broken"},
		},
		Benchmarks: parsed,
	}
	var out strings.Builder
	Write(&out, r)
	got, err := Parse(out.String())
	if err != nil {
		t.Fatal(err)
	}
	want := append([]result.Benchmark{
		{Name: "Load/workload=flood-1k/peer=nft", Values: map[string]float64{"packets/s": 1234.5, "cpu_ns_per_packet": 900}},
		{Name: "Load/workload=alive-half/peer=nft", Values: map[string]float64{"of-throughput": 0.5}},
	}, parsed...)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestTheRunsCanBeUnderstood(t *testing.T) {
	for _, r := range All {
		for part := range strings.SplitSeq(r.Pattern, "/") {
			if _, err := regexp.Compile(part); err != nil {
				t.Errorf("%s: %v", r.Pattern, err)
			}
		}
	}
	if _, err := (Run{Package: "./no-such-package", Pattern: ".", Time: "1x", Count: 1}).Do(t.Context()); err == nil {
		t.Error("a package that is not there was measured")
	}
}
