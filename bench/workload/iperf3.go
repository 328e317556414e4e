package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"lvsnat/bench/testbed"
	"lvsnat/test/lab"
)

var iperfTo = Workload{
	Name:        "iperf3-to",
	Description: "iperf3, one connection, to the realserver",
	Unit:        "Gbit/s",
	Needs:       testbed.Streams,
	Measure: func(ctx context.Context, s *Setup) (Result, error) {
		return iperf3(ctx, s)
	},
}

var iperfFrom = Workload{
	Name:        "iperf3-from",
	Description: "iperf3, one connection, from the realserver",
	Unit:        "Gbit/s",
	Needs:       testbed.Streams,
	Measure: func(ctx context.Context, s *Setup) (Result, error) {
		return iperf3(ctx, s, "--reverse")
	},
}

// serverTimeout is how long a server may take to come up.
const serverTimeout = 10 * time.Second

// iperf3 transfers for d, rounded up to the whole seconds that it takes, and
// returns what the receiver got.
func iperf3(ctx context.Context, s *Setup, more ...string) (_ Result, err error) {
	server, err := startIperf3(ctx, s.Bed.Realserver)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, server.Kill()) }()
	seconds := math.Ceil(s.Duration.Seconds())
	args := append([]string{"-c", s.Carrier.Target.String(), "-p", fmt.Sprint(testbed.IperfPort),
		"-t", fmt.Sprint(seconds), "--connect-timeout", "2000", "--json"}, more...)
	return watched(func() (Result, error) {
		out, err := s.Bed.Client.Run(ctx, "iperf3", args...)
		if err != nil {
			return Result{}, fmt.Errorf("%w: %s", err, out) // with --json it tells its errors on stdout
		}
		return parseIperf3([]byte(out))
	})
}

// startIperf3 starts a server for one test. One that goes on would be busy with
// the last test for a while when that test's peer was stopped before its last
// packets had come through.
func startIperf3(ctx context.Context, realserver *lab.Host) (*lab.Process, error) {
	server, err := realserver.Start(lab.Command{
		Path: "iperf3", Args: []string{"-s", "-p", fmt.Sprint(testbed.IperfPort), "--one-off", "--forceflush"},
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	listening := func(line string) bool { return strings.HasPrefix(line, "Server listening") }
	if _, err := server.Stdout().WaitLine(ctx, listening); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for iperf3: %w", err), server.Kill())
	}
	return server, nil
}

func parseIperf3(out []byte) (Result, error) {
	var report struct {
		Error string
		End   struct {
			Sent struct {
				Retransmits float64
			} `json:"sum_sent"`
			Received struct {
				BitsPerSecond float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return Result{}, fmt.Errorf("read the report of iperf3: %w", err)
	}
	if report.Error != "" {
		return Result{}, fmt.Errorf("iperf3: %s", report.Error)
	}
	return Result{
		Value:   report.End.Received.BitsPerSecond / 1e9,
		Details: map[string]float64{"retransmits": report.End.Sent.Retransmits},
	}, nil
}
