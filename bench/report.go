package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"lvsnat/bench/machine"
)

// A report is everything that a run has found out.
type report struct {
	Machine machine.Facts `json:"machine"`
	Start   time.Time     `json:"start"`
	Samples []sample      `json:"samples"`
}

// A sample is one measurement, in the form in which it is kept.
type sample struct {
	Workload        string             `json:"workload"`
	Peer            string             `json:"peer"`
	Round           int                `json:"round"`
	Value           float64            `json:"value"`
	Unit            string             `json:"unit"`
	Details         map[string]float64 `json:"details,omitempty"`
	Start           time.Time          `json:"start"`
	ElapsedSeconds  float64            `json:"elapsed_seconds"`
	BusySeconds     float64            `json:"busy_seconds"` // of all processors
	StealShare      float64            `json:"steal_share"`
	BackgroundShare float64            `json:"background_share"` // of the processors, busy before it began
	Error           string             `json:"error,omitempty"`
}

// What a sample may lose to others before it is called disturbed. Background is
// read from few ticks of the kernel's clock, so its limit is coarse.
const (
	maxSteal      = 0.01
	maxBackground = 0.1
)

// String is the line of progress.
func (s sample) String() string {
	if s.Error != "" {
		return fmt.Sprintf("%-12s %-10s failed: %s", s.Workload, s.Peer, s.Error)
	}
	line := fmt.Sprintf("%-12s %-10s %10s %s", s.Workload, s.Peer, number(s.Value), s.Unit)
	if s.StealShare > maxSteal {
		line += fmt.Sprintf("  (other machines took %.0f %%)", 100*s.StealShare)
	}
	if s.BackgroundShare > maxBackground {
		line += fmt.Sprintf("  (other programs took %.0f %%)", 100*s.BackgroundShare)
	}
	return line
}

func newReport() report {
	return report{Machine: machine.Read(), Start: time.Now()}
}

// failures is an error when a sample is one.
func (r *report) failures() error {
	var errs []error
	for _, s := range r.Samples {
		if s.Error != "" {
			errs = append(errs, fmt.Errorf("%s with %s: %s", s.Workload, s.Peer, s.Error))
		}
	}
	return errors.Join(errs...)
}

func (r *report) writeJSON(path string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("write the samples: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write the samples: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the samples: %w", err)
	}
	return nil
}

// writeTable prints the medians, a line for each workload.
func (r *report) writeTable(w io.Writer, p plan) {
	m := r.Machine
	fmt.Fprintf(w, "%d CPUs %s, Linux %s, %d GiB, %s\n", m.CPUs, m.CPU, m.Kernel, m.Memory>>30, m.Go)
	fmt.Fprintf(w, "%s, commit %s; medians of %d, ratios of neighbours in time\n\n",
		r.Start.Format(time.DateTime), orUnknown(m.Commit), p.rounds)

	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "workload\tunit\t%s\t%s\tratio\tfrom - to\tbar\t\t", p.subject.Name, p.against.Name)
	for _, one := range p.beside {
		fmt.Fprintf(t, "%s\tratio\t", one.Name)
	}
	fmt.Fprintln(t)
	for _, load := range p.workloads {
		subject := r.median(load.Name, p.subject.Name)
		ratios := r.ratios(load.Name, p.subject.Name, p.against.Name)
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%.2f\t%s\t", load.Name, load.Unit,
			number(subject), number(r.median(load.Name, p.against.Name)),
			ratio(median(ratios)), span(ratios), load.Bar, verdict(ratios, load.Bar))
		for _, one := range p.beside {
			value := r.median(load.Name, one.Name)
			fmt.Fprintf(t, "%s\t%s\t", number(value), ratio(quotient(subject, value)))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	if n := r.disturbed(); n > 0 {
		fmt.Fprintf(w, "\n%d of %d measurements were disturbed: other programs or other machines took processor time.\n", n, len(r.Samples))
	}
}

// disturbed counts the samples that show the neighbours more than the peer.
func (r *report) disturbed() int {
	n := 0
	for _, s := range r.Samples {
		if s.StealShare > maxSteal || s.BackgroundShare > maxBackground {
			n++
		}
	}
	return n
}

// median is the middle figure of a peer in a workload, 0 when there is none.
func (r *report) median(workload, peer string) float64 {
	var values []float64
	for _, s := range r.Samples {
		if s.Workload == workload && s.Peer == peer && s.Error == "" {
			values = append(values, s.Value)
		}
	}
	return median(values)
}

// ratios pairs the samples of one round, which were taken one right after the
// other: a disturbance that lasts longer than that falls out.
func (r *report) ratios(workload, subject, against string) []float64 {
	find := func(peer string, round int) float64 {
		for _, s := range r.Samples {
			if s.Workload == workload && s.Peer == peer && s.Round == round && s.Error == "" {
				return s.Value
			}
		}
		return 0
	}
	var ratios []float64
	for _, s := range r.Samples {
		if s.Workload != workload || s.Peer != subject || s.Error != "" {
			continue
		}
		if q := quotient(s.Value, find(against, s.Round)); q != 0 {
			ratios = append(ratios, q)
		}
	}
	return ratios
}

func quotient(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// median is the middle value, or the mean of the two in the middle; 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

func verdict(ratios []float64, bar float64) string {
	switch {
	case len(ratios) == 0:
		return "not measured"
	case median(ratios) >= bar:
		return "reached"
	default:
		return "missed"
	}
}

func span(ratios []float64) string {
	if len(ratios) == 0 {
		return "-"
	}
	return ratio(slices.Min(ratios)) + " - " + ratio(slices.Max(ratios))
}

func ratio(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", v)
}

// number keeps three or more digits.
func number(v float64) string {
	switch {
	case v == 0:
		return "-"
	case v < 100:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
