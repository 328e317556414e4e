package dataplane

import (
	"fmt"
	"testing"
	"time"

	"lvsnat/conntrack"
	"lvsnat/dataplane/packet"
	"lvsnat/dataplane/packettest"
)

func rfcProfile(o *Options) {
	o.Profile, o.Timeouts = conntrack.RFC, conntrack.RFC.Timeouts()
}

func TestNoPacketAllocatesUnderProfileRFC(t *testing.T) {
	for name, flags := range map[string]uint8{"SYN": packet.SYN, "ACK": packet.ACK, "RST": packet.RST, "FIN": packet.FIN | packet.ACK} {
		t.Run(name, func(t *testing.T) {
			w, clock := pipeline(t, 1000, []packet.Frame{segment(packet.SYN)}, rfcProfile)
			establish(w, 100)
			w.ports[VIPPort].Receiver = packettest.NewFlows(segment(flags), 100, true)
			if allocs := testing.AllocsPerRun(200, func() {
				clock.ns += int64(100 * time.Millisecond)
				w.turn()
			}); allocs != 0 {
				t.Errorf("%v allocations a batch", allocs)
			}
		})
	}
}

// BenchmarkPipelineRFC is BenchmarkPipeline under profile RFC.
func BenchmarkPipelineRFC(all *testing.B) {
	for _, flows := range []int{1_000, 100_000, 1_000_000, 10_000_000} {
		var w *worker
		var clock *still
		all.Run(fmt.Sprintf("established/%d", flows), func(b *testing.B) {
			if w == nil {
				w, clock = pipeline(all, flows+flows/16, []packet.Frame{segment(packet.SYN)}, rfcProfile)
				establish(w, flows)
			}
			b.ResetTimer()
			run(b, w, clock)
			if n := w.verdicts[ForwardedRequest]; n < uint64(b.N) {
				b.Fatalf("%d packets forwarded of %d", n, b.N)
			}
		})
	}
}
