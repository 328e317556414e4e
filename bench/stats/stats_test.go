package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestMedians(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 9, 2}, 3},
	} {
		if got := Median(c.values); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}

func TestTheRankTestAgreesWithPublishedTables(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b []float64
		want float64
	}{
		// Of 4 out of 8 there are 70 ways; two of them are as far apart.
		{"apart", []float64{1, 2, 3, 4}, []float64{5, 6, 7, 8}, 2.0 / 70},
		{"the same", []float64{1, 2, 3}, []float64{1, 2, 3}, 1},
		{"one against one", []float64{1}, []float64{2}, 1},
		// U = 3 of 5 and 5: 0.0556 in the tables of Mann and Whitney.
		{"nearly apart", []float64{1, 2, 3, 4, 8}, []float64{5, 6, 7, 9, 10}, 0.0556},
		{"nothing", nil, []float64{1}, 1},
	} {
		if got := RankTest(c.a, c.b); math.Abs(got-c.want) > 5e-4 {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// The two ways to compute it meet where one takes over from the other.
func TestTheRankTestOfManyIsLikeThatOfFew(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		a, b := normal(random, 9, 0), normal(random, 8, 0.5)
		if math.Abs(RankTest(a, b)-RankTest(a[:8], b)) > 0.35 {
			t.Errorf("of 17: %v, of 16: %v", RankTest(a, b), RankTest(a[:8], b))
		}
	}
}

// A test that calls noise a change as often as it says.
func TestTheRankTestIsWrongAsOftenAsItSays(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const tries = 2000
	for _, size := range []int{6, 15} {
		wrong := 0
		for range tries {
			if RankTest(normal(random, size, 0), normal(random, size, 0)) < 0.05 {
				wrong++
			}
		}
		if share := float64(wrong) / tries; share > 0.065 || share < 0.025 {
			t.Errorf("%d and %d of the same: called different in %.3f of all cases, want about 0.05", size, size, share)
		}
	}
}

func TestTheIntervalHoldsTheTruth(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	const tries = 60
	held := 0
	for range tries {
		low, high := Interval(normal(random, 9, 10), normal(random, 9, 12), random)
		if low <= 1.2 && 1.2 <= high {
			held++
		}
	}
	if share := float64(held) / tries; share < 0.9 {
		t.Errorf("the true quotient is inside in %.2f of all cases, want about 0.95", share)
	}
	if low, high := Interval(nil, []float64{1}, random); low != 0 || high != 0 {
		t.Errorf("of nothing: %v to %v", low, high)
	}
	if low, high := Interval([]float64{2}, []float64{3}, random); low != 1.5 || high != 1.5 {
		t.Errorf("of one and one: %v to %v, want 1.5", low, high)
	}
}

func normal(random *rand.Rand, n int, mean float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = mean + random.NormFloat64()
	}
	return values
}
