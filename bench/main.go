// Bench measures the director beside what people use instead of it.
//
//	bench quick     the director and the kernel's NAT, in about three minutes
//	bench full      everything, with all peers, in about fifteen
//	bench flood     real clients during a SYN flood
//	bench compare   two results
//	bench report    tables and plots of a result again
//
// It builds a network of its own (package testbed), and for each workload
// (package workload) runs one peer (package peer) after the other, again and
// again, so that what disturbs the machine disturbs all of them. Figures of
// such a network say nothing by themselves; what counts is the ratio of two
// that were measured one after the other. It needs root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"lvsnat/bench/machine"
	"lvsnat/bench/report"
	"lvsnat/bench/result"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A reader that goes away, such as head, must not keep a run from taking
	// its network down and putting the machine's settings back.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: bench COMMAND [flags]\n\n")
	for _, m := range modes {
		fmt.Fprintf(w, "  %-8s %s\n", m.name, m.text)
	}
	fmt.Fprintf(w, "  %-8s %s\n", "compare", "what has changed between two output directories, and what of it is noise")
	fmt.Fprintf(w, "  %-8s %s\n", "report", "tables and plots of an output directory, made anew")
	fmt.Fprint(w, "\nbench COMMAND -h lists the flags of one.\n")
}

// run returns the exit code: 0 when everything was measured, whatever the
// figures are, 1 when something could not be, 2 for wrong use.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		usage(stderr)
		return 2
	}
	switch args[0] {
	case "compare":
		return runCompare(args[1:], stdout, stderr)
	case "report":
		return runReport(args[1:], stdout, stderr)
	}
	for _, m := range modes {
		if m.name == args[0] {
			p, err := parseMode(m, args[1:], stderr)
			if err != nil {
				return wrongUse(err, stderr)
			}
			return exitCode(measure(ctx, &p, stdout, stderr), stderr)
		}
	}
	usage(stderr)
	return 2
}

func wrongUse(err error, stderr io.Writer) int {
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintln(stderr, "bench:", err)
	return 2
}

func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "bench:", err)
	return 1
}

// measure carries out a plan and reports what came of it, also when it was cut
// short.
func measure(ctx context.Context, p *plan, stdout, stderr io.Writer) error {
	r := &result.Report{Machine: machine.Read(), Start: time.Now()}
	p.describe(r)
	err := p.run(ctx, r, stderr)
	if p.benchmarks && ctx.Err() == nil {
		err = errors.Join(err, runBenchmarks(ctx, r, stderr))
	}
	r.Seconds = time.Since(r.Start).Seconds()
	report.Markdown(stdout, r)
	if p.output != "" {
		err = errors.Join(err, writeOutput(p.output, r))
	}
	return errors.Join(err, r.Failures())
}
