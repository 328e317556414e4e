package workload

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"lvsnat/bench/machine"
	"lvsnat/bench/openloop"
	"lvsnat/bench/testbed"
)

var aliveHalf = Workload{
	Name:        "alive-half",
	Description: "a transfer and new connections during a SYN flood from 16 million sources, at half of what the director carries",
	Unit:        "of throughput",
	Needs:       testbed.Streams,
	Load:        &Load{Workload: floodNew.Name, Share: 0.5},
	Measure:     alive,
}

var aliveFull = Workload{
	Name:        "alive-full",
	Description: "the same at all of what the director carries",
	Unit:        "of throughput",
	Needs:       testbed.Streams,
	Load:        &Load{Workload: floodNew.Name, Share: 1},
	Measure:     alive,
}

const (
	// connectRate is how many real clients come in a second. With fewer, the
	// highest percentile would be a matter of two or three of them.
	connectRate = 200

	// connectTimeout is two tries: a lost SYN is sent again after a second
	// (RFC 6298 section 2.1).
	connectTimeout = 2 * time.Second

	// recovery is how long after the flood everything is to be normal again.
	recovery = 2 * time.Second
)

// alive measures an established transfer and new connections before a flood,
// during it, and a while after it. The figure is the transfer's throughput
// during the flood as a part of that before it.
func alive(ctx context.Context, s *Setup) (_ Result, err error) {
	shut, err := keepFloodOut(ctx, s)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, shut(context.WithoutCancel(ctx))) }()
	transfer, err := startTransfer(ctx, s)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, transfer.stop()) }()
	if err := sleep(ctx, settle); err != nil {
		return Result{}, err
	}
	details := make(map[string]float64)
	before, err := watchClients(ctx, s, transfer)
	if err != nil {
		return Result{}, fmt.Errorf("before the flood: %w", err)
	}
	if err := noteMemory(s, details, "memory_before_bytes"); err != nil {
		return Result{}, err
	}
	during, usage, err := duringFlood(ctx, s, transfer, details)
	if err != nil {
		return Result{}, fmt.Errorf("during the flood: %w", err)
	}
	if err := sleep(ctx, recovery); err != nil {
		return Result{}, err
	}
	after, err := watchClients(ctx, s, transfer)
	if err != nil {
		return Result{}, fmt.Errorf("after the flood: %w", err)
	}
	before.note(details, "before", before)
	during.note(details, "flood", before)
	after.note(details, "after", before)
	return Result{Value: during.bytesPerSecond / before.bytesPerSecond, Details: details, Usage: usage}, nil
}

// keepFloodOut has client and realserver drop what belongs to the flood as it
// comes in: their own suffering is not the peer's.
func keepFloodOut(ctx context.Context, s *Setup) (func(context.Context) error, error) {
	shutReal, err := testbed.Drop(ctx, s.Bed.Realserver, "ip saddr "+floodNet, s.Carrier.RealserverNIC)
	if err != nil {
		return nil, err
	}
	shutClient, err := testbed.Drop(ctx, s.Bed.Client, "ip daddr "+floodNet, s.Carrier.ClientNIC)
	if err != nil {
		return nil, errors.Join(err, shutReal(ctx))
	}
	return func(ctx context.Context) error { return errors.Join(shutReal(ctx), shutClient(ctx)) }, nil
}

// duringFlood watches the clients while testlvs runs, and returns when it has
// ended.
func duringFlood(ctx context.Context, s *Setup, t *transfer, details map[string]float64) (clients, machine.Usage, error) {
	arrivedBefore, err := testbed.Arrived(s.Bed.Realserver, s.Carrier.RealserverNIC)
	if err != nil {
		return clients{}, machine.Usage{}, err
	}
	watch, err := machine.StartWatch()
	if err != nil {
		return clients{}, machine.Usage{}, err
	}
	generator, err := startGenerator(s, testbed.HTTPPort, s.Duration+2*settle,
		"-srcnum", strconv.Itoa(manySources), "-pps", strconv.FormatFloat(s.Rate, 'f', 0, 64))
	if err != nil {
		return clients{}, machine.Usage{}, err
	}
	err = sleep(ctx, settle)
	var seen clients
	if err == nil {
		seen, err = watchClients(ctx, s, t)
	}
	result, err := finish(ctx, generator, Result{Details: details}, err)
	if err != nil {
		return clients{}, machine.Usage{}, err
	}
	details["aimed_per_s"] = s.Rate
	usage, err := watch.Read()
	if err != nil {
		return clients{}, machine.Usage{}, err
	}
	arrived, err := testbed.Arrived(s.Bed.Realserver, s.Carrier.RealserverNIC)
	if err != nil {
		return clients{}, machine.Usage{}, err
	}
	details["arrived_per_s"] = float64(arrived-arrivedBefore) / usage.Elapsed.Seconds()
	return seen, usage, noteMemory(s, result.Details, "memory_flood_bytes")
}

func noteMemory(s *Setup, details map[string]float64, name string) error {
	if s.Carrier.Memory == nil {
		return nil
	}
	bytes, err := s.Carrier.Memory()
	details[name] = float64(bytes)
	return err
}

// clients is how real clients fared for a while.
type clients struct {
	bytesPerSecond float64
	opened         openloop.Opened
}

// watchClients opens connections and looks at the transfer for the setup's
// duration.
func watchClients(ctx context.Context, s *Setup, t *transfer) (clients, error) {
	type outcome struct {
		opened openloop.Opened
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		o.err = s.Bed.Client.Do(func() (err error) {
			o.opened, err = openloop.Connects{
				Server: netip.AddrPortFrom(s.Carrier.Target, testbed.HTTPPort),
				Rate:   connectRate, Duration: s.Duration, Timeout: connectTimeout,
			}.Run(ctx)
			return err
		})
		done <- o
	}()
	start, received := time.Now(), t.received.Load()
	err := sleep(ctx, s.Duration)
	bytes, took := t.received.Load()-received, time.Since(start)
	o := <-done
	if err := errors.Join(err, o.err, t.broken()); err != nil {
		return clients{}, err
	}
	return clients{float64(bytes) / took.Seconds(), o.opened}, nil
}

// note adds the figures of a time to details, and what they are of those before
// the flood.
func (c clients) note(details map[string]float64, when string, before clients) {
	p99 := float64(c.opened.Latency.ValueAtQuantile(99))
	details["transfer_"+when+"_bytes_per_s"] = c.bytesPerSecond
	details["transfer_"+when+"_ratio"] = c.bytesPerSecond / before.bytesPerSecond
	details["connect_"+when+"_success"] = c.opened.Share()
	details["connect_"+when+"_p50_us"] = float64(c.opened.Latency.ValueAtQuantile(50)) / 1e3
	details["connect_"+when+"_p99_us"] = p99 / 1e3
	details["connect_"+when+"_p99_ratio"] = p99 / float64(before.opened.Latency.ValueAtQuantile(99))
}
