package plots

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"lvsnat/bench/result"
)

func benchmark(name string, values map[string]float64) result.Benchmark {
	return result.Benchmark{Name: name, Values: values}
}

var benchmarks = []result.Benchmark{
	benchmark("Pipeline/established/1000000", map[string]float64{"ns/op": 90}),
	benchmark("Pipeline/established/1000", map[string]float64{"ns/op": 40}),
	benchmark("Pipeline/every_packet_a_new_flow", map[string]float64{"ns/op": 200}),
	benchmark("Find/connections=1000/touched_batch", map[string]float64{"ns/op": 900, "ns/packet": 30}),
	benchmark("Find/connections=1000/hit", map[string]float64{"ns/op": 50}),
	benchmark("Pick/wlc/1", map[string]float64{"ns/op": 5}),
	benchmark("Pick/wlc/1000", map[string]float64{"ns/op": 5}),
	benchmark("Pick/rr/10", map[string]float64{"ns/op": 3}),
	benchmark("ServiceFor/services=100", map[string]float64{"ns/op": 20}),
	benchmark("ServiceFor/hit/10000", map[string]float64{"ns/op": 25}),
}

func TestCurvesAreFoundByName(t *testing.T) {
	want := map[string]map[string][]Point{
		"connections": {
			"worker, established": {{1000, 40}, {1_000_000, 90}},
			"look-up and state":   {{1000, 30}},
		},
		"services":    {"": {{100, 20}}, "hit": {{10_000, 25}}},
		"realservers": {"wlc": {{1, 5}, {1000, 5}}, "rr": {{10, 3}}},
	}
	for _, c := range Costs {
		if got := c.Curves(benchmarks); !reflect.DeepEqual(got, want[c.File]) {
			t.Errorf("%s: got %v, want %v", c.File, got, want[c.File])
		}
	}
}

func TestSteepnessOfCurves(t *testing.T) {
	for _, c := range []struct {
		name   string
		points []Point
		want   float64
	}{
		{"flat", []Point{{1, 10}, {1000, 10}}, 0},
		{"linear", []Point{{1, 10}, {10, 50}, {1000, 10_000}}, 1},
		{"a root", []Point{{1, 10}, {100, 100}}, 0.5},
		{"one point", []Point{{1, 10}}, 0},
		{"at nothing", []Point{{0, 10}, {10, 100}}, 0},
	} {
		if got := Exponent(c.points); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestPlotsAreDrawn(t *testing.T) {
	r := &result.Report{
		Subject: "director", Against: "nft", Beside: []string{"haproxy"}, Benchmarks: benchmarks,
		Workloads: []result.Column{{Name: "web"}, {Name: "latency", Less: true}, {Name: "not measured"}},
		Samples: []result.Sample{
			{Workload: "web", Peer: "director", Round: 0, Value: 100}, {Workload: "web", Peer: "nft", Round: 0, Value: 50},
			{Workload: "web", Peer: "director", Round: 1, Value: 130}, {Workload: "web", Peer: "nft", Round: 1, Value: 50},
			{Workload: "latency", Peer: "director", Value: 3}, {Workload: "latency", Peer: "nft", Value: 2},
		},
	}
	directory := filepath.Join(t.TempDir(), "new")
	names, err := Write(directory, r)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names, " "); got != "connections peers quotients realservers services" {
		t.Errorf("drawn: %s", got)
	}
	for _, name := range names {
		svg, err := os.ReadFile(filepath.Join(directory, name+".svg"))
		if err != nil || !strings.Contains(string(svg), "<svg") {
			t.Errorf("%s.svg: %v, %.40q", name, err, svg)
		}
		png, err := os.ReadFile(filepath.Join(directory, name+".png"))
		if err != nil || !strings.HasPrefix(string(png), "\x89PNG") {
			t.Errorf("%s.png: %v", name, err)
		}
	}
	if svg, _ := os.ReadFile(filepath.Join(directory, "realservers.svg")); !strings.Contains(string(svg), "wlc") {
		t.Error("the legend does not name wlc")
	}
}

func TestWithoutFiguresNothingIsDrawn(t *testing.T) {
	names, err := Write(t.TempDir(), &result.Report{Subject: "director", Against: "nft", Workloads: []result.Column{{Name: "web"}}})
	if err != nil || len(names) != 0 {
		t.Errorf("drawn: %v, %v", names, err)
	}
}
