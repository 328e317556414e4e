// Package workload is what clients do to a peer while it is measured. Each
// workload has a file of its own, or shares one with those that differ by a
// number; a new one is a file and a line in All.
package workload

import (
	"context"
	"fmt"
	"strings"
	"time"

	"lvsnat/bench/machine"
	"lvsnat/bench/testbed"
)

// A Workload measures one figure and what belongs to it.
type Workload struct {
	Name        string // on the command line and in results
	Description string
	Unit        string
	Less        bool // less is better

	// Needs is what a peer must be able to carry.
	Needs testbed.Ability

	// Load says at which rate it works, nil: as fast as it goes.
	Load *Load

	// Measure has the client work through a carrier.
	Measure func(ctx context.Context, s *Setup) (Result, error)
}

// A Load is a part of the figure of another workload, so that it is as heavy
// for a fast machine as for a slow one.
type Load struct {
	Workload string
	Share    float64
	// Slower takes the figure of the slower one of the two that are compared,
	// so that both can carry it; otherwise it is the subject's own.
	Slower bool
}

// A Setup is what one measurement works with.
type Setup struct {
	Bed      *testbed.Testbed
	Carrier  *testbed.Carrier
	Duration time.Duration // about so long
	Rate     float64       // a second, of a workload with a Load
}

// A Result is one measurement.
type Result struct {
	Value   float64            // in the workload's unit
	Details map[string]float64 // what else was seen, by names that carry their unit
	Usage   machine.Usage
}

// All is every workload, in the order in which they are measured: those that
// others take their load from come first.
var All = []Workload{
	iperfTo, iperfFrom, request1, request50, connect, latency,
	flood1k, flood1M, floodNew, udp,
	idle16, idle1k, idle100k, idle1M,
	aliveHalf, aliveFull,
}

// ByName finds a workload.
func ByName(name string) (Workload, error) {
	var names []string
	for _, w := range All {
		if w.Name == name {
			return w, nil
		}
		names = append(names, w.Name)
	}
	return Workload{}, fmt.Errorf("unknown workload %q: there are %s", name, strings.Join(names, ", "))
}

// watched runs f and adds what it cost the processors.
func watched(f func() (Result, error)) (Result, error) {
	watch, err := machine.StartWatch()
	if err != nil {
		return Result{}, err
	}
	result, err := f()
	if err != nil {
		return Result{}, err
	}
	result.Usage, err = watch.Read()
	return result, err
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
