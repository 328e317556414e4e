package workload

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"time"

	"lvsnat/bench/machine"
	"lvsnat/bench/testbed"
	"lvsnat/test/lab"
)

var flood1k = Workload{
	Name:        "flood-1k",
	Description: "SYN flood of 1,000 flows, counted at the realservers",
	Unit:        "packets/s",
	Needs:       testbed.Forged,
	Measure:     synFlood(1_000),
}

var flood1M = Workload{
	Name:        "flood-1m",
	Description: "SYN flood of 1,000,000 flows, counted at the realservers",
	Unit:        "packets/s",
	Needs:       testbed.Forged,
	Measure:     synFlood(1_000_000),
}

var floodNew = Workload{
	Name:        "flood-new",
	Description: "SYN flood in which every packet is a new flow, counted at the realservers",
	Unit:        "packets/s",
	Needs:       testbed.Forged,
	Measure:     synFlood(manySources),
}

// manySources is the most that testlvs has. No generator here gets through them
// in one measurement.
const manySources = 1 << 24

// Floods come from a network that is nobody's in the testbed, and has room for
// manySources. Not testlvs' own 10.0.0.0/8: the realservers are in there.
const (
	floodFirst = "11.0.0.0"
	floodNet   = "11.0.0.0/8"
)

// settle is how long a flood runs before counting begins, so that the
// generator has started and the first connections are open.
const settle = 300 * time.Millisecond

// synFlood returns a measurement with testlvs as the generator and, as its
// author did it, the packets that arrive at the realservers as the figure.
// Nothing answers there.
func synFlood(flows int) func(context.Context, *Setup) (Result, error) {
	return func(ctx context.Context, s *Setup) (result Result, err error) {
		open, err := testbed.Drop(ctx, s.Bed.Realserver, "meta protocol ip", s.Carrier.RealserverNIC)
		if err != nil {
			return Result{}, err
		}
		defer func() { err = errors.Join(err, open(context.WithoutCancel(ctx))) }()
		generator, err := startGenerator(s, testbed.HTTPPort, settle+s.Duration+settle, "-srcnum", strconv.Itoa(flows))
		if err != nil {
			return Result{}, err
		}
		result, err = countArrivals(ctx, s, s.Bed.Realserver, s.Carrier.RealserverNIC)
		return finish(ctx, generator, result, err)
	}
}

// startGenerator starts testlvs on the first processor, where it leaves the
// others to the peer as far as the kernel lets it.
func startGenerator(s *Setup, port uint16, d time.Duration, more ...string) (*lab.Process, error) {
	args := []string{"--cpu-list", "0", s.Bed.Programs.Testlvs, "-srcnet", floodFirst}
	if d > 0 {
		args = append(args, "-duration", d.String())
	}
	args = append(append(args, more...), netip.AddrPortFrom(s.Carrier.Target, port).String())
	return s.Bed.Client.Start(lab.Command{Path: "taskset", Args: args})
}

// finish waits for the generator's end, or brings it about when the measurement
// has failed, and adds the rate at which it has sent.
func finish(ctx context.Context, generator *lab.Process, result Result, err error) (Result, error) {
	if err != nil {
		return Result{}, errors.Join(err, generator.Kill())
	}
	if err := generator.Wait(ctx); err != nil {
		return Result{}, err
	}
	result.Details["offered_per_s"], err = offeredRate(generator.Stderr().String())
	return result, err
}

// countArrivals counts what reaches a NIC for the setup's duration.
func countArrivals(ctx context.Context, s *Setup, host *lab.Host, nic string) (Result, error) {
	if err := sleep(ctx, settle); err != nil {
		return Result{}, err
	}
	before, err := testbed.Arrived(host, nic)
	if err != nil {
		return Result{}, err
	}
	watch, err := machine.StartWatch()
	if err != nil {
		return Result{}, err
	}
	if err := sleep(ctx, s.Duration); err != nil {
		return Result{}, err
	}
	after, err := testbed.Arrived(host, nic)
	if err != nil {
		return Result{}, err
	}
	usage, err := watch.Read()
	if err != nil {
		return Result{}, err
	}
	if after == before {
		return Result{}, fmt.Errorf("no packet reached %s of %s", nic, host.Name)
	}
	packets := float64(after - before)
	return Result{
		Value:   packets / usage.Elapsed.Seconds(),
		Usage:   usage,
		Details: map[string]float64{"cpu_ns_per_packet": float64(usage.Busy.Nanoseconds()) / packets},
	}, nil
}

var testlvsRate = regexp.MustCompile(`(?m)^Sent .* (\d+) packets/s`)

// offeredRate reads the last line of testlvs.
func offeredRate(stderr string) (float64, error) {
	m := testlvsRate.FindStringSubmatch(stderr)
	if m == nil {
		return 0, fmt.Errorf("no rate in what testlvs said: %q", stderr)
	}
	return strconv.ParseFloat(m[1], 64)
}
