package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"lvsnat/bench/machine"
	"lvsnat/bench/stats"
)

// A Report is everything that a run has found out.
type Report struct {
	Mode       string        `json:"mode"`
	Machine    machine.Facts `json:"machine"`
	Start      time.Time     `json:"start"`
	Seconds    float64       `json:"seconds"`
	Subject    string        `json:"subject"`
	Against    string        `json:"against"`
	Beside     []string      `json:"beside"`
	Workloads  []Column      `json:"workloads"`
	Samples    []Sample      `json:"samples"`
	Benchmarks []Benchmark   `json:"benchmarks,omitempty"` // in memory
}

// A Column describes a workload.
type Column struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Unit        string `json:"unit"`
	Less        bool   `json:"less_is_better,omitempty"`
}

// A Benchmark is one line of go test -bench.
type Benchmark struct {
	Name   string             `json:"name"` // without Benchmark and the number of processors
	Values map[string]float64 `json:"values"`
}

// Read reads a report that Write has written.
func Read(path string) (*Report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the samples: %w", err)
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("read the samples: %s: %w", path, err)
	}
	return &r, nil
}

// Write writes the report as JSON.
func (r *Report) Write(path string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("write the samples: %w", err)
	}
	return WriteFile(path, append(text, '\n'))
}

// WriteFile writes a file and makes its directory.
func WriteFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write a result: %w", err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("write a result: %w", err)
	}
	return nil
}

// Failures is an error when a sample is one.
func (r *Report) Failures() error {
	var errs []error
	for _, s := range r.Samples {
		if s.Error != "" {
			errs = append(errs, fmt.Errorf("%s with %s: %s", s.Workload, s.Peer, s.Error))
		}
	}
	return errors.Join(errs...)
}

// Disturbed counts the samples that count although they were disturbed.
func (r *Report) Disturbed() (n int) {
	for i := range r.Samples {
		if s := &r.Samples[i]; !s.Repeated && s.Disturbed() {
			n++
		}
	}
	return n
}

// Values are a peer's figures in a workload, round by round; see Sample.Metric.
func (r *Report) Values(workload, peer, metric string) []float64 {
	var values []float64
	for i := range r.Samples {
		s := &r.Samples[i]
		if s.Workload != workload || s.Peer != peer {
			continue
		}
		if v, ok := s.Metric(metric); ok {
			values = append(values, v)
		}
	}
	return values
}

// Median is the middle one of Values, 0 when there is none.
func (r *Report) Median(workload, peer, metric string) float64 {
	return stats.Median(r.Values(workload, peer, metric))
}

// Ratios are the subject's figures divided by another's of the same round. The
// two were taken one right after the other, so a disturbance that lasts longer
// than that falls out.
func (r *Report) Ratios(workload, subject, against, metric string) []float64 {
	byRound := make(map[int]float64)
	for i := range r.Samples {
		s := &r.Samples[i]
		if v, ok := s.Metric(metric); ok && s.Workload == workload && s.Peer == against {
			byRound[s.Round] = v
		}
	}
	var ratios []float64
	for i := range r.Samples {
		s := &r.Samples[i]
		if s.Workload != workload || s.Peer != subject {
			continue
		}
		if v, ok := s.Metric(metric); ok && byRound[s.Round] != 0 && v != 0 {
			ratios = append(ratios, v/byRound[s.Round])
		}
	}
	return ratios
}

// Least returns the in-memory benchmarks, one for each name in the order in which
// they were run first. Of a figure that was measured more than once it has the
// least: all are costs, and what disturbs a run in memory only ever makes it
// cost more.
func (r *Report) Least() []Benchmark {
	var least []Benchmark
	places := make(map[string]int)
	for _, b := range r.Benchmarks {
		place, ok := places[b.Name]
		if !ok {
			places[b.Name] = len(least)
			least = append(least, Benchmark{b.Name, maps.Clone(b.Values)})
			continue
		}
		values := least[place].Values
		for unit, v := range b.Values {
			if known, ok := values[unit]; !ok || v < known {
				values[unit] = v
			}
		}
	}
	return least
}

// Benchmark is a figure of an in-memory benchmark as Least has it, 0 when it was
// not measured.
func (r *Report) Benchmark(name, unit string) float64 {
	for _, b := range r.Least() {
		if b.Name == name {
			return b.Values[unit]
		}
	}
	return 0
}
