package plots

import (
	"fmt"
	"image/color"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"

	"lvsnat/bench/result"
	"lvsnat/bench/stats"
)

const (
	width  = 18 * vg.Centimeter
	height = 11 * vg.Centimeter
)

// Write draws all plots that there are figures for into a directory and returns
// the names of their files, without endings.
func Write(directory string, r *result.Report) ([]string, error) {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return nil, fmt.Errorf("draw the plots: %w", err)
	}
	drawn := map[string]*plot.Plot{"quotients": quotients(r), "peers": peers(r)}
	for i := range Costs {
		p, err := Costs[i].draw(r)
		if err != nil {
			return nil, fmt.Errorf("draw %s: %w", Costs[i].File, err)
		}
		drawn[Costs[i].File] = p
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(drawn)) {
		if drawn[name] == nil {
			continue
		}
		for _, ending := range []string{".svg", ".png"} {
			if err := drawn[name].Save(width, height, filepath.Join(directory, name+ending)); err != nil {
				return nil, fmt.Errorf("draw %s: %w", name, err)
			}
		}
		names = append(names, name)
	}
	return names, nil
}

// legendRoom is how much further than the curves a logarithmic axis goes, so
// that they are not hidden by the names of fifteen schedulers.
const legendRoom = 8

// draw is nil when there is nothing to draw.
func (c *Cost) draw(r *result.Report) (*plot.Plot, error) {
	curves := c.Curves(r.Least())
	if len(curves) == 0 {
		return nil, nil
	}
	p := plot.New()
	p.Title.Text = c.Title
	p.X.Label.Text, p.Y.Label.Text = c.XLabel, "ns"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.LogTicks{Prec: -1}, plot.LogTicks{Prec: -1}
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	for i, name := range slices.Sorted(maps.Keys(curves)) {
		var points plotter.XYs
		for _, point := range curves[name] {
			// A logarithmic axis has no zero.
			points = append(points, plotter.XY{X: max(point.X, 1), Y: max(point.NS, 0.1)})
		}
		line, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		line.Color, marks.Color = plotutil.Color(i), plotutil.Color(i)
		line.Dashes, marks.Shape = plotutil.Dashes(i/len(plotutil.DefaultColors)), plotutil.Shape(i)
		p.Add(line, marks)
		if name != "" {
			p.Legend.Add(name, line, marks)
		}
	}
	p.X.Max *= legendRoom
	return p, nil
}

// quotients has a row for each workload: subject by opponent, its median and
// its range. It is nil when there is none.
func quotients(r *result.Report) *plot.Plot {
	var names []string
	var points plotter.XYs
	var ranges plotter.XErrors
	for _, w := range slices.Backward(r.Workloads) {
		ratios := r.Ratios(w.Name, r.Subject, r.Against, "")
		if len(ratios) == 0 {
			continue
		}
		middle := stats.Median(ratios)
		points = append(points, plotter.XY{X: middle, Y: float64(len(names))})
		ranges = append(ranges, struct{ Low, High float64 }{slices.Min(ratios) - middle, slices.Max(ratios) - middle})
		name := w.Name
		if w.Less {
			name += " (less is better)"
		}
		names = append(names, name)
	}
	if len(points) == 0 {
		return nil
	}
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%s / %s: median and range", r.Subject, r.Against)
	p.X.Label.Text = "quotient"
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = quotientTicks{}
	p.NominalY(names...)
	addQuotients(p, points, ranges, len(names))
	return p
}

// addQuotients draws rows, and the line on which both are equal. The data is
// complete, so that the plotters have nothing to refuse.
func addQuotients(p *plot.Plot, points plotter.XYs, ranges plotter.XErrors, rows int) {
	equal, _ := plotter.NewLine(plotter.XYs{{X: 1, Y: -0.5}, {X: 1, Y: float64(rows) - 0.5}})
	equal.Color = color.Gray{128}
	marks, _ := plotter.NewScatter(points)
	marks.Color, marks.Shape = plotutil.Color(0), plotutil.Shape(1)
	bars, _ := plotter.NewXErrorBars(struct {
		plotter.XYs
		plotter.XErrors
	}{points, ranges})
	bars.Color = plotutil.Color(0)
	p.Add(plotter.NewGrid(), equal, bars, marks)
}

// quotientTicks are those that one thinks in.
type quotientTicks struct{}

func (quotientTicks) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for _, v := range []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100} {
		if low <= v && v <= high {
			ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprint(v)})
		}
	}
	return ticks
}

// peers shows each workload's figures as parts of the best peer's. It is nil
// when there is none.
func peers(r *result.Report) *plot.Plot {
	all := slices.Concat([]string{r.Subject, r.Against}, r.Beside)
	var names []string
	bars := make([]plotter.Values, len(all))
	for _, w := range r.Workloads {
		best := 0.0
		for _, peer := range all {
			best = max(best, r.Median(w.Name, peer, ""))
		}
		if best == 0 || w.Less {
			continue
		}
		names = append(names, w.Name)
		for i, peer := range all {
			bars[i] = append(bars[i], r.Median(w.Name, peer, "")/best)
		}
	}
	if len(names) == 0 {
		return nil
	}
	p := plot.New()
	p.Title.Text = "all peers, as parts of the best one"
	p.Legend.Top = true
	p.Y.Max = 1.5 // room for the legend
	p.X.Tick.Label.Rotation, p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = 0.6, -1, -0.5
	p.NominalX(names...)
	barWidth := vg.Points(360 / float64(len(names)*(len(all)+1)))
	for i := range all {
		chart, err := plotter.NewBarChart(bars[i], barWidth)
		if err != nil {
			return nil
		}
		chart.Color, chart.LineStyle.Width = plotutil.Color(i), 0
		chart.Offset = barWidth * vg.Length(float64(i)-float64(len(all)-1)/2)
		p.Add(chart)
		p.Legend.Add(all[i], chart)
	}
	return p
}
