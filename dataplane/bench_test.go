package dataplane

import (
	"fmt"
	"net/netip"
	"sync"
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

// pipeline is one worker between ports that throw away what is sent, with all
// neighbours resolved. Its VIP NIC lends the same frames for ever.
func pipeline(tb testing.TB, capacity int, requests []packet.Frame, settings ...func(*Options)) (*worker, *still) {
	tb.Helper()
	workers, clock := pipelines(tb, 1, capacity, settings...)
	workers[0].ports[VIPPort].Receiver = packettest.NewRepeater(requests...)
	return workers[0], clock
}

// pipelines is a dataplane's workers, whose ports have nothing and throw away
// what is sent, with all neighbours resolved.
func pipelines(tb testing.TB, workers, capacity int, settings ...func(*Options)) ([]*worker, *still) {
	tb.Helper()
	clock := &still{ns: int64(time.Hour)}
	options := Options{
		Workers: workers, Connections: capacity, Timeouts: conntrack.DefaultTimeouts(),
		Seed: 1, Now: clock.now, Resolver: known{},
	}
	for _, set := range settings {
		set(&options)
	}
	d, err := New(options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = d.close() })
	err = d.SetServices([]scheduler.ServiceSpec{{
		Address: scheduler.MustParseAddress("192.168.1.110:80"), Protocol: packet.TCPProtocol, Scheduler: "wlc",
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
	for _, w := range d.workers {
		w.ports = []Port{
			{Receiver: empty{}, Sender: new(packettest.Discarder)},
			{Receiver: empty{}, Sender: new(packettest.Discarder)},
		}
		w.beginBatch()
		for _, addr := range []string{"10.1.1.2", "10.1.1.3"} {
			w.route(packettest.Addr(addr))
			w.learn(Neighbour{DIPPort, packettest.Addr(addr)}, packet.MAC{2}, true)
		}
		w.route(packettest.Addr("1.1.1.1"))
		w.learn(Neighbour{VIPPort, packettest.Addr("192.168.1.1")}, packet.MAC{2}, true)
	}
	return d.workers, clock
}

// empty is a receiver that has nothing.
type empty struct{}

func (empty) Receive([]packet.Frame) int { return 0 }
func (empty) Release()                   {}
func (empty) Crowded() bool              { return false }

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

// The first replies are measured, and p2c chooses by them.
func TestNoHandshakeAllocates(t *testing.T) {
	var requests, replies []packet.Frame
	for i := range batchSize {
		client := fmt.Sprintf("11.0.0.%d:5000", i)
		requests = append(requests, packettest.TCP(client, "192.168.1.110:80", packettest.SYN))
		// Whichever realserver has the connection; the other's belongs to none.
		replies = append(replies,
			packettest.TCP("10.1.1.2:8000", client, packettest.SYN|packettest.ACK),
			packettest.TCP("10.1.1.3:8000", client, packettest.SYN|packettest.ACK))
	}
	w, clock := pipeline(t, 1000, requests)
	service := w.plane.services.Snapshot().Services()[0]
	err := w.plane.SetServices([]scheduler.ServiceSpec{{
		Address: scheduler.MustParseAddress("192.168.1.110:80"), Protocol: packet.TCPProtocol, Scheduler: "p2c",
		Realservers: []scheduler.RealserverSpec{
			{Address: netip.MustParseAddrPort("10.1.1.2:8000"), Weight: 1},
			{Address: netip.MustParseAddrPort("10.1.1.3:8000"), Weight: 1},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.ports[DIPPort].Receiver = packettest.NewRepeater(replies...)
	if allocs := testing.AllocsPerRun(200, func() {
		clock.ns += int64(2 * time.Minute) // the connections before have expired
		w.turn()
	}); allocs != 0 {
		t.Errorf("%v allocations a batch", allocs)
	}
	for _, rs := range service.Realservers() {
		if rs.Handshake() == 0 {
			t.Error("a realserver was not measured")
		}
	}
}

// segment is what each flow of a benchmark sends; flows differ in the client's
// address.
func segment(flags uint8) packet.Frame {
	return packettest.TCP("11.0.0.0:5000", "192.168.1.110:80", flags)
}

// establish opens flows, lets their realservers answer, and hands the worker
// segments of them at random.
func establish(w *worker, flows int) {
	w.ports[VIPPort].Receiver = packettest.NewFlows(segment(packettest.SYN), flows, false)
	for i := 0; i < flows; i += batchSize {
		w.turn()
	}
	for cursor, more := uint32(0), true; more; {
		cursor, more = w.table.Walk(cursor, 1000, w.connect)
	}
	w.ports[VIPPort].Receiver = packettest.NewFlows(segment(packettest.ACK), flows, true)
	w.verdicts[ForwardedRequest] = 0
}

// connect does with a half-open connection what the realserver's SYN-ACK, the
// client's ACK and the realserver's first data would.
func (w *worker) connect(e *conntrack.Entry) {
	for _, s := range []struct {
		direction conntrack.Direction
		segment   conntrack.Segment
	}{
		{conntrack.Reply, conntrack.Segment{Sequence: 1999, Acknowledgment: 1001, Flags: packet.SYN | packet.ACK}},
		{conntrack.Request, conntrack.Segment{Sequence: 1001, Acknowledgment: 2000, Flags: packet.ACK}},
		{conntrack.Reply, conntrack.Segment{Sequence: 2000, Acknowledgment: 1001, Flags: packet.ACK}},
	} {
		if w.profile == conntrack.RFC {
			w.table.ObserveSegment(e, s.direction, s.segment, w.ticks)
		} else {
			w.table.Observe(e, s.direction, s.segment.Flags, w.ticks)
		}
		w.confirm(e, &packet.Packet{Protocol: e.Protocol, TCPFlags: s.segment.Flags}, s.direction)
	}
}

// BenchmarkPipeline is the worker without rings: parse, look up, state, timer,
// rewrite. An operation is one packet.
func BenchmarkPipeline(all *testing.B) {
	for _, flows := range []int{1_000, 100_000, 1_000_000, 10_000_000} {
		var w *worker
		var clock *still
		all.Run(fmt.Sprintf("established/%d", flows), func(b *testing.B) {
			if w == nil {
				w, clock = pipeline(all, flows+flows/16, []packet.Frame{segment(packettest.SYN)})
				establish(w, flows)
				b.ResetTimer()
			}
			run(b, w, clock)
			if n := w.verdicts[ForwardedRequest]; n == 0 || w.table.Len() < flows {
				b.Fatalf("%d packets forwarded of %d flows", n, w.table.Len())
			}
		})
	}
	all.Run("every packet a new flow", func(b *testing.B) {
		w, clock := pipeline(b, 1<<20, []packet.Frame{segment(packettest.SYN)})
		w.ports[VIPPort].Receiver = packettest.NewFlows(segment(packettest.SYN), 1<<24, false)
		// So many that each takes the place of another.
		for range 1 << 20 / batchSize {
			w.turn()
		}
		b.ResetTimer()
		run(b, w, clock)
	})
}

// BenchmarkWorkers is BenchmarkPipeline with workers that share a set of
// services and nothing else. An operation is one packet of each worker, so that
// the time stays the same where they do not disturb each other.
func BenchmarkWorkers(b *testing.B) {
	const flows = 10_000
	for _, count := range []int{1, 2} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			workers, _ := pipelines(b, count, 2*flows*count)
			for _, w := range workers {
				w.id, w.count = 0, 1 // it owns what it gets: the kernel's fanout has seen to that
				establish(w, flows)
			}
			b.ResetTimer()
			var running sync.WaitGroup
			for _, w := range workers {
				running.Go(func() {
					for i := 0; i < b.N; i += batchSize {
						w.turn()
					}
				})
			}
			running.Wait()
		})
	}
}

// run lets the worker carry b.N packets, rounded up to whole rings of them. As
// the kernel does with a ring, the generator fills all slots before the worker
// takes their frames; it is the benchmark's own work, so its time is not counted.
func run(b *testing.B, w *worker, clock *still) {
	b.ReportAllocs()
	flows := w.ports[VIPPort].Receiver.(*packettest.Flows)
	packets, took := 0, time.Duration(0)
	for packets < b.N {
		n := flows.Refill()
		start := time.Now()
		for range n / batchSize {
			clock.ns += 20_000
			w.turn()
		}
		took += time.Since(start)
		packets += n
	}
	b.ReportMetric(float64(took)/float64(packets), "ns/op")
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
