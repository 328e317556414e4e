package workload

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"lvsnat/bench/testbed"
)

var udp = Workload{
	Name:        "udp",
	Description: "UDP in frames of 64 bytes from 1,000 clients, each sent back, counted at both ends",
	Unit:        "packets/s",
	Needs:       testbed.Datagrams,
	Measure:     udpBothWays,
}

const (
	udpFlows = 1000

	// udpSize is the IP datagram in an Ethernet frame of 64 bytes, of which
	// the last four, the checksum, are not there on a veth.
	udpSize = 64 - 14 - 4
)

// udpBothWays has testlvs send and a responder at the realservers send back.
// The figure is what arrives there and what comes back to the client.
func udpBothWays(ctx context.Context, s *Setup) (_ Result, err error) {
	_, stop, err := standIn(ctx, s.Bed.Realserver, s.Carrier.RealserverNIC, everybody, fmt.Sprintf("udp dport %d", testbed.UDPPort))
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, stop(context.WithoutCancel(ctx))) }()
	open, err := testbed.Drop(ctx, s.Bed.Client, "ip daddr "+floodNet, s.Carrier.ClientNIC)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, open(context.WithoutCancel(ctx))) }()
	generator, err := startGenerator(s, testbed.UDPPort, settle+s.Duration+settle,
		"-udp", "-size", strconv.Itoa(udpSize), "-srcnum", strconv.Itoa(udpFlows))
	if err != nil {
		return Result{}, err
	}
	result, err := countBothWays(ctx, s)
	return finish(ctx, generator, result, err)
}

// countBothWays counts at both ends at the same time.
func countBothWays(ctx context.Context, s *Setup) (Result, error) {
	type outcome struct {
		result Result
		err    error
	}
	back := make(chan outcome, 1)
	go func() {
		r, err := countArrivals(ctx, s, s.Bed.Client, s.Carrier.ClientNIC)
		back <- outcome{r, err}
	}()
	there, err := countArrivals(ctx, s, s.Bed.Realserver, s.Carrier.RealserverNIC)
	o := <-back
	if err := errors.Join(err, o.err); err != nil {
		return Result{}, err
	}
	sum := there.Value + o.result.Value
	packets := sum * there.Usage.Elapsed.Seconds()
	return Result{Value: sum, Usage: there.Usage, Details: map[string]float64{
		"to_realserver_per_s": there.Value,
		"to_client_per_s":     o.result.Value,
		"cpu_ns_per_packet":   float64(there.Usage.Busy.Nanoseconds()) / packets,
	}}, nil
}
