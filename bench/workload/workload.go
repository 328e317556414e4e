// Package workload is what clients do to a peer while it is measured. Each
// workload has a file of its own, or shares one with those that differ by a
// number; a new one is a file and a line in All.
package workload

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"lvsnat/bench/machine"
	"lvsnat/bench/testbed"
)

// A Workload measures one figure, of which more is better.
type Workload struct {
	Name        string // on the command line and in results
	Description string
	Unit        string

	// Bar is the director's figure divided by the kernel's NAT's that is to be
	// reached.
	Bar float64

	// Flood says that the packets belong to no connection, so that a peer that
	// is a proxy carries none of them.
	Flood bool

	// Measure has the client work for about d through target.
	Measure func(ctx context.Context, b *testbed.Testbed, target netip.Addr, d time.Duration) (Result, error)
}

// A Result is one measurement.
type Result struct {
	Value   float64            // in the workload's unit
	Details map[string]float64 // what else was seen, by names that carry their unit
	Usage   machine.Usage
}

// All is every workload, in the order of the report.
var All = []Workload{iperfTo, iperfFrom, request1, request50, connect, flood1k, flood1M}

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
