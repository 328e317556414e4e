// Package compare says what has changed between two runs, and what of it is
// noise.
package compare

import (
	"fmt"
	"math/rand/v2"

	"lvsnat/bench/result"
	"lvsnat/bench/stats"
)

// A Change is one figure in two runs.
type Change struct {
	What      string
	Old, New  float64 // medians
	Low, High float64 // where New / Old lies, with a confidence of 95 %
	P         float64 // probability of such a difference where there is none
	Word      Word
}

// Quotient is New / Old, 0 when there is nothing to divide by.
func (c Change) Quotient() float64 {
	if c.Old == 0 {
		return 0
	}
	return c.New / c.Old
}

// A Word says what a change is.
type Word string

// The words. TooFew is for samples so small that no difference between them
// would be told from noise.
const (
	Better Word = "better"
	Worse  Word = "worse"
	Noise  Word = "noise"
	TooFew Word = "too few to tell"
)

// significance is the probability below which a change is not noise.
const significance = 0.05

// Reports compares what both runs have measured. Of a workload it takes the
// quotient of subject and opponent, round by round: the machine has changed
// between two runs too, and with it both.
func Reports(old, new *result.Report, random *rand.Rand) []Change {
	var changes []Change
	for _, w := range new.Workloads {
		a := old.Ratios(w.Name, old.Subject, old.Against, "")
		b := new.Ratios(w.Name, new.Subject, new.Against, "")
		if len(a) == 0 || len(b) == 0 {
			continue
		}
		changes = append(changes, judge(fmt.Sprintf("%s, %s / %s", w.Name, new.Subject, new.Against), a, b, w.Less, random))
	}
	for _, b := range new.Least() {
		was, is := old.Benchmark(b.Name, perOperation), b.Values[perOperation]
		if was != 0 && is != 0 {
			changes = append(changes, judge(b.Name+", "+perOperation, []float64{was}, []float64{is}, true, random))
		}
	}
	return changes
}

const perOperation = "ns/op"

func judge(what string, old, new []float64, less bool, random *rand.Rand) Change {
	c := Change{What: what, Old: stats.Median(old), New: stats.Median(new), P: stats.RankTest(old, new)}
	c.Low, c.High = stats.Interval(old, new, random)
	switch {
	case leastP(len(old), len(new)) >= significance:
		c.Word = TooFew
	case c.P >= significance || c.Low <= 1 && 1 <= c.High:
		c.Word = Noise
	case c.New > c.Old != less:
		c.Word = Better
	default:
		c.Word = Worse
	}
	return c
}

// leastP is what the rank test says of samples of these sizes when all of one
// are beyond all of the other.
func leastP(n, m int) float64 {
	all := make([]float64, n+m)
	for i := range all {
		all[i] = float64(i)
	}
	return stats.RankTest(all[:n], all[n:])
}

// Differences are facts of the two machines that make a comparison doubtful.
func Differences(old, new *result.Report) []string {
	var all []string
	for _, f := range []struct{ what, old, new string }{
		{"CPU", old.Machine.CPU, new.Machine.CPU},
		{"number of CPUs", fmt.Sprint(old.Machine.CPUs), fmt.Sprint(new.Machine.CPUs)},
		{"kernel", old.Machine.Kernel, new.Machine.Kernel},
		{"Go", old.Machine.Go, new.Machine.Go},
		{"mode", old.Mode, new.Mode},
		{"subject", old.Subject, new.Subject},
		{"opponent", old.Against, new.Against},
	} {
		if f.old != f.new {
			all = append(all, fmt.Sprintf("%s: %s, now %s", f.what, f.old, f.new))
		}
	}
	return all
}
