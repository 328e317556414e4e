package workload

import (
	"maps"
	"strings"
	"testing"
)

const wrkReport = `Running 2s test @ http://192.168.1.110:80/
  2 threads and 50 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.18ms    1.02ms  20.48ms   91.23%
    Req/Sec    21.29k     3.10k   27.31k    67.50%
  Latency Distribution
     50%    0.97ms
     75%    1.40ms
     90%    2.01ms
     99%  874.00us
  84839 requests in 2.00s, 12.38MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
Requests/sec:  42367.81
Transfer/sec:      6.18MB
`

func TestTheReportOfWrkIsRead(t *testing.T) {
	got, err := parseWrk(wrkReport)
	if err != nil {
		t.Fatal(err)
	}
	if got.Value != 42367.81 {
		t.Errorf("%v requests/s, want 42367.81", got.Value)
	}
	want := map[string]float64{
		"closed_loop_p50_us": 970, "closed_loop_p99_us": 874,
		"connect_errors": 1, "read_errors": 2, "write_errors": 3, "timeout_errors": 4,
	}
	if !maps.Equal(got.Details, want) {
		t.Errorf("got  %v\nwant %v", got.Details, want)
	}
}

func TestAReportOfWrkThatShowsAFaultIsAnError(t *testing.T) {
	for name, report := range map[string]string{
		"nothing":         "",
		"other responses": strings.Replace(wrkReport, "Requests/sec", "  Non-2xx or 3xx responses: 7\nRequests/sec", 1),
	} {
		if _, err := parseWrk(report); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestTheReportOfIperf3IsRead(t *testing.T) {
	got, err := parseIperf3([]byte(`{"start": {}, "end": {"sum_sent": {"bits_per_second": 9e9, "retransmits": 12},
		"sum_received": {"bits_per_second": 8.5e9}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got.Value != 8.5 || got.Details["retransmits"] != 12 {
		t.Errorf("got %+v, want 8.5 Gbit/s and 12 retransmits", got)
	}
}

func TestAFaultOfIperf3IsAnError(t *testing.T) {
	_, err := parseIperf3([]byte(`{"start": {}, "end": {}, "error": "unable to connect to server"}`))
	if err == nil || !strings.Contains(err.Error(), "unable to connect") {
		t.Errorf("got error %v, want iperf3's", err)
	}
	if _, err := parseIperf3([]byte("no JSON")); err == nil {
		t.Error("a text was accepted")
	}
}

func TestTheRateOfTestlvsIsRead(t *testing.T) {
	got, err := offeredRate("Sending 40-byte TCP packets from 100.64.0.1[1000] to 192.168.1.110:80\n" +
		"Sent 1876114 packets in 2.001 s: 937588 packets/s, 300.0 Mbit/s; the NIC refused 5\n")
	if err != nil || got != 937588 {
		t.Errorf("got %v, %v, want 937588", got, err)
	}
	if _, err := offeredRate("testlvs: no answer to ARP"); err == nil {
		t.Error("a fault was taken for a rate")
	}
}

func TestNamesAreUniqueAndFound(t *testing.T) {
	seen := make(map[string]bool)
	for _, w := range All {
		if seen[w.Name] {
			t.Errorf("two workloads are called %s", w.Name)
		}
		seen[w.Name] = true
		if found, err := ByName(w.Name); err != nil || found.Description != w.Description {
			t.Errorf("ByName(%s): %v, %v", w.Name, found.Name, err)
		}
	}
	if _, err := ByName("nonsense"); err == nil || !strings.Contains(err.Error(), "alive-half") {
		t.Errorf("got error %v, want one that lists the names", err)
	}
}

func TestSourcesOfTheFloodAreCounted(t *testing.T) {
	for number, want := range map[int]string{0: "11.0.0.0", 300: "11.0.1.44", manySources - 1: "11.255.255.255"} {
		if got := floodSource(number).String(); got != want {
			t.Errorf("number %d is %s, want %s", number, got, want)
		}
	}
}
