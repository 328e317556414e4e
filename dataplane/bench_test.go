package dataplane

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"lvsnat/checksum"
	"lvsnat/conntrack"
	"lvsnat/dataplane/packet"
	"lvsnat/dataplane/packettest"
	"lvsnat/scheduler"
)

// still is a clock that a benchmark moves.
type still struct{ ns int64 }

func (c *still) now() int64 { return c.ns }

// known is a resolver for worlds in which every neighbour is learned by hand.
type known struct{}

func (known) Resolve(Neighbour) {}

// pipeline is one worker between ports that lend the same frames for ever and
// throw away what is sent, with all neighbours resolved.
func pipeline(tb testing.TB, capacity int, requests []packet.Frame) (*worker, *still) {
	tb.Helper()
	clock := &still{ns: int64(time.Hour)}
	d, err := New(Options{
		Workers: 1, Connections: capacity, Timeouts: conntrack.DefaultTimeouts(),
		Seed: 1, Now: clock.now, Resolver: known{},
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = d.close() })
	err = d.SetServices([]scheduler.ServiceSpec{{
		Address: netip.MustParseAddrPort("192.168.1.110:80"), Protocol: packet.TCPProtocol, Scheduler: "wlc",
		Realservers: []scheduler.RealserverSpec{
			{Address: netip.MustParseAddrPort("10.1.1.2:8000"), Weight: 1},
			{Address: netip.MustParseAddrPort("10.1.1.3:8000"), Weight: 1},
		},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	d.SetNetwork(&Network{
		Links: []Link{{MTU: 1500, Up: true}, {MTU: 1500, Up: true}},
		Routes: []Route{
			{Prefix: netip.MustParsePrefix("10.1.1.0/24"), Port: DIPPort},
			{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Port: VIPPort, Gateway: packettest.Addr("192.168.1.1")},
		},
	})
	w := d.workers[0]
	w.ports = []Port{
		{Receiver: packettest.NewRepeater(requests...), Sender: new(packettest.Discarder)},
		{Receiver: empty{}, Sender: new(packettest.Discarder)},
	}
	w.beginBatch()
	for _, addr := range []string{"10.1.1.2", "10.1.1.3"} {
		w.route(packettest.Addr(addr))
		w.learn(Neighbour{DIPPort, packettest.Addr(addr)}, packet.MAC{2}, true)
	}
	w.route(packettest.Addr("1.1.1.1"))
	w.learn(Neighbour{VIPPort, packettest.Addr("192.168.1.1")}, packet.MAC{2}, true)
	return w, clock
}

// empty is a receiver that has nothing.
type empty struct{}

func (empty) Receive([]packet.Frame) int { return 0 }
func (empty) Release()                   {}

// Stats has nothing to tell.
func (empty) Stats() packet.ReceiverStats { return packet.ReceiverStats{} }

func TestNoPacketAllocates(t *testing.T) {
	for name, frames := range map[string][]packet.Frame{
		"established":          flowFrames(1, packettest.ACK),
		"new flows":            flowFrames(500, packettest.SYN),
		"unknown port":         {packettest.TCP("10.0.0.1:5000", "192.168.1.110:81", packettest.SYN)},
		"not for us":           {packettest.TCP("10.0.0.1:5000", "192.168.1.99:81", packettest.SYN)},
		"echo":                 {packettest.Echo("10.0.0.1", "192.168.1.110", 1, 1)},
		"TTL 1":                {packettest.TCP("10.0.0.1:5000", "192.168.1.110:80", packettest.SYN, packettest.TTL(1))},
		"malformed":            {packettest.TCP("10.0.0.1:5000", "192.168.1.110:80", packettest.SYN, packettest.BadIPChecksum())},
		"full table":           flowFrames(5000, packettest.SYN),
		"super-packet":         {packettest.TCP("10.0.0.1:5000", "192.168.1.110:80", packettest.SYN, packettest.Payload(make([]byte, 60000)), packettest.GSO(1448))},
		"datagram, no service": {packettest.UDP("10.0.0.1:5000", "192.168.1.110:80")},
	} {
		t.Run(name, func(t *testing.T) {
			w, clock := pipeline(t, 1000, frames)
			if allocs := testing.AllocsPerRun(200, func() {
				clock.ns += int64(100 * time.Millisecond)
				w.turn()
			}); allocs != 0 {
				t.Errorf("%v allocations a batch", allocs)
			}
		})
	}
}

// BenchmarkPipeline is the worker without rings: parse, look up, state, timer,
// rewrite. An operation is one packet.
func BenchmarkPipeline(b *testing.B) {
	for _, flows := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("established/%d", flows), func(b *testing.B) {
			w, clock := pipeline(b, flows+flows/4, flowFrames(flows, packettest.SYN))
			for i := 0; i < flows; i += batchSize {
				w.turn()
			}
			w.ports[VIPPort].Receiver = packettest.NewRepeater(shuffled(flowFrames(flows, packettest.ACK))...)
			run(b, w, clock)
			if n := w.verdicts[ForwardedRequest]; n < uint64(b.N) {
				b.Fatalf("%d of %d packets forwarded", n, b.N)
			}
		})
	}
	b.Run("every packet a new flow", func(b *testing.B) {
		w, clock := pipeline(b, 1<<20, flowFrames(1<<22, packettest.SYN))
		run(b, w, clock)
	})
}

func run(b *testing.B, w *worker, clock *still) {
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += batchSize {
		clock.ns += 20_000
		w.turn()
	}
}

// flowFrames are frames of n flows that differ in the client's address alone.
func flowFrames(n int, flags uint8) []packet.Frame {
	template := packettest.TCP("11.0.0.0:5000", "192.168.1.110:80", flags).Data
	memory := make([]byte, n*len(template))
	frames := make([]packet.Frame, n)
	for i := range frames {
		data := memory[i*len(template) : (i+1)*len(template) : (i+1)*len(template)]
		copy(data, template)
		ip := packet.IPv4(data[packet.EthernetLen:])
		delta := checksum.Delta32(ip.Source(), ip.Source()+uint32(i))
		ip.SetSource(ip.Source() + uint32(i))
		ip.SetChecksum(delta.Apply(ip.Checksum()))
		tcp := packet.TCP(ip[packet.IPv4Len:])
		tcp.SetChecksum(delta.Apply(tcp.Checksum()))
		frames[i] = packet.Frame{Data: data}
	}
	return frames
}

// shuffled mixes frames, so that neighbours in the table are not neighbours in
// time.
func shuffled(frames []packet.Frame) []packet.Frame {
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
	return frames
}
