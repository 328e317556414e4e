package report

import (
	"fmt"
	"maps"
	"slices"

	"lvsnat/bench/plots"
	"lvsnat/bench/result"
)

// steep is the power of a number with which a cost must not grow: a tree's is
// near 0, a list's near 1. What is in between is memory that no cache holds.
const steep = 0.5

// costs has what an operation costs at the ends of each curve.
func costs(r *result.Report) *table {
	t := newTable("cost", "from", "to", "ns", "ns", "grows as the power", "")
	for _, cost := range plots.Costs {
		curves := cost.Curves(r.Least())
		for _, name := range slices.Sorted(maps.Keys(curves)) {
			points := curves[name]
			if len(points) < 2 {
				continue
			}
			first, last, word := points[0], points[len(points)-1], ""
			power := plots.Exponent(points)
			if power > steep {
				word = "steep"
			}
			t.add(cost.Title+" "+name, fmt.Sprintf("%.0f", first.X), fmt.Sprintf("%.0f", last.X),
				fmt.Sprintf("%.1f", first.NS), fmt.Sprintf("%.1f", last.NS), fmt.Sprintf("%.2f", power), word)
		}
	}
	return t
}
