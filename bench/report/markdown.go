// Package report writes what was measured for people and for other programs:
// Markdown, the format of Go's benchmarks, and plots.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"lvsnat/bench/result"
	"lvsnat/bench/stats"
	"lvsnat/bench/target"
)

// Markdown writes the machine's facts and all tables.
func Markdown(w io.Writer, r *result.Report) {
	facts(w, r)
	fmt.Fprintln(w)
	figures(r).write(w)
	for _, part := range []struct {
		title string
		table *table
	}{
		{"Behind the figures", details(r)},
		{"During a SYN flood from 16 million sources, real clients", floods(r)},
		{"What is to be reached, of what was measured here", targets(r)},
		{"What an operation costs in memory, from few to many", costs(r)},
		{"What was lost most, frames in a measurement (medians)", lossTable(r)},
	} {
		if len(part.table.rows) > 0 {
			fmt.Fprintf(w, "\n%s:\n\n", part.title)
			part.table.write(w)
		}
	}
	if n := r.Disturbed(); n > 0 {
		fmt.Fprintf(w, "\n%d of %d measurements were disturbed: other programs or other machines took processor time.\n", n, len(r.Samples))
	}
}

func facts(w io.Writer, r *result.Report) {
	m := r.Machine
	fmt.Fprintf(w, "%d CPUs %s, Linux %s, %d GiB, %s; spectre_v2: %s\n", m.CPUs, m.CPU, m.Kernel, m.Memory>>30, m.Go, orUnknown(m.Mitigations))
	fmt.Fprintf(w, "%s, commit %s, %.0f s; medians, and quotients of neighbours in time with their range\n",
		r.Start.Format(time.DateTime), orUnknown(m.Commit), r.Seconds)
}

// A table is one of Markdown. All columns but the first are numbers.
type table struct{ head, rows [][]string }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func newTable(head ...string) *table { return &table{head: [][]string{head}} }

// write pads the cells, so that the text is a table for those too who read it
// as it is.
func (t *table) write(w io.Writer) {
	widths := make([]int, len(t.head[0]))
	for _, row := range slices.Concat(t.head, t.rows) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	line := func(row []string) {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				b.WriteString("| " + cell + pad + " |")
			} else {
				b.WriteString(" " + pad + cell + " |")
			}
		}
		fmt.Fprintln(w, b.String())
	}
	line(t.head[0])
	rule := make([]string, len(widths))
	for i, width := range widths {
		rule[i] = strings.Repeat("-", width-1) + ":"
	}
	rule[0] = strings.Repeat("-", widths[0])
	line(rule)
	for _, row := range t.rows {
		line(row)
	}
}

// figures has a row for each workload, with all peers beside each other.
func figures(r *result.Report) *table {
	t := newTable(slices.Concat([]string{"workload", "unit", r.Subject, r.Against, "quotient", "from - to"}, r.Beside)...)
	for _, w := range r.Workloads {
		ratios := r.Ratios(w.Name, r.Subject, r.Against, "")
		row := []string{
			w.Name, w.Unit, result.Number(r.Median(w.Name, r.Subject, "")), result.Number(r.Median(w.Name, r.Against, "")),
			result.Ratio(stats.Median(ratios)), span(ratios),
		}
		for _, beside := range r.Beside {
			row = append(row, result.Number(r.Median(w.Name, beside, "")))
		}
		t.add(row...)
	}
	return t
}

// shownDetails are the details that have a row of their own.
var shownDetails = []struct{ metric, text string }{
	{"cpu_ns_per_packet", "CPU time per packet, all CPUs, ns"},
	{"p50_us", "median, us"},
	{"p99_us", "99th percentile, us"},
	{"p99.9_us", "99.9th percentile, us"},
	{"sent_late_p99_us", "the client's own lateness, 99th percentile, us"},
	{"bytes_per_connection", "memory per idle connection, bytes"},
}

// details has a row for each workload and detail, with all peers beside each
// other.
func details(r *result.Report) *table {
	peers := slices.Concat([]string{r.Subject, r.Against}, r.Beside)
	t := newTable(slices.Concat([]string{"workload", "detail"}, peers)...)
	for _, w := range r.Workloads {
		for _, d := range shownDetails {
			row, any := []string{w.Name, d.text}, false
			for _, peer := range peers {
				v := r.Median(w.Name, peer, d.metric)
				row, any = append(row, result.Number(v)), any || v != 0
			}
			if any {
				t.add(row...)
			}
		}
	}
	return t
}

func span(ratios []float64) string {
	if len(ratios) == 0 {
		return "-"
	}
	return result.Ratio(slices.Min(ratios)) + " - " + result.Ratio(slices.Max(ratios))
}

// floods has how real clients fared, for each peer.
func floods(r *result.Report) *table {
	t := newTable("flood", "peer", "SYNs/s", "transfer", "connected", "p99 before", "p99 flood", "transfer after", "connected after", "p99 after", "memory")
	for _, w := range r.Workloads {
		for _, peer := range slices.Concat([]string{r.Subject, r.Against}, r.Beside) {
			if len(r.Values(w.Name, peer, "transfer_flood_ratio")) == 0 {
				continue
			}
			m := func(metric string) float64 { return r.Median(w.Name, peer, metric) }
			percent := func(metric string) string { return fmt.Sprintf("%.1f %%", 100*m(metric)) }
			ms := func(metric string) string { return fmt.Sprintf("%.2f ms", m(metric)/1e3) }
			t.add(w.Name, peer, result.Number(m("offered_per_s")), percent("transfer_flood_ratio"), percent("connect_flood_success"),
				ms("connect_before_p99_us"), ms("connect_flood_p99_us"),
				percent("transfer_after_ratio"), percent("connect_after_success"), ms("connect_after_p99_us"), memory(m))
		}
	}
	return t
}

func memory(m func(string) float64) string {
	before, flood := m("memory_before_bytes"), m("memory_flood_bytes")
	if flood == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f -> %.0f MiB", before/(1<<20), flood/(1<<20))
}

func targets(r *result.Report) *table {
	t := newTable("target", "director", "other", "value", "pass", "goal", "reached")
	for _, v := range target.Judge(r) {
		if v.Word == target.NotMeasured {
			continue
		}
		t.add(v.What, result.Number(v.Subject), result.Number(v.Other), number(v.Value), limit(v.Pass), limit(v.Goal), string(v.Word))
	}
	return t
}

// number writes quotients with two digits and larger ones as they are.
func number(v float64) string {
	if v < 10 {
		return result.Ratio(v)
	}
	return result.Number(v)
}

func limit(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", v), "0"), ".")
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
