package workload

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
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
	// chunk is how many connections are opened before it is looked whether
	// they are there.
	chunk = 20_000

	// openRate is how many are opened in a second at first. Each is three
	// packets, on processors that also have both ends to run; when packets are
	// lost, the rate is halved.
	openRate = 100_000

	// A chunk of which fullShare is there is done. Each try opens what those
	// before have left out; after openTries the peer has to be as it is, and
	// with less than leastShare the figure would be one of something else.
	fullShare  = 0.99
	leastShare = 0.9
	openTries  = 5

	// openTimeout is how long the last answers may take.
	openTimeout = 300 * time.Millisecond
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
	rate := openRate
	for done := 0; done < connections; done += chunk {
		n := min(chunk, connections-done)
		there, err := openChunk(ctx, s, client, done, n, &rate)
		if err != nil {
			return 0, nil, err
		}
		opened += there
	}
	return opened, stop, nil
}

// openChunk opens n connections, from source number first on, and returns how
// many are there at least: as many as the best try had answers.
func openChunk(ctx context.Context, s *Setup, client *responder.Responder, first, n int, rate *int) (opened uint64, err error) {
	for range openTries {
		answered, err := try(ctx, s, client, first, n, *rate)
		if err != nil {
			return 0, err
		}
		opened = max(opened, answered)
		if float64(opened) >= fullShare*float64(n) {
			return opened, nil
		}
		*rate = max(*rate/2, openRate/16)
	}
	if float64(opened) < leastShare*float64(n) {
		return 0, fmt.Errorf("only %d of %d idle connections were opened, from number %d on", opened, n, first)
	}
	return opened, nil
}

// try sends a SYN for each connection and returns how many were answered. What
// the responder at the client answers is a SYN and ACK, so it is a connection.
func try(ctx context.Context, s *Setup, client *responder.Responder, first, n, rate int) (uint64, error) {
	before := client.Answered()
	generator, err := startGenerator(s, testbed.HTTPPort, 0, "-srcnet", floodSource(first).String(),
		"-srcnum", strconv.Itoa(n), "-packets", strconv.Itoa(n), "-pps", strconv.Itoa(rate))
	if err != nil {
		return 0, err
	}
	if err := generator.Wait(ctx); err != nil {
		return 0, err
	}
	wanted := before + uint64(n)
	for deadline := time.Now().Add(openTimeout); client.Answered() < wanted && time.Now().Before(deadline); {
		if err := sleep(ctx, time.Millisecond); err != nil {
			return 0, err
		}
	}
	return client.Answered() - before, nil
}

// floodSource is the flood's source of that number.
func floodSource(number int) netip.Addr {
	b := netip.MustParseAddr(floodFirst).As4()
	first := binary.BigEndian.Uint32(b[:])
	binary.BigEndian.PutUint32(b[:], first+uint32(number))
	return netip.AddrFrom4(b)
}
