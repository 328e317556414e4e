package dataplane

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"lvsnat/dataplane/packet"
	"lvsnat/dataplane/packettest"
)

// BenchmarkTurnLatency is how long the slowest turns of a worker take, one of a
// thousand, with a garbage collection in each second and without. The two take
// turns, so that other programs disturb both. With the default -benchtime of a
// second there is but one without.
func BenchmarkTurnLatency(b *testing.B) {
	w, clock := pipeline(b, 200_000, []packet.Frame{segment(packettest.SYN)})
	establish(w, 100_000)
	const change = 2 * time.Second
	// They do not allocate: what is collected is not this test's.
	quiet, collecting := hdrhistogram.New(1, int64(time.Second), 3), hdrhistogram.New(1, int64(time.Second), 3)
	for start, second := time.Now(), 0; b.Loop(); {
		clock.ns += 20_000
		begin := time.Now()
		w.turn()
		took := min(time.Since(begin), time.Second).Nanoseconds()
		since := begin.Sub(start)
		if since/change%2 == 0 {
			_ = quiet.RecordValue(took) // it is in range
			continue
		}
		_ = collecting.RecordValue(took)
		if s := int(since / time.Second); s != second {
			second = s
			go runtime.GC()
		}
	}
	b.ReportMetric(float64(quiet.ValueAtQuantile(99.9)), "p99.9-quiet-ns")
	b.ReportMetric(float64(collecting.ValueAtQuantile(99.9)), "p99.9-collecting-ns")
}

// BenchmarkMemory is what an established connection takes of the process's
// memory, everything counted.
func BenchmarkMemory(b *testing.B) {
	for _, flows := range []int{1_000_000, 10_000_000} {
		b.Run(fmt.Sprintf("connections=%d", flows), func(b *testing.B) {
			before := residentBytes(b)
			w, _ := pipeline(b, flows, []packet.Frame{segment(packettest.SYN)})
			establish(w, flows)
			for b.Loop() {
				w.turn()
			}
			b.ReportMetric(float64(residentBytes(b)-before)/float64(w.table.Len()), "B/connection")
		})
	}
}

// residentBytes is how much memory the process has in RAM (VmRSS,
// proc_pid_status(5)).
func residentBytes(b *testing.B) int {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kilobytes, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			if err != nil {
				b.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	b.Fatal("no VmRSS in /proc/self/status")
	return 0
}
