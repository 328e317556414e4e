// Bench measures the director beside what people use instead of it.
//
//	bench quick    the director and the kernel's NAT, in about three minutes
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
)

const usage = `usage: bench quick [flags]

  quick   the director against the kernel's NAT, with HAProxy beside them

bench quick -h lists the flags.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit code: 0 when everything was measured, whatever the
// figures are, 1 when something could not be, 2 for wrong use.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 || args[0] != "quick" {
		fmt.Fprint(stderr, usage)
		return 2
	}
	plan, output, err := parseQuick(args[1:], stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	if err := measure(ctx, plan, output, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// measure carries out a plan and reports what came of it, also when it was cut
// short.
func measure(ctx context.Context, p plan, output string, stdout, stderr io.Writer) error {
	r := newReport()
	err := p.run(ctx, &r, stderr)
	r.writeTable(stdout, p)
	if output != "" {
		err = errors.Join(err, r.writeJSON(output))
	}
	return errors.Join(err, r.failures())
}
