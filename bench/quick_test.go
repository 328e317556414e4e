package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The kernel by itself stands in for the director, so that this test fails for
// reasons of the benchmark only.
func TestARunMeasuresAllPeers(t *testing.T) {
	output := filepath.Join(t.TempDir(), "samples.json")
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{
		"quick", "-subject", "nft", "-against", "routing", "-beside", "haproxy",
		"-workloads", "request-1,iperf3-to", "-rounds", "1", "-duration", "1s", "-json", output,
	}, &stdout, &stderr)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	text, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	var measured []string
	for _, s := range r.Samples {
		if s.Value <= 0 || s.Error != "" || s.BusySeconds <= 0 {
			t.Errorf("sample %+v", s)
		}
		measured = append(measured, s.Workload+":"+s.Peer)
	}
	const want = "request-1:nft request-1:routing request-1:haproxy iperf3-to:nft iperf3-to:routing iperf3-to:haproxy"
	if got := strings.Join(measured, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if n := strings.Count(stderr.String(), "/6  "); n != 6 {
		t.Errorf("%d lines of progress, want 6:\n%s", n, stderr.String())
	}
}
