package target

import (
	"testing"

	"lvsnat/bench/result"
	"lvsnat/bench/workload"
)

func sample(workload, peer string, round int, value float64, details map[string]float64) result.Sample {
	return result.Sample{Workload: workload, Peer: peer, Round: round, Value: value, Details: details}
}

func find(t *testing.T, r *result.Report, what string) Verdict {
	t.Helper()
	for _, v := range Judge(r) {
		if v.What == what {
			return v
		}
	}
	t.Fatalf("no target is called %q", what)
	return Verdict{}
}

func TestTargetsAreJudged(t *testing.T) {
	cpu := func(v float64) map[string]float64 { return map[string]float64{"cpu_ns_per_packet": v} }
	r := &result.Report{
		Samples: []result.Sample{
			sample("flood-1k", "director", 0, 300, cpu(12)), sample("flood-1k", "nft", 0, 200, cpu(10)),
			sample("flood-1k", "director", 1, 500, cpu(15)), sample("flood-1k", "nft", 1, 200, cpu(10)),
			sample("flood-1k", "testpmd", 0, 250, nil),
			sample("flood-new", "director", 0, 390, nil),
			sample("alive-full", "director", 0, 0.5, map[string]float64{"transfer_flood_ratio": 0.5, "memory_flood_bytes": 300 << 20}),
		},
		Benchmarks: []result.Benchmark{
			{Name: "Pipeline/established/1000", Values: map[string]float64{"ns/op": 40}},
			{Name: "Pipeline/established/10000000", Values: map[string]float64{"ns/op": 70}},
			{Name: "Workers/1", Values: map[string]float64{"ns/op": 38}},
			{Name: "Workers/2", Values: map[string]float64{"ns/op": 40}},
			{Name: "TurnLatency", Values: map[string]float64{"p99.9-collecting-ns": 12, "p99.9-quiet-ns": 10}},
		},
	}
	for _, c := range []struct {
		what  string
		value float64
		word  Word
	}{
		{"SYN flood, 1,000 flows, director / nft", 2, Goal},
		{"SYN flood, 1,000 flows, director / testpmd", 1.2, Missed},
		{"SYN flood, 1,000 flows, director / null forwarder", 0, NotMeasured},
		{"CPU per packet, all cores, director / nft", 1.35, Pass},
		{"pipeline in memory, 1,000 connections, ns/packet", 40, Pass},
		{"the same, 10,000,000 connections / 1,000", 1.75, Goal},
		{"rate of new flows / of established ones", 0.975, Goal},
		{"flood at full rate: throughput of a transfer", 0.5, Goal},
		{"flood at full rate: memory, MiB", 300, Missed},
		{"two workers / one, in memory", 1.9, Pass},
		{"p99.9 of a batch, a collection every second / none", 1.2, Missed},
		{"bytes per connection at 10,000,000", 0, NotMeasured},
	} {
		v := find(t, r, c.what)
		if v.Value != c.value || v.Word != c.word {
			t.Errorf("%s: %v, %s; want %v, %s", c.what, v.Value, v.Word, c.value, c.word)
		}
	}
}

// A target of a workload that nobody measures would never be missed.
func TestEveryGoalIsBeyondItsPass(t *testing.T) {
	for _, target := range All {
		beyond := target.Goal >= target.Pass
		if target.Less {
			beyond = target.Goal <= target.Pass
		}
		if !beyond {
			t.Errorf("%s: pass %v, goal %v", target.What, target.Pass, target.Goal)
		}
	}
	for _, name := range []string{
		"flood-1k", "flood-new", "iperf3-to", "iperf3-from", "request-1", "request-50", "connect", "latency", "alive-half", "alive-full",
	} {
		if _, err := workload.ByName(name); err != nil {
			t.Error(err)
		}
	}
}
