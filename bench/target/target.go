// Package target holds what the director is to reach, and says whether it has.
package target

import (
	"lvsnat/bench/result"
	"lvsnat/bench/stats"
)

// A Target is one thing to reach. All but a few are quotients of two figures of
// one run, because figures of one machine say nothing about another.
type Target struct {
	What       string
	Less       bool    // less is better
	Pass, Goal float64 // what it must reach, and what it should

	figures func(*result.Report) figures
}

// figures are what a target is judged by.
type figures struct {
	subject, other float64 // the two that are compared; other is 0 when there is but one
	value          float64 // what is judged; 0: not measured
}

// A Verdict is a target with what was measured.
type Verdict struct {
	Target
	Subject, Other, Value float64
	Word                  Word
}

// A Word says how far a target was reached.
type Word string

// The words.
const (
	Goal        Word = "goal"
	Pass        Word = "pass"
	Missed      Word = "missed"
	NotMeasured Word = "not measured"
)

// Judge compares a run with all targets.
func Judge(r *result.Report) []Verdict {
	var verdicts []Verdict
	for _, t := range All {
		f := t.figures(r)
		verdicts = append(verdicts, Verdict{Target: t, Subject: f.subject, Other: f.other, Value: f.value, Word: t.word(f.value)})
	}
	return verdicts
}

func (t *Target) word(value float64) Word {
	reached := func(limit float64) bool {
		if t.Less {
			return value <= limit
		}
		return value >= limit
	}
	switch {
	case value == 0:
		return NotMeasured
	case reached(t.Goal):
		return Goal
	case reached(t.Pass):
		return Pass
	default:
		return Missed
	}
}

// against compares the subject with a peer: the median of the quotients of each
// round.
func against(peer, workload, metric string) func(*result.Report) figures {
	return func(r *result.Report) figures {
		return figures{
			subject: r.Median(workload, subject, metric),
			other:   r.Median(workload, peer, metric),
			value:   stats.Median(r.Ratios(workload, subject, peer, metric)),
		}
	}
}

// between compares two of the subject's own figures.
func between(workload, other string) func(*result.Report) figures {
	return func(r *result.Report) figures {
		return quotient(r.Median(workload, subject, ""), r.Median(other, subject, ""))
	}
}

// own is one of the subject's figures.
func own(workload, metric string) func(*result.Report) figures {
	return func(r *result.Report) figures {
		v := r.Median(workload, subject, metric)
		return figures{subject: v, value: v}
	}
}

// mebibytes is one of the subject's figures in bytes, as MiB.
func mebibytes(workload, metric string) func(*result.Report) figures {
	return func(r *result.Report) figures {
		v := r.Median(workload, subject, metric) / (1 << 20)
		return figures{subject: v, value: v}
	}
}

// inMemory is a figure of a benchmark.
func inMemory(name, unit string) func(*result.Report) figures {
	return func(r *result.Report) figures {
		v := r.Benchmark(name, unit)
		return figures{subject: v, value: v}
	}
}

func quotient(a, b float64) figures {
	f := figures{subject: a, other: b}
	if b != 0 {
		f.value = a / b
	}
	return f
}

// subject is the peer that the targets are about.
const subject = "director"
