package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"lvsnat/bench/result"
	"lvsnat/bench/stats"
)

// lossesShown is how many causes a row has room for.
const lossesShown = 3

// lossTable has the causes by which most frames were lost, for each workload
// and peer that has lost any.
func lossTable(r *result.Report) *table {
	t := newTable("workload", "peer", "causes")
	for _, w := range r.Workloads {
		for _, peer := range slices.Concat([]string{r.Subject, r.Against}, r.Beside) {
			if text := causes(r, w.Name, peer); text != "" {
				t.add(w.Name, peer, text)
			}
		}
	}
	return t
}

func causes(r *result.Report, workload, peer string) string {
	counts := make(map[string][]float64)
	for i := range r.Samples {
		s := &r.Samples[i]
		if s.Workload != workload || s.Peer != peer || s.Error != "" {
			continue
		}
		for name, n := range s.Losses {
			counts[name] = append(counts[name], n)
		}
	}
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(stats.Median(counts[b]), stats.Median(counts[a])), cmp.Compare(a, b))
	})
	var shown []string
	for _, name := range names[:min(len(names), lossesShown)] {
		shown = append(shown, name+" "+result.Number(stats.Median(counts[name])))
	}
	return strings.Join(shown, ", ")
}
