// Package stats says what a few noisy measurements are worth.
package stats

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Median is the middle value, or the mean of the two in the middle; 0 of none.
func Median(values []float64) float64 {
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

// resamples is how often Interval draws; its ends move by less than a hundredth
// of their distance when there are more.
const resamples = 4000

// Interval is where the median of new divided by the median of old lies with a
// confidence of 95 %, by drawing from both again and again (percentile
// bootstrap). It is 0, 0 when one of them is empty, and as wide as its few
// values when there are few.
func Interval(old, new []float64, random *rand.Rand) (low, high float64) {
	if len(old) == 0 || len(new) == 0 {
		return 0, 0
	}
	quotients := make([]float64, resamples)
	a, b := make([]float64, len(old)), make([]float64, len(new))
	for i := range quotients {
		quotients[i] = Median(draw(b, new, random)) / Median(draw(a, old, random))
	}
	slices.Sort(quotients)
	const tail = 0.025
	return quotients[int(tail*resamples)], quotients[int((1-tail)*resamples)-1]
}

// draw fills to with values of from, each of which may come up any number of
// times.
func draw(to, from []float64, random *rand.Rand) []float64 {
	for i := range to {
		to[i] = from[random.IntN(len(from))]
	}
	return to
}

// RankTest is the probability that two samples of the same thing differ as much
// as a and b do in their ranks (Mann and Whitney's U test, two-sided). Up to
// exactLimit values it counts all ways to deal them out, beyond that it takes
// the normal distribution.
func RankTest(a, b []float64) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 1
	}
	ranks := rank(append(slices.Clone(a), b...))
	sum := 0.0
	for _, r := range ranks[:len(a)] {
		sum += r
	}
	expected := float64(len(a)*(len(ranks)+1)) / 2
	if len(ranks) <= exactLimit {
		return exact(ranks, len(a), math.Abs(sum-expected), expected)
	}
	spread := math.Sqrt(float64(len(a)*len(b)*(len(ranks)+1)) / 12)
	return math.Erfc(max(0, math.Abs(sum-expected)-0.5) / spread / math.Sqrt2)
}

// exactLimit keeps the number of ways below 13,000.
const exactLimit = 16

// rank gives each value its place in the order, and equal ones the mean of
// theirs.
func rank(values []float64) []float64 {
	sorted := slices.Sorted(slices.Values(values))
	ranks := make([]float64, len(values))
	for i, v := range values {
		first, _ := slices.BinarySearch(sorted, v)
		last := first
		for last < len(sorted) && sorted[last] == v {
			last++
		}
		ranks[i] = float64(first+1+last) / 2
	}
	return ranks
}

// exact is the share of all ways to choose n of the ranks whose sum is at least
// as far from the expected one.
func exact(ranks []float64, n int, distance, expected float64) float64 {
	ways, far := 0, 0
	var choose func(from, left int, sum float64)
	choose = func(from, left int, sum float64) {
		if left == 0 {
			ways++
			if math.Abs(sum-expected) >= distance-1e-9 {
				far++
			}
			return
		}
		for i := from; i <= len(ranks)-left; i++ {
			choose(i+1, left-1, sum+ranks[i])
		}
	}
	choose(0, n, 0)
	return float64(far) / float64(ways)
}
