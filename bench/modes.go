package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"lvsnat/bench/peer"
	"lvsnat/bench/result"
	"lvsnat/bench/testbed"
	"lvsnat/bench/workload"
)

// A mode is a plan to choose from, by the names of workloads and peers.
type mode struct {
	name       string
	text       string
	groups     []namedGroup
	budget     time.Duration
	benchmarks bool
}

type namedGroup struct {
	workloads    string
	beside       string
	rounds       int
	besideRounds int
	duration     time.Duration
}

const flows = "iperf3-to,iperf3-from,request-1,request-50,connect,latency,flood-1k,flood-1m,flood-new,udp"

var modes = []mode{
	{
		name: "quick", text: "the director against the kernel's NAT, with HAProxy beside them, in three minutes",
		groups: []namedGroup{
			{"iperf3-to,iperf3-from,request-1,request-50,connect,latency,flood-1k,flood-new", "haproxy", 3, 1, 2 * time.Second},
		},
	},
	{
		name: "full", text: "everything, with all peers, in fifteen minutes",
		groups: []namedGroup{
			{flows, "haproxy,nginx,testpmd,forwarder,routing,wire", 4, 2, 2 * time.Second},
			{"idle-16,idle-1k,idle-100k,idle-1m", "", 1, 0, 2 * time.Second},
			{"alive-half,alive-full", "haproxy,routing", 1, 1, 3 * time.Second},
		},
		// The groups after the first, and the benchmarks in memory, take five
		// minutes more.
		budget: 10 * time.Minute, benchmarks: true,
	},
	{
		name: "flood", text: "real clients during a SYN flood, in two minutes",
		groups: []namedGroup{
			{"flood-new", "routing", 1, 1, 2 * time.Second},
			{"alive-half,alive-full", "haproxy,routing", 1, 1, 3 * time.Second},
		},
	},
}

// parseMode reads the flags of a mode.
func parseMode(m mode, args []string, stderr io.Writer) (plan, error) {
	p := plan{mode: m.name, budget: m.budget, newTestbed: testbed.New}
	f := flag.NewFlagSet("bench "+m.name, flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&p.programs.Director, "director", "bin/director", "`program` to measure")
	f.StringVar(&p.programs.Testlvs, "testlvs", "bin/testlvs", "flood generator, a `program`")
	f.IntVar(&p.programs.Workers, "workers", 0, "the director's workers; 0: its own default")
	f.StringVar(&p.output, "out", "bin/bench-"+m.name, "`directory` for samples, tables and plots; empty: none")
	f.BoolVar(&p.benchmarks, "benchmarks", m.benchmarks, "run the benchmarks in memory too; needs the source and a Go toolchain")
	rounds := f.Int("rounds", 0, "`times` that each pair is measured; 0: as the mode has it")
	duration := f.Duration("duration", 0, "of one measurement; 0: as the mode has it")
	subject := f.String("subject", "director", "`peer` that is measured")
	against := f.String("against", "nft", "`peer` that it is compared with")
	beside := f.String("beside", "default", "`peers`, by commas, measured for comparison; empty: none")
	workloads := f.String("workloads", "default", "`names`, by commas")
	if err := f.Parse(args); err != nil {
		return plan{}, err
	}
	if f.NArg() > 0 {
		return plan{}, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	if *rounds < 0 {
		return plan{}, fmt.Errorf("-rounds %d: must be at least 1", *rounds)
	}
	if *duration != 0 && *duration < time.Second {
		return plan{}, fmt.Errorf("-duration %v: must be at least 1s, or start-up is all that is measured", *duration)
	}
	var err error
	if p.subject, err = peer.ByName(*subject); err != nil {
		return plan{}, fmt.Errorf("-subject: %w", err)
	}
	if p.against, err = peer.ByName(*against); err != nil {
		return plan{}, fmt.Errorf("-against: %w", err)
	}
	for _, g := range choose(m.groups, *workloads) {
		if *beside != "default" {
			g.beside = *beside
		}
		if *rounds > 0 {
			g.rounds, g.besideRounds = *rounds, min(g.besideRounds, *rounds)
		}
		if *duration > 0 {
			g.duration = *duration
		}
		made, err := g.resolve()
		if err != nil {
			return plan{}, err
		}
		p.groups = append(p.groups, made)
	}
	return p, nil
}

// choose leaves in groups only the workloads of a list. A name that is in no
// group makes one more, which is like the first.
func choose(groups []namedGroup, list string) []namedGroup {
	if list == "default" {
		return groups
	}
	wanted := strings.Split(list, ",")
	var chosen []namedGroup
	for _, g := range groups {
		var kept []string
		for name := range strings.SplitSeq(g.workloads, ",") {
			if i := slices.Index(wanted, name); i >= 0 {
				kept = append(kept, name)
				wanted = slices.Delete(wanted, i, i+1)
			}
		}
		if len(kept) > 0 {
			g.workloads = strings.Join(kept, ",")
			chosen = append(chosen, g)
		}
	}
	if len(wanted) > 0 {
		g := groups[0]
		g.workloads = strings.Join(wanted, ",")
		chosen = append(chosen, g)
	}
	return chosen
}

func (g namedGroup) resolve() (made group, err error) {
	made = group{rounds: g.rounds, besideRounds: g.besideRounds, duration: g.duration}
	if made.workloads, err = lookUp(g.workloads, workload.ByName); err != nil {
		return group{}, fmt.Errorf("-workloads: %w", err)
	}
	if made.beside, err = lookUp(g.beside, peer.ByName); err != nil {
		return group{}, fmt.Errorf("-beside: %w", err)
	}
	return made, nil
}

// lookUp finds each name of a list.
func lookUp[T any](list string, byName func(string) (T, error)) ([]T, error) {
	if list == "" {
		return nil, nil
	}
	var found []T
	for name := range strings.SplitSeq(list, ",") {
		item, err := byName(name)
		if err != nil {
			return nil, err
		}
		found = append(found, item)
	}
	return found, nil
}

// describe tells in a report what the plan measures.
func (p *plan) describe(r *result.Report) {
	r.Mode, r.Subject, r.Against = p.mode, p.subject.Name, p.against.Name
	for _, g := range p.groups {
		for _, w := range g.workloads {
			r.Workloads = append(r.Workloads, result.Column{Name: w.Name, Description: w.Description, Unit: w.Unit, Less: w.Less})
		}
		for _, b := range g.beside {
			if !slices.Contains(r.Beside, b.Name) {
				r.Beside = append(r.Beside, b.Name)
			}
		}
	}
}
