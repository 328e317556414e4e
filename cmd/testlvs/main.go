package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, errUsage) {
		fmt.Fprintln(os.Stderr, "testlvs:", err)
		os.Exit(1) // for wrong use too, as testlvs 0.1
	}
}

// run does what args say. The sockets are opened by the calling thread, whose
// network namespace is the one that counts.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseArgs(args, stderr)
	if err != nil {
		return err
	}
	if o.dump {
		return dump(ctx, &o, stdout, stderr)
	}
	hop, link, err := findNextHop(&o)
	if err != nil {
		return err
	}
	return flood(ctx, &o, hop, link, stderr)
}

func banner(w io.Writer, o *options) {
	protocol := "TCP"
	if o.udp {
		protocol = "UDP"
	}
	fmt.Fprintf(w, "Sending %d-byte %s packets from %s[%d] to %s\n",
		o.size, protocol, o.first, o.sources, o.target)
}

func dump(ctx context.Context, o *options, stdout, stderr io.Writer) error {
	o.workers = 1 // the packets are to come in order
	banner(stderr, o)
	out := newDumper(stdout)
	ctx, cancel := withDuration(ctx, o.duration)
	defer cancel()
	err := newGenerators(o, nextHop{}, []sender{out})[0].run(ctx)
	if writeErr := out.err(); writeErr != nil {
		return fmt.Errorf("dump the packets: %w", writeErr)
	}
	return err
}

// findNextHop returns the addresses and the NIC that lead to the target,
// provided that it is one that may be flooded. Before that is known not even
// an ARP request is sent.
func findNextHop(o *options) (nextHop, string, error) {
	r, err := findRoute(o.target.Addr())
	if err != nil {
		return nextHop{}, "", err
	}
	if !o.own {
		namespace, err := namespaceName()
		if err == nil {
			err = permit(&r, namespace)
		}
		if err != nil {
			return nextHop{}, "", err
		}
	}
	if o.udp && o.size > r.link.Attrs().MTU {
		return nextHop{}, "", fmt.Errorf("-size %d: %s has an MTU of %d, and fragments are not sent",
			o.size, r.link.Attrs().Name, r.link.Attrs().MTU)
	}
	hop, err := r.resolve()
	return hop, r.link.Attrs().Name, err
}

func flood(ctx context.Context, o *options, hop nextHop, link string, stderr io.Writer) (err error) {
	rings, err := openRings(link, o.workers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rings.close()) }()
	banner(stderr, o)
	ctx, cancel := withDuration(ctx, o.duration)
	defer cancel()

	start := time.Now()
	err = runAll(ctx, newGenerators(o, hop, rings.senders()))
	stats := rings.stats()
	fmt.Fprintln(stderr, rateLine(stats, o.size, time.Since(start)))
	if err == nil && stats.Sent == 0 && stats.Dropped > 0 {
		err = fmt.Errorf("%s took none of the packets: is the link up?", link)
	}
	return err
}

func withDuration(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// newGenerators shares the run out among workers, one for each sender.
func newGenerators(o *options, hop nextHop, senders []sender) []*generator {
	t := newTemplate(o, hop, uint16(os.Getpid()))
	all := newFlows(o.first, o.sources, o.ports)
	generators := make([]*generator, len(senders))
	for i := range generators {
		generators[i] = &generator{
			sender:   senders[i],
			template: t,
			sequence: sequence{flows: &all, next: uint64(i) % all.total, step: uint64(len(senders))},
			limit:    share(o.packets, i, len(senders)),
			pps:      o.pps / float64(len(senders)),
			now:      time.Now,
		}
		if o.random {
			generators[i].sequence.random = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
		}
	}
	return generators
}

// share is part i of n when total is dealt out one by one.
func share(total uint64, i, n int) uint64 {
	part := total / uint64(n)
	if uint64(i) < total%uint64(n) {
		part++
	}
	return part
}

// runAll runs the generators side by side until all are done; the first error
// ends the others.
func runAll(ctx context.Context, generators []*generator) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	failed := make(chan error, len(generators))
	var workers sync.WaitGroup
	for _, g := range generators {
		workers.Go(func() {
			if err := g.run(ctx); err != nil {
				failed <- err
				cancel(err)
			}
		})
	}
	workers.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}
