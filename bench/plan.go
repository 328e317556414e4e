package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	"lvsnat/bench/machine"
	"lvsnat/bench/peer"
	"lvsnat/bench/result"
	"lvsnat/bench/testbed"
	"lvsnat/bench/workload"
)

// A plan says what is measured, how often and for how long.
type plan struct {
	mode     string
	subject  peer.Peer
	against  peer.Peer
	groups   []group
	programs testbed.Programs

	// budget is the time in which the rounds of a group have to be over to be
	// begun; the first of each group is carried out in any case.
	budget time.Duration
	// benchmarks has the in-memory ones run too.
	benchmarks bool
	output     string // directory

	newTestbed func(context.Context, testbed.Programs) (*testbed.Testbed, error)
}

// A group is workloads that are measured round after round.
type group struct {
	workloads    []workload.Workload
	beside       []peer.Peer
	rounds       int
	besideRounds int // of the peers beside
	duration     time.Duration
}

// A step is one measurement of a plan.
type step struct {
	round    int
	workload workload.Workload
	peer     peer.Peer
	duration time.Duration
}

// steps lists the measurements of one round of a group in their order. Subject
// and opponent take turns in going first, so that neither has it always warmer.
func (p *plan) steps(g *group, round int) []step {
	pair := []peer.Peer{p.subject, p.against}
	if round%2 == 1 {
		pair[0], pair[1] = pair[1], pair[0]
	}
	if round < g.besideRounds {
		pair = append(pair, g.beside...)
	}
	var steps []step
	for _, w := range g.workloads {
		for _, one := range pair {
			if one.Can.Includes(w.Needs) {
				steps = append(steps, step{round, w, one, g.duration})
			}
		}
	}
	return steps
}

// run builds the testbed, carries out all steps and adds their samples to r. A
// measurement that fails is a sample too; only the end of ctx and a testbed
// that cannot be built end the run early.
func (p *plan) run(ctx context.Context, r *result.Report, progress io.Writer) (err error) {
	b, err := p.newTestbed(ctx, p.programs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	runner := runner{plan: p, bed: b, report: r, progress: progress, start: time.Now()}
	for i := range p.groups {
		for round := range p.groups[i].rounds {
			runner.total += len(p.steps(&p.groups[i], round))
		}
	}
	for i := range p.groups {
		if err := runner.group(ctx, &p.groups[i]); err != nil {
			return err
		}
	}
	return nil
}

// A runner is a plan under way.
type runner struct {
	*plan
	bed      *testbed.Testbed
	report   *result.Report
	progress io.Writer
	start    time.Time
	done     int
	total    int
	repeated int
}

// repeatShare is the part of all measurements that may be repeated: on a
// machine that is never quiet it is of no use.
const repeatShare = 0.1

func (r *runner) group(ctx context.Context, g *group) error {
	for round := range g.rounds {
		steps := r.steps(g, round)
		if round > 0 && r.budget > 0 && time.Since(r.start)+r.expected(len(steps)) > r.budget {
			fmt.Fprintf(r.progress, "no time for round %d of %d\n", round+1, g.rounds)
			r.total -= len(steps)
			continue
		}
		for _, s := range steps {
			if err := r.step(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// expected is how long so many measurements will take, if they are like those
// before.
func (r *runner) expected(steps int) time.Duration {
	return time.Since(r.start) / time.Duration(max(r.done, 1)) * time.Duration(steps)
}

// step measures once, and once more when the first time was disturbed.
func (r *runner) step(ctx context.Context, s step) error {
	for again := false; ; again = true {
		sample := s.measure(ctx, r.bed, r.rate(&s.workload))
		if ctx.Err() != nil {
			return fmt.Errorf("stopped after %d of %d measurements: %w", r.done, r.total, context.Cause(ctx))
		}
		mayRepeat := !again && float64(r.repeated) < repeatShare*float64(r.total)
		sample.Repeated = mayRepeat && sample.Error == "" && sample.Disturbed()
		r.report.Samples = append(r.report.Samples, sample)
		if sample.Repeated {
			r.repeated++
		} else {
			r.done++
		}
		fmt.Fprintf(r.progress, "%3.0fs %2d/%d  %s%s\n", time.Since(r.start).Seconds(), r.done, r.total, &sample, repeats(&sample))
		if !sample.Repeated {
			return nil
		}
	}
}

func repeats(s *result.Sample) string {
	if s.Repeated {
		return ", again"
	}
	return ""
}

// rate is how much a workload with a load is to do in a second, from what was
// measured so far; 0 when that is missing.
func (r *runner) rate(w *workload.Workload) float64 {
	if w.Load == nil {
		return 0
	}
	rate := r.report.Median(w.Load.Workload, r.subject.Name, "")
	if other := r.report.Median(w.Load.Workload, r.against.Name, ""); w.Load.Slower && other != 0 {
		rate = min(rate, other)
	}
	return rate * w.Load.Share
}

const (
	// lookBefore is how long the machine is looked at before a measurement, to
	// see what else is running.
	lookBefore = 200 * time.Millisecond
	// quietLooks is how often it is looked at again when something is: what
	// the last peer has left behind is over soon.
	quietLooks = 10
)

func (s step) measure(ctx context.Context, b *testbed.Testbed, rate float64) result.Sample {
	sample := result.Sample{
		Workload: s.workload.Name, Peer: s.peer.Name, Round: s.round, Unit: s.workload.Unit, Start: time.Now(),
	}
	err := s.measureInto(ctx, b, rate, &sample)
	if err != nil {
		sample.Error = err.Error()
	}
	return sample
}

func (s step) measureInto(ctx context.Context, b *testbed.Testbed, rate float64, sample *result.Sample) error {
	if s.workload.Load != nil && rate == 0 {
		return fmt.Errorf("there is no figure of %s to take the load from", s.workload.Load.Workload)
	}
	var err error
	if sample.BackgroundShare, err = waitForQuiet(ctx); err != nil {
		return err
	}
	return s.peer.Run(ctx, b, func(c *testbed.Carrier) error {
		before, err := losses(ctx, b, c)
		if err != nil {
			return err
		}
		measured, err := s.workload.Measure(ctx, &workload.Setup{Bed: b, Carrier: c, Duration: s.duration, Rate: rate})
		if err != nil {
			return err
		}
		after, err := losses(ctx, b, c)
		if err != nil {
			return err
		}
		sample.Value, sample.Details, sample.Losses = measured.Value, measured.Details, growth(before, after)
		sample.ElapsedSeconds = measured.Usage.Elapsed.Seconds()
		sample.BusySeconds = measured.Usage.Busy.Seconds()
		sample.StealShare = measured.Usage.StealShare()
		return nil
	})
}

// waitForQuiet returns how busy the machine is when it is quiet, or stays busy.
func waitForQuiet(ctx context.Context) (share float64, err error) {
	for range quietLooks {
		share, err = machine.Background(lookBefore)
		if err != nil || share <= result.MaxBackground || ctx.Err() != nil {
			return share, err
		}
	}
	return share, nil
}

// losses are those of the network and those that the peer tells itself.
func losses(ctx context.Context, b *testbed.Testbed, c *testbed.Carrier) (map[string]float64, error) {
	all, err := b.Drops()
	if err != nil || c.Losses == nil {
		return all, err
	}
	own, err := c.Losses(ctx)
	maps.Copy(all, own)
	return all, err
}

// growth is what has been added to counters, without those that stand still.
func growth(before, after map[string]float64) map[string]float64 {
	grown := make(map[string]float64)
	for name, value := range after {
		if d := value - before[name]; d != 0 {
			grown[name] = d
		}
	}
	return grown
}
