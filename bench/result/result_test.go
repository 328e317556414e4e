package result

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func testReport() Report {
	return Report{Subject: "a", Against: "b", Samples: []Sample{
		{Workload: "web", Peer: "a", Round: 0, Value: 100, Details: map[string]float64{"p99_us": 5}},
		{Workload: "web", Peer: "b", Round: 0, Value: 50, Details: map[string]float64{"p99_us": 2}},
		{Workload: "web", Peer: "c", Round: 0, Value: 200},
		{Workload: "web", Peer: "b", Round: 1, Value: 999, Repeated: true},
		{Workload: "web", Peer: "b", Round: 1, Value: 1000},
		{Workload: "web", Peer: "a", Round: 1, Value: 1500},
		{Workload: "flood", Peer: "a", Round: 0, Value: 10},
		{Workload: "flood", Peer: "b", Round: 0, Error: "broken"},
		{Workload: "flood", Peer: "b", Round: 1, Value: 10},
		{Workload: "flood", Peer: "a", Round: 1, Value: 12},
	}}
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
	r := testReport()
	for _, c := range []struct {
		workload, metric string
		want             []float64
	}{
		{"web", "", []float64{2, 1.5}},
		{"flood", "", []float64{1.2}}, // a failed sample has no ratio
		{"web", "p99_us", []float64{2.5}},
		{"web", "p50_us", nil},
	} {
		if got := r.Ratios(c.workload, "a", "b", c.metric); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s %s: got %v, want %v", c.workload, c.metric, got, c.want)
		}
	}
}

func TestWhatWasRepeatedOrFailedDoesNotCount(t *testing.T) {
	r := testReport()
	if got := r.Values("web", "b", ""); !reflect.DeepEqual(got, []float64{50, 1000}) {
		t.Errorf("got %v", got)
	}
	if got := r.Median("flood", "b", ""); got != 10 {
		t.Errorf("got %v, want 10", got)
	}
	if got := r.Median("flood", "c", ""); got != 0 {
		t.Errorf("of nothing: got %v", got)
	}
}

func TestDisturbedMeasurementsAreCounted(t *testing.T) {
	r := testReport()
	if n := r.Disturbed(); n != 0 {
		t.Errorf("%d disturbed, want none", n)
	}
	r.Samples[0].StealShare = 0.02
	r.Samples[1].BackgroundShare = 0.5
	r.Samples[3].BackgroundShare = 0.5 // repeated
	if n := r.Disturbed(); n != 2 {
		t.Errorf("%d disturbed, want 2", n)
	}
}

func TestFailuresAreNamed(t *testing.T) {
	r := testReport()
	if err := r.Failures(); err == nil || err.Error() != "flood with b: broken" {
		t.Errorf("got %v", err)
	}
}

func TestAReportIsKept(t *testing.T) {
	r := testReport()
	r.Start = time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	r.Benchmarks = []Benchmark{{"Sum", map[string]float64{"ns/op": 3}}}
	path := filepath.Join(t.TempDir(), "new", "samples.json")
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	again, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*again, r) {
		t.Errorf("got  %+v\nwant %+v", *again, r)
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
	if err := os.WriteFile(path, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil {
		t.Error("half a file was read")
	}
}

func TestBenchmarksAreFoundByName(t *testing.T) {
	r := Report{Benchmarks: []Benchmark{
		{"Sum", map[string]float64{"ns/op": 3}},
		{"Sum", map[string]float64{"ns/op": 5, "B/op": 0}},
		{"Sum/long", map[string]float64{"ns/op": 100}},
	}}
	if got := r.Benchmark("Sum", "ns/op"); got != 3 {
		t.Errorf("got %v, want the least, 3", got)
	}
	if got := r.Benchmark("Sum", "MB/s"); got != 0 {
		t.Errorf("got %v for a unit that is not there", got)
	}
	want := []Benchmark{
		{"Sum", map[string]float64{"ns/op": 3, "B/op": 0}},
		{"Sum/long", map[string]float64{"ns/op": 100}},
	}
	if got := r.Least(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v: each name once", got, want)
	}
}

func TestTheLineOfProgressShowsTheNeighbours(t *testing.T) {
	s := Sample{Workload: "web", Peer: "a", Value: 12345.6, Unit: "requests/s", StealShare: 0.05, BackgroundShare: 0.3}
	const want = "web          a               12346 requests/s  (other machines took 5 %)  (other programs took 30 %)"
	if got := s.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	s.Error = "no route"
	if got := s.String(); got != "web          a          failed: no route" {
		t.Errorf("got %q", got)
	}
}
