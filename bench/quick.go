package main

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"lvsnat/bench/peer"
	"lvsnat/bench/testbed"
	"lvsnat/bench/workload"
)

// parseQuick reads the flags of bench quick. The defaults fit into three
// minutes: seven workloads of two seconds by two peers in three rounds, and a
// third peer once.
func parseQuick(args []string, stderr io.Writer) (p plan, output string, err error) {
	f := flag.NewFlagSet("bench quick", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&p.programs.Director, "director", "bin/director", "`program` to measure")
	f.StringVar(&p.programs.Testlvs, "testlvs", "bin/testlvs", "flood generator, a `program`")
	f.IntVar(&p.programs.Workers, "workers", 0, "the director's workers; 0: its own default")
	f.IntVar(&p.rounds, "rounds", 3, "`times` that each pair is measured")
	f.DurationVar(&p.duration, "duration", 2*time.Second, "of one measurement")
	f.StringVar(&output, "json", "bin/bench-quick.json", "`file` for the raw samples; empty: none")
	subject := f.String("subject", "director", "`peer` that is measured")
	against := f.String("against", "nft", "`peer` that it is compared with")
	beside := f.String("beside", "haproxy", "`peers`, by commas, measured once for comparison; empty: none")
	workloads := f.String("workloads", "all", "`names`, by commas")
	if err := f.Parse(args); err != nil {
		return plan{}, "", err
	}
	if f.NArg() > 0 {
		return plan{}, "", fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	if p.rounds < 1 {
		return plan{}, "", fmt.Errorf("-rounds %d: must be at least 1", p.rounds)
	}
	if p.duration < time.Second {
		return plan{}, "", fmt.Errorf("-duration %v: must be at least 1s, or start-up is all that is measured", p.duration)
	}
	if p.subject, err = peer.ByName(*subject); err != nil {
		return plan{}, "", fmt.Errorf("-subject: %w", err)
	}
	if p.against, err = peer.ByName(*against); err != nil {
		return plan{}, "", fmt.Errorf("-against: %w", err)
	}
	if p.beside, err = choose(*beside, peer.ByName); err != nil {
		return plan{}, "", fmt.Errorf("-beside: %w", err)
	}
	if *workloads == "all" {
		p.workloads = workload.All
	} else if p.workloads, err = choose(*workloads, workload.ByName); err != nil {
		return plan{}, "", fmt.Errorf("-workloads: %w", err)
	}
	p.newTestbed = testbed.New
	return p, output, nil
}

// choose looks up each name of a list.
func choose[T any](list string, byName func(string) (T, error)) ([]T, error) {
	if list == "" {
		return nil, nil
	}
	var chosen []T
	for name := range strings.SplitSeq(list, ",") {
		item, err := byName(name)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, item)
	}
	return chosen, nil
}
