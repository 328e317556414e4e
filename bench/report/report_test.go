package report

import (
	"bytes"
	"strings"
	"testing"

	"lvsnat/bench/result"
)

func testReport() *result.Report {
	return &result.Report{
		Subject: "director", Against: "nft", Beside: []string{"haproxy"},
		Workloads: []result.Column{
			{Name: "request-50", Unit: "requests/s"}, {Name: "flood-1k", Unit: "packets/s"}, {Name: "alive-half", Unit: "of throughput"},
		},
		Samples: []result.Sample{
			{Workload: "request-50", Peer: "director", Round: 0, Value: 100},
			{Workload: "request-50", Peer: "nft", Round: 0, Value: 50},
			{Workload: "request-50", Peer: "haproxy", Round: 0, Value: 200, Details: map[string]float64{"p99.9_us": 1234, "other": 1}},
			{Workload: "request-50", Peer: "nft", Round: 1, Value: 1000},
			{Workload: "request-50", Peer: "director", Round: 1, Value: 1500},
			{Workload: "flood-1k", Peer: "director", Round: 0, Value: 10, Losses: map[string]float64{"ring": 7, "verdict": 900, "veth": 3, "rare": 1}},
			{Workload: "flood-1k", Peer: "nft", Round: 0, Error: "broken"},
			{Workload: "alive-half", Peer: "director", Round: 0, Value: 0.9, Details: map[string]float64{
				"offered_per_s": 1000, "transfer_flood_ratio": 0.9, "connect_flood_success": 0.995,
				"connect_before_p99_us": 1000, "connect_flood_p99_us": 1500,
				"transfer_after_ratio": 1.02, "connect_after_success": 1, "connect_after_p99_us": 900,
				"memory_before_bytes": 10 << 20, "memory_flood_bytes": 100 << 20,
			}},
		},
	}
}

func TestTheTablesShowWhatWasMeasured(t *testing.T) {
	var out bytes.Buffer
	Markdown(&out, testReport())
	var lines []string
	for line := range strings.Lines(out.String()) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{
		"| workload | unit | director | nft | quotient | from - to | haproxy |",
		"| request-50 | requests/s | 800 | 525 | 1.75 | 1.50 - 2.00 | 200 |",
		"| flood-1k | packets/s | 10.00 | - | - | - | - |",
		"| request-50 | 99.9th percentile, us | - | - | 1234 |",
		"| alive-half | director | 1000 | 90.0 % | 99.5 % | 1.00 ms | 1.50 ms | 102.0 % | 100.0 % | 0.90 ms | 10 -> 100 MiB |",
		"| request/response, 50 connections, director / nft | 800 | 525 | 1.75 | 0.85 | 1.1 | goal |",
		"| flood at half rate: throughput of a transfer | 0.90 | - | 0.90 | 0.95 | 0.95 | missed |",
		"| flood-1k | director | verdict 900, ring 7.00, veth 3.00 |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "not measured") {
		t.Errorf("a target is listed that was not measured:\n%s", text)
	}
}

func TestTablesAreAligned(t *testing.T) {
	var out bytes.Buffer
	table := newTable("name", "µs")
	table.add("a long name", "1")
	table.add("b", "12345")
	table.write(&out)
	const want = `| name        |    µs |
| ----------- | ----: |
| a long name |     1 |
| b           | 12345 |
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestDisturbedMeasurementsAreTold(t *testing.T) {
	r := testReport()
	r.Samples[0].StealShare = 0.5
	var out bytes.Buffer
	Markdown(&out, r)
	if !strings.Contains(out.String(), "1 of 8 measurements were disturbed") {
		t.Errorf("not told:\n%s", out.String())
	}
}

func TestAMarkedPlaceIsUpdated(t *testing.T) {
	old := "# Benchmarks\n\n" + Begin + "\nan older table\n" + End + "\n\nmore\n"
	got, err := Update([]byte(old), testReport())
	if err != nil {
		t.Fatal(err)
	}
	text := string(got)
	if !strings.HasPrefix(text, "# Benchmarks\n\n"+Begin+"\n\n") || !strings.HasSuffix(text, "\n"+End+"\n\nmore\n") {
		t.Errorf("what stands around the tables has changed:\n%s", text)
	}
	if strings.Contains(text, "an older table") || !strings.Contains(text, "| request-50") {
		t.Errorf("the tables were not replaced:\n%s", text)
	}
	if again, err := Update(got, testReport()); err != nil || !bytes.Equal(again, got) {
		t.Errorf("a second time gives something else: %v", err)
	}
	for _, text := range []string{"", Begin, End + Begin} {
		if _, err := Update([]byte(text), testReport()); err == nil {
			t.Errorf("%q was updated", text)
		}
	}
}

func TestCostsThatGrowAreMarked(t *testing.T) {
	r := testReport()
	for name, ns := range map[string]float64{"Pick/wlc/1": 5, "Pick/wlc/1000": 6, "Pick/slow/1": 5, "Pick/slow/1000": 4000} {
		r.Benchmarks = append(r.Benchmarks, result.Benchmark{Name: name, Values: map[string]float64{"ns/op": ns}})
	}
	table := costs(r)
	if len(table.rows) != 2 {
		t.Fatalf("got %v", table.rows)
	}
	slow, wlc := table.rows[0], table.rows[1]
	if slow[6] != "steep" || wlc[6] != "" || wlc[4] != "6.0" {
		t.Errorf("got %v and %v", slow, wlc)
	}
}
