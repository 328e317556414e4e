package target

import "lvsnat/bench/result"

// Benchmarks in memory, whose operation is one packet.
const (
	pipeline1k  = "Pipeline/established/1000"
	pipeline10M = "Pipeline/established/10000000"
	perPacket   = "ns/op"
)

// pipeline is what a worker takes for a packet.
func pipeline(name string) func(*result.Report) figures {
	return func(r *result.Report) figures {
		v := r.Benchmark(name, perPacket)
		return figures{subject: v, value: v}
	}
}

func pipelines(name, other string) func(*result.Report) figures {
	return func(r *result.Report) figures {
		return quotient(r.Benchmark(name, perPacket), r.Benchmark(other, perPacket))
	}
}

// workers is the rate of two workers by that of one. An operation is one packet
// of each.
func workers(r *result.Report) figures {
	rate := func(name string, n float64) float64 {
		ns := r.Benchmark(name, perPacket)
		if ns == 0 {
			return 0
		}
		return n * 1e9 / ns
	}
	return quotient(rate("Workers/2", 2), rate("Workers/1", 1))
}

// collections is the slowest of a thousand batches while garbage is collected
// every second, by that while it is not.
func collections(r *result.Report) figures {
	return quotient(r.Benchmark("TurnLatency", "p99.9-collecting-ns"), r.Benchmark("TurnLatency", "p99.9-quiet-ns"))
}
