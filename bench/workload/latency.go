package workload

import (
	"context"
	"errors"
	"net/netip"
	"runtime"

	"lvsnat/bench/openloop"
	"lvsnat/bench/testbed"
)

var latency = Workload{
	Name:        "latency",
	Description: "99th percentile of HTTP requests that are due by the clock, on 50 kept connections, at half of what the slower one can do",
	Unit:        "us",
	Less:        true,
	Needs:       testbed.Streams,
	Load:        &Load{Workload: request50.Name, Share: 0.5, Slower: true},
	Measure:     measureLatency,
}

const latencyConnections = 50

// measureLatency asks at the setup's rate, whatever becomes of the answers.
func measureLatency(ctx context.Context, s *Setup) (Result, error) {
	var requests *openloop.Requests
	err := s.Bed.Client.Do(func() (err error) {
		server := netip.AddrPortFrom(s.Carrier.Target, testbed.HTTPPort)
		requests, err = openloop.OpenRequests(server, latencyConnections, min(2, runtime.NumCPU()))
		return err
	})
	if err != nil {
		return Result{}, err
	}
	defer requests.Close()
	requests.Rate, requests.Duration = s.Rate, s.Duration
	return watched(func() (Result, error) {
		answers, err := requests.Run(ctx)
		if err != nil {
			return Result{}, err
		}
		if answers.Sent == answers.Missing {
			return Result{}, errors.New("no request was answered")
		}
		us := func(quantile float64) float64 { return float64(answers.Latency.ValueAtQuantile(quantile)) / 1e3 }
		return Result{Value: us(99), Details: map[string]float64{
			"p50_us": us(50), "p99_us": us(99), "p99.9_us": us(99.9),
			"asked_per_s": s.Rate,
			"missing":     float64(answers.Missing),
			// When this is not far below the latencies, it was the client that
			// could not keep up.
			"sent_late_p99_us": float64(answers.Lateness.ValueAtQuantile(99)) / 1e3,
		}}, nil
	})
}
