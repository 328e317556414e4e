// Package gobench runs Go benchmarks, which measure parts of the director in
// memory, and reads and writes their format (golang.org/design/14313).
package gobench

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"lvsnat/bench/result"
)

// A Run is one call of go test.
type Run struct {
	Package string // from the module's root
	Pattern string // of -bench
	Time    string // of -benchtime
	Count   int    // how often each benchmark runs
}

// All is what a full benchmark runs: cost over the number of connections,
// services and realservers, and what the targets ask for.
var All = []Run{
	{"./dataplane", "^BenchmarkPipeline$", "1s", 1},
	{"./dataplane", "^BenchmarkPipeline$/^established$/^1000$", "0.2s", 10},
	{"./dataplane", "^BenchmarkWorkers$", "0.2s", 10},
	{"./dataplane", "^BenchmarkMemory$", "1x", 1},
	{"./dataplane", "^BenchmarkTurnLatency$", "16s", 1},
	{"./conntrack", "^BenchmarkFind$/^connections=/^touched", "0.2s", 1},
	{"./conntrack", "^BenchmarkOpenAndExpire$", "0.2s", 1},
	{"./scheduler", "^Benchmark(Pick|ServiceFor)$", "0.02s", 1},
}

// profile is what the compiler goes by when it builds the director, so its parts
// are measured as they are built there.
const profile = "cmd/director/default.pgo"

// Do carries out one run in the module that the working directory is in.
func (r Run) Do(ctx context.Context) ([]result.Benchmark, error) {
	command := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", r.Pattern, "-benchtime", r.Time, "-count", strconv.Itoa(r.Count), "-pgo", profile, r.Package)
	out, err := command.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, out)
	}
	return Parse(string(out))
}

// Parse reads what go test -bench has written. Lines that are no result are
// passed over.
func Parse(text string) ([]result.Benchmark, error) {
	var all []result.Benchmark
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 4 || len(fields)%2 != 0 || !strings.HasPrefix(fields[0], prefix) {
			continue
		}
		b := result.Benchmark{Name: nameOf(fields[0]), Values: make(map[string]float64)}
		for i := 2; i < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("read the benchmark %s: %w", b.Name, err)
			}
			b.Values[fields[i+1]] = v
		}
		all = append(all, b)
	}
	return all, nil
}

const prefix = "Benchmark"

// nameOf takes away the number of processors, which go test adds when it is
// not 1.
func nameOf(field string) string {
	name := strings.TrimPrefix(field, prefix)
	i := strings.LastIndexByte(name, '-')
	if i < 0 {
		return name
	}
	if _, err := strconv.Atoi(name[i+1:]); err != nil {
		return name
	}
	return name[:i]
}

// Write writes all samples that count, and the benchmarks in memory, as results
// of Go benchmarks. Benchstat reads them: benchstat -col /peer shows the peers
// beside each other.
func Write(w io.Writer, r *result.Report) {
	fmt.Fprintf(w, "goos: linux\ncpu: %s\nkernel: %s\ncommit: %s\n", r.Machine.CPU, r.Machine.Kernel, r.Machine.Commit)
	for i := range r.Samples {
		s := &r.Samples[i]
		if value, ok := s.Metric(""); ok {
			values := maps.Clone(s.Details)
			if values == nil {
				values = make(map[string]float64)
			}
			values[strings.ReplaceAll(s.Unit, " ", "-")] = value
			line(w, "Load/workload="+s.Workload+"/peer="+s.Peer, values)
		}
	}
	for _, b := range r.Benchmarks {
		line(w, b.Name, b.Values)
	}
}

func line(w io.Writer, name string, values map[string]float64) {
	fmt.Fprintf(w, "%s%s 1", prefix, name)
	for _, unit := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(w, " %v %s", values[unit], unit)
	}
	fmt.Fprintln(w)
}
