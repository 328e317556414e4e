package workload

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"lvsnat/bench/testbed"
)

var request1 = Workload{
	Name:        "request-1",
	Description: "HTTP requests one after the other on one kept connection",
	Unit:        "requests/s",
	Needs:       testbed.Streams,
	Measure:     wrk(1),
}

var request50 = Workload{
	Name:        "request-50",
	Description: "HTTP requests on 50 kept connections",
	Unit:        "requests/s",
	Needs:       testbed.Streams,
	Measure:     wrk(50),
}

var connect = Workload{
	Name:        "connect",
	Description: "a new connection for each HTTP request, 50 at a time",
	Unit:        "connections/s",
	Needs:       testbed.Streams,
	Measure:     wrk(50, "--header", "Connection: close"),
}

// wrk returns a measurement with that many connections at a time.
func wrk(connections int, more ...string) func(context.Context, *Setup) (Result, error) {
	return func(ctx context.Context, s *Setup) (Result, error) {
		args := append([]string{
			"--connections", strconv.Itoa(connections),
			"--threads", strconv.Itoa(min(connections, 2)),
			"--duration", fmt.Sprintf("%ds", int(max(s.Duration, time.Second).Round(time.Second).Seconds())),
			"--latency",
		}, more...)
		args = append(args, fmt.Sprintf("http://%s:%d/", s.Carrier.Target, testbed.HTTPPort))
		return watched(func() (Result, error) {
			out, err := s.Bed.Client.Run(ctx, "wrk", args...)
			if err != nil {
				return Result{}, err
			}
			return parseWrk(out)
		})
	}
}

var (
	wrkRate    = regexp.MustCompile(`(?m)^Requests/sec:\s+([\d.]+)`)
	wrkLatency = regexp.MustCompile(`(?m)^\s+(50|99)%\s+([\d.]+(?:us|ms|s|m))$`)
	wrkErrors  = regexp.MustCompile(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
	wrkBad     = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
)

// parseWrk reads wrk's report. Its latencies leave out what a stall kept from
// being sent (coordinated omission): they are good for a comparison of typical
// ones, not for the worst.
func parseWrk(out string) (Result, error) {
	rate := wrkRate.FindStringSubmatch(out)
	if rate == nil {
		return Result{}, fmt.Errorf("no rate in the report of wrk: %q", out)
	}
	if bad := wrkBad.FindString(out); bad != "" {
		return Result{}, fmt.Errorf("wrk: %s", bad)
	}
	value, err := strconv.ParseFloat(rate[1], 64)
	if err != nil {
		return Result{}, fmt.Errorf("read the rate of wrk: %w", err)
	}
	result := Result{Value: value, Details: make(map[string]float64)}
	for _, m := range wrkLatency.FindAllStringSubmatch(out, -1) {
		latency, err := time.ParseDuration(m[2])
		if err != nil {
			return Result{}, fmt.Errorf("read a latency of wrk: %w", err)
		}
		result.Details["closed_loop_p"+m[1]+"_us"] = float64(latency) / float64(time.Microsecond)
	}
	for i, kind := range []string{"connect", "read", "write", "timeout"} {
		if m := wrkErrors.FindStringSubmatch(out); m != nil {
			count, err := strconv.ParseFloat(m[1+i], 64)
			if err != nil {
				return Result{}, fmt.Errorf("read the errors of wrk: %w", err)
			}
			result.Details[kind+"_errors"] = count
		}
	}
	return result, nil
}
