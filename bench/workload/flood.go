package workload

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"

	"lvsnat/bench/machine"
	"lvsnat/bench/testbed"
	"lvsnat/test/lab"
)

var flood1k = Workload{
	Name:        "flood-1k",
	Description: "SYN flood of 1,000 flows, counted at the realservers",
	Unit:        "packets/s",
	Bar:         1.2,
	Flood:       true,
	Measure:     synFlood(1_000),
}

var flood1M = Workload{
	Name:        "flood-1m",
	Description: "SYN flood of 1,000,000 flows, counted at the realservers",
	Unit:        "packets/s",
	Bar:         1.5,
	Flood:       true,
	Measure:     synFlood(1_000_000),
}

// The flood comes from the shared address space of RFC 6598, which has room
// for four million sources and is nobody's network in the testbed.
const floodFirst = "100.64.0.1"

const realserverNIC = "eth0"

// settle is how long a flood runs before counting begins, so that the
// generator has started and the first connections are open.
const settle = 300 * time.Millisecond

// synFlood returns a measurement with testlvs as the generator and, as its
// author did it, the packets that arrive at the realservers as the figure.
// Nothing answers there.
func synFlood(flows int) func(context.Context, *testbed.Testbed, netip.Addr, time.Duration) (Result, error) {
	return func(ctx context.Context, b *testbed.Testbed, target netip.Addr, d time.Duration) (result Result, err error) {
		if err := openSink(ctx, b.Realserver); err != nil {
			return Result{}, err
		}
		defer func() { err = errors.Join(err, closeSink(context.WithoutCancel(ctx), b.Realserver)) }()
		generator, err := startGenerator(b, target, flows, settle+d+settle)
		if err != nil {
			return Result{}, err
		}
		result, err = countArrivals(ctx, b.Realserver, d)
		if err != nil {
			return Result{}, errors.Join(err, generator.Kill())
		}
		if err := generator.Wait(ctx); err != nil {
			return Result{}, err
		}
		result.Details["offered_per_s"], err = offeredRate(generator.Stderr().String())
		return result, err
	}
}

// startGenerator starts testlvs on the first processor, where it leaves the
// others to the peer as far as the kernel lets it.
func startGenerator(b *testbed.Testbed, target netip.Addr, flows int, d time.Duration) (*lab.Process, error) {
	return b.Client.Start(lab.Command{Path: "taskset", Args: []string{
		"--cpu-list", "0", b.Programs.Testlvs,
		"-srcnet", floodFirst, "-srcnum", strconv.Itoa(flows), "-duration", d.String(),
		netip.AddrPortFrom(target, testbed.HTTPPort).String(),
	}})
}

func countArrivals(ctx context.Context, realserver *lab.Host, d time.Duration) (Result, error) {
	if err := sleep(ctx, settle); err != nil {
		return Result{}, err
	}
	before, err := arrived(realserver)
	if err != nil {
		return Result{}, err
	}
	watch, err := machine.StartWatch()
	if err != nil {
		return Result{}, err
	}
	if err := sleep(ctx, d); err != nil {
		return Result{}, err
	}
	after, err := arrived(realserver)
	if err != nil {
		return Result{}, err
	}
	usage, err := watch.Read()
	if err != nil {
		return Result{}, err
	}
	if after == before {
		return Result{}, errors.New("no packet of the flood reached the realservers")
	}
	packets := float64(after - before)
	return Result{
		Value:   packets / usage.Elapsed.Seconds(),
		Usage:   usage,
		Details: map[string]float64{"cpu_ns_per_packet": float64(usage.Busy.Nanoseconds()) / packets},
	}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// openSink has the realservers drop all IP packets as they come in: what
// happens to a packet after its arrival is not the peer's cost. ARP goes on. The
// rule does as little as a rule can, since its time counts as the peer's.
func openSink(ctx context.Context, realserver *lab.Host) error {
	return testbed.NFT(ctx, realserver,
		"table netdev lvsnat_bench {",
		"	chain sink {",
		"		type filter hook ingress device "+realserverNIC+" priority 0",
		"		meta protocol ip drop",
		"	}",
		"}")
}

func closeSink(ctx context.Context, realserver *lab.Host) error {
	return testbed.NFT(ctx, realserver, "delete table netdev lvsnat_bench")
}

// arrived is the number of packets that have reached the realservers' NIC.
func arrived(realserver *lab.Host) (packets uint64, err error) {
	err = realserver.Do(func() error {
		link, err := netlink.LinkByName(realserverNIC)
		if err != nil {
			return fmt.Errorf("count arrivals on %s: %w", realserverNIC, err)
		}
		packets = link.Attrs().Statistics.RxPackets
		return nil
	})
	return packets, err
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
