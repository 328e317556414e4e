package workload

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"lvsnat/bench/responder"
	"lvsnat/bench/testbed"
)

var (
	idle16   = idleWorkload("idle-16", 16)
	idle1k   = idleWorkload("idle-1k", 1_000)
	idle100k = idleWorkload("idle-100k", 100_000)
	idle1M   = idleWorkload("idle-1m", 1_000_000)
)

func idleWorkload(name string, connections int) Workload {
	return Workload{
		Name:        name,
		Description: fmt.Sprintf("HTTP requests on 50 kept connections beside %d idle ones", connections),
		Unit:        "requests/s",
		Needs:       testbed.Streams | testbed.Forged,
		Measure:     besideIdle(connections),
	}
}

const (
	// openRate is how many connections are opened in a second: few enough for
	// three packets each on two processors that also have both ends to run.
	openRate = 50_000

	// openedShare is how many of them must be there for the figure to count,
	// and openTries how often it is tried: each lap opens what the last one
	// has left out.
	openedShare = 0.98
	openTries   = 3

	// openTimeout is how long the last answers may take.
	openTimeout = time.Second
)

// besideIdle opens connections that then do nothing, and measures requests on
// others. Its details have what a connection takes of the peer's memory.
func besideIdle(connections int) func(context.Context, *Setup) (Result, error) {
	requests := wrk(50)
	return func(ctx context.Context, s *Setup) (_ Result, err error) {
		details := make(map[string]float64)
		if err := noteMemory(s, details, "memory_before_bytes"); err != nil {
			return Result{}, err
		}
		opened, stop, err := openIdle(ctx, s, connections)
		if err != nil {
			return Result{}, err
		}
		defer func() { err = errors.Join(err, stop(context.WithoutCancel(ctx))) }()
		details["idle_connections"] = float64(opened)
		if err := noteMemory(s, details, "memory_idle_bytes"); err != nil {
			return Result{}, err
		}
		if s.Carrier.Memory != nil {
			details["bytes_per_connection"] = (details["memory_idle_bytes"] - details["memory_before_bytes"]) / float64(opened)
		}
		result, err := requests(ctx, s)
		if err != nil {
			return Result{}, err
		}
		for name, value := range details {
			result.Details[name] = value
		}
		return result, nil
	}
}

// openIdle opens connections between responders at both ends and returns how
// many there are. They are the peer's business alone: no kernel at the ends
// knows of them.
func openIdle(ctx context.Context, s *Setup, connections int) (opened uint64, _ func(context.Context) error, err error) {
	var ends []func(context.Context) error
	stop := func(ctx context.Context) error {
		var errs []error
		for _, end := range ends {
			errs = append(errs, end(ctx))
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, stop(context.WithoutCancel(ctx)))
		}
	}()
	_, stopServer, err := standIn(ctx, s.Bed.Realserver, s.Carrier.RealserverNIC, floodNet, "ip saddr "+floodNet)
	if err != nil {
		return 0, nil, err
	}
	ends = append(ends, stopServer)
	client, stopClient, err := standIn(ctx, s.Bed.Client, s.Carrier.ClientNIC, floodNet, "ip daddr "+floodNet)
	if err != nil {
		return 0, nil, err
	}
	ends = append(ends, stopClient)
	for range openTries {
		opened, err = openLap(ctx, s, client, connections)
		if err != nil {
			return 0, nil, err
		}
		if float64(opened) >= openedShare*float64(connections) {
			return opened, stop, nil
		}
	}
	return 0, nil, fmt.Errorf("only %d of %d idle connections were opened", opened, connections)
}

// openLap sends a SYN for each connection and returns how many were answered.
// What the responder at the client answers is a SYN and ACK, so it is a
// connection.
func openLap(ctx context.Context, s *Setup, client *responder.Responder, connections int) (uint64, error) {
	before := client.Answered()
	generator, err := startGenerator(s, testbed.HTTPPort, 0,
		"-srcnum", strconv.Itoa(connections), "-packets", strconv.Itoa(connections), "-pps", strconv.Itoa(openRate))
	if err != nil {
		return 0, err
	}
	if err := generator.Wait(ctx); err != nil {
		return 0, err
	}
	wanted := before + uint64(connections)
	for deadline := time.Now().Add(openTimeout); client.Answered() < wanted && time.Now().Before(deadline); {
		if err := sleep(ctx, time.Millisecond); err != nil {
			return 0, err
		}
	}
	return client.Answered() - before, nil
}
