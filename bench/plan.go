package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"lvsnat/bench/machine"
	"lvsnat/bench/peer"
	"lvsnat/bench/testbed"
	"lvsnat/bench/workload"
)

// A plan says what is measured, how often and for how long.
type plan struct {
	subject   peer.Peer
	against   peer.Peer
	beside    []peer.Peer // measured in the first round only
	workloads []workload.Workload
	rounds    int
	duration  time.Duration
	programs  testbed.Programs

	newTestbed func(context.Context, testbed.Programs) (*testbed.Testbed, error)
}

// A step is one measurement of a plan.
type step struct {
	round    int
	workload workload.Workload
	peer     peer.Peer
}

// steps lists all measurements in their order. Subject and opponent take turns
// in going first, so that neither has it always warmer.
func (p *plan) steps() []step {
	var steps []step
	for round := range p.rounds {
		pair := []peer.Peer{p.subject, p.against}
		if round%2 == 1 {
			pair[0], pair[1] = pair[1], pair[0]
		}
		if round == 0 {
			pair = append(pair, p.beside...)
		}
		for _, w := range p.workloads {
			for _, one := range pair {
				if !(w.Flood && one.Proxy) {
					steps = append(steps, step{round, w, one})
				}
			}
		}
	}
	return steps
}

// run builds the testbed, carries out all steps and adds their samples to r. A
// measurement that fails is a sample too; only the end of ctx and a testbed
// that cannot be built end the run early.
func (p *plan) run(ctx context.Context, r *report, progress io.Writer) (err error) {
	start := time.Now()
	b, err := p.newTestbed(ctx, p.programs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	steps := p.steps()
	for i, s := range steps {
		sample := s.measure(ctx, b, p.duration)
		if ctx.Err() != nil {
			return fmt.Errorf("stopped after %d of %d measurements: %w", i, len(steps), context.Cause(ctx))
		}
		r.Samples = append(r.Samples, sample)
		fmt.Fprintf(progress, "%3.0fs %2d/%d  %s\n", time.Since(start).Seconds(), i+1, len(steps), sample)
	}
	return nil
}

// lookBefore is how long the machine is looked at before a measurement, to see
// what else is running.
const lookBefore = 200 * time.Millisecond

func (s step) measure(ctx context.Context, b *testbed.Testbed, d time.Duration) sample {
	result := sample{Workload: s.workload.Name, Peer: s.peer.Name, Round: s.round, Unit: s.workload.Unit, Start: time.Now()}
	background, err := machine.Background(lookBefore)
	if err == nil {
		err = s.peer.Run(ctx, b, func() error {
			measured, err := s.workload.Measure(ctx, b, s.peer.Target, d)
			result.Value = measured.Value
			result.Details = measured.Details
			result.ElapsedSeconds = measured.Usage.Elapsed.Seconds()
			result.BusySeconds = measured.Usage.Busy.Seconds()
			result.StealShare = measured.Usage.StealShare()
			return err
		})
	}
	result.BackgroundShare = background
	if err != nil {
		result.Error = err.Error()
	}
	return result
}
