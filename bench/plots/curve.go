// Package plots draws what was measured, as SVG and as PNG.
package plots

import (
	"cmp"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"

	"lvsnat/bench/result"
)

// A Cost is what an operation costs over the number of something.
type Cost struct {
	File   string // without its ending
	Title  string
	XLabel string

	series []source
}

// A source finds the points of curves among benchmarks: a name that matches
// belongs to the curve called name, with the group "curve" of the match, and
// its place on the x axis is the group "x".
type source struct {
	name    string
	pattern *regexp.Regexp
	unit    string
}

// Costs are all plots of costs. None of their curves is to rise as the number
// does.
var Costs = []Cost{
	{
		File: "connections", Title: "a packet in memory, by connections in the table", XLabel: "connections",
		series: []source{
			{"worker, established", regexp.MustCompile(`^Pipeline/established/(?P<x>\d+)$`), "ns/op"},
			{"look-up and state", regexp.MustCompile(`^Find/connections=(?P<x>\d+)/touched_batch$`), "ns/packet"},
			{"open and expire", regexp.MustCompile(`^OpenAndExpire/connections=(?P<x>\d+)$`), "ns/op"},
		},
	},
	{
		File: "services", Title: "finding a packet's service", XLabel: "services",
		series: []source{
			{"", regexp.MustCompile(`^ServiceFor/(?:(?P<curve>[^/=]+)/)?(?:services=)?(?P<x>\d+)$`), "ns/op"},
		},
	},
	{
		File: "realservers", Title: "choosing a realserver for a new connection", XLabel: "realservers of the service",
		series: []source{
			{"", regexp.MustCompile(`^Pick/(?P<curve>[^/]+)/(?:realservers=)?(?P<x>\d+)$`), "ns/op"},
		},
	},
}

// A Point is one measurement of a curve.
type Point struct{ X, NS float64 }

// Curves returns the points of a plot's curves, in the order of X.
func (c *Cost) Curves(benchmarks []result.Benchmark) map[string][]Point {
	curves := make(map[string][]Point)
	for _, s := range c.series {
		for _, b := range benchmarks {
			match := s.pattern.FindStringSubmatch(b.Name)
			ns, ok := b.Values[s.unit]
			if match == nil || !ok {
				continue
			}
			x, err := strconv.ParseFloat(match[s.pattern.SubexpIndex("x")], 64)
			if err != nil {
				continue // more digits than a number has
			}
			name := s.name
			if i := s.pattern.SubexpIndex("curve"); i >= 0 && match[i] != "" {
				name = match[i]
			}
			curves[name] = append(curves[name], Point{x, ns})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(curves)) {
		slices.SortFunc(curves[name], func(a, b Point) int { return cmp.Compare(a.X, b.X) })
	}
	return curves
}

// Exponent says how steep a curve is: its cost grows as the number to this
// power, from its first point to its last. 1 is linear, 0 is flat.
func Exponent(points []Point) float64 {
	if len(points) < 2 {
		return 0
	}
	first, last := points[0], points[len(points)-1]
	if first.X <= 0 || last.X <= first.X || first.NS <= 0 || last.NS <= 0 {
		return 0
	}
	return math.Log(last.NS/first.NS) / math.Log(last.X/first.X)
}
