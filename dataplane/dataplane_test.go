package dataplane_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lvsnat/conntrack"
	"lvsnat/dataplane"
	"lvsnat/dataplane/packet"
	"lvsnat/dataplane/packettest"
	"lvsnat/scheduler"
)

// The addresses are the HOWTO's: two NICs, three realservers.
const (
	client = "192.168.1.254"
	vip    = "192.168.1.110"
	dip    = "10.1.1.1"
	rip1   = "10.1.1.2"
	rip2   = "10.1.1.3"
)

var (
	clientMAC = packettest.MAC("02:00:00:00:01:fe")
	vipMAC    = packettest.MAC("02:00:00:00:01:01")
	dipMAC    = packettest.MAC("02:00:00:00:02:01")
	fromVIP   = packettest.MACs(clientMAC, vipMAC) // how a client's frame arrives
	fromRIP   = packettest.MACs(macOf(packettest.Addr(rip1)), dipMAC)
)

// macOf is the link address of a host of the test's world.
func macOf(addr uint32) packet.MAC {
	mac := packet.MAC{0x02, 0xaa}
	binary.BigEndian.PutUint32(mac[2:], addr)
	return mac
}

// A director is a dataplane between in-memory ports, with a clock that the
// test moves and neighbours that answer when asked.
type director struct {
	*dataplane.Dataplane
	t        testing.TB
	clock    packettest.Clock
	vip, dip []*packettest.Receiver // by worker
	vipOut   []*packettest.Sender
	dipOut   []*packettest.Sender
	waiters  [][]*packettest.Waiter // by worker, then by the groups that begin with it
	group    int                    // how many workers a thread carries
	network  dataplane.Network
	stop     func()

	mu    sync.Mutex
	mute  map[uint32]bool // guarded by mu; neighbours that do not answer
	asked chan dataplane.Neighbour

	reported atomic.Int64 // calls of Resolve
}

type setting func(*dataplane.Options, *director)

func workers(n int) setting {
	return func(o *dataplane.Options, _ *director) { o.Workers = n }
}

func connections(n int) setting {
	return func(o *dataplane.Options, _ *director) { o.Connections = n }
}

func muted(addr string) setting {
	return func(_ *dataplane.Options, d *director) { d.mute[packettest.Addr(addr)] = true }
}

func withNetwork(change func(*dataplane.Network)) setting {
	return func(_ *dataplane.Options, d *director) { change(&d.network) }
}

// start runs a director with these services.
func start(t testing.TB, services []scheduler.ServiceSpec, settings ...setting) *director {
	t.Helper()
	d := &director{
		t:     t,
		group: 1,
		mute:  make(map[uint32]bool),
		asked: make(chan dataplane.Neighbour, 1024),
		network: dataplane.Network{
			Links: []dataplane.Link{
				{MAC: vipMAC, MTU: 1500, Addr: packettest.Addr("192.168.1.9"), Up: true},
				{MAC: dipMAC, MTU: 1500, Addr: packettest.Addr(dip), Up: true},
			},
			Routes: []dataplane.Route{
				{Prefix: netip.MustParsePrefix("192.168.1.0/24"), Port: dataplane.VIPPort},
				{Prefix: netip.MustParsePrefix("10.1.1.0/24"), Port: dataplane.DIPPort},
				{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Port: dataplane.VIPPort, Gateway: packettest.Addr("192.168.1.1")},
			},
			Local: []uint32{packettest.Addr("192.168.1.9"), packettest.Addr(dip)},
		},
	}
	options := dataplane.Options{
		Workers: 1, Connections: 1000, Timeouts: conntrack.DefaultTimeouts(),
		Seed: 1, Placement: 2, Now: d.clock.Now, Resolver: d,
	}
	for _, set := range settings {
		set(&options, d)
	}
	var err error
	if d.Dataplane, err = dataplane.New(options); err != nil {
		t.Fatal(err)
	}
	d.SetNetwork(&d.network)
	if err := d.SetServices(services); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.attach(ctx, options.Workers)
	var running sync.WaitGroup
	running.Go(func() {
		if err := d.Run(ctx); err != nil {
			t.Errorf("the dataplane ended with %v", err)
		}
	})
	running.Go(func() { d.answer(ctx) })
	d.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(d.stop)
	return d
}

// attach gives each worker in-memory NICs.
func (d *director) attach(ctx context.Context, workers int) {
	first := len(d.vip)
	for range workers {
		d.vip, d.dip = append(d.vip, packettest.NewReceiver(d.t)), append(d.dip, packettest.NewReceiver(d.t))
		d.vipOut, d.dipOut = append(d.vipOut, packettest.NewSender(d.t)), append(d.dipOut, packettest.NewSender(d.t))
	}
	d.waiters = nil
	for worker := range workers {
		var own []*packettest.Waiter
		var waiters []dataplane.Waiter
		for _, size := range dataplane.GroupsOf(worker, workers) {
			from, to := first+worker, first+min(worker+size, workers)
			waiter := packettest.NewWaiter(&d.clock, append(slices.Clone(d.vip[from:to]), d.dip[from:to]...)...)
			own, waiters = append(own, waiter), append(waiters, waiter)
		}
		d.waiters = append(d.waiters, own)
		i := first + worker
		ports := []dataplane.Port{{Receiver: d.vip[i], Sender: d.vipOut[i]}, {Receiver: d.dip[i], Sender: d.dipOut[i]}}
		if len(d.network.Links) == 1 {
			ports = ports[:1]
		}
		if err := d.Attach(ctx, worker, ports, waiters); err != nil {
			d.t.Fatal(err)
		}
	}
}

// Resolve notes the question; answer gives the answer.
func (d *director) Resolve(n dataplane.Neighbour) {
	d.reported.Add(1)
	select {
	case d.asked <- n:
	default:
	}
}

func (d *director) answer(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-d.asked:
			d.mu.Lock()
			mute := d.mute[n.Addr]
			d.mu.Unlock()
			if !mute {
				_ = d.SetNeighbour(ctx, n, macOf(n.Addr), true) // fails only at the end
			}
		}
	}
}

// clientSends and realserverSends put frames into the receiver of the worker
// that the fanout program would choose.
func (d *director) clientSends(frames ...packet.Frame) {
	for _, f := range frames {
		d.vip[d.owner(f, true)].Inject(f)
	}
}

func (d *director) realserverSends(frames ...packet.Frame) {
	for _, f := range frames {
		d.dip[d.owner(f, false)].Inject(f)
	}
}

func (d *director) owner(f packet.Frame, request bool) int {
	var p packet.Packet
	if p.Parse(f.Data) != packet.OK {
		return 0
	}
	if request {
		return packet.Owner(p.Source, p.SourcePort, 2, len(d.vip))
	}
	return packet.Owner(p.Destination, p.DestinationPort, 2, len(d.vip))
}

// toRealservers and toClients wait until at least n frames went out by the
// port and return all of them.
func (d *director) toRealservers(n int) []packet.Frame {
	d.t.Helper()
	return d.await(d.dipOut, n)
}

func (d *director) toClients(n int) []packet.Frame {
	d.t.Helper()
	return d.await(d.vipOut, n)
}

func (d *director) await(senders []*packettest.Sender, n int) []packet.Frame {
	d.t.Helper()
	var frames []packet.Frame
	eventually(d.t, func() string {
		for _, s := range senders {
			frames = append(frames, s.Sent()...)
		}
		if len(frames) >= n {
			return ""
		}
		return fmt.Sprintf("%d of %d frames were sent; verdicts %v", len(frames), n, d.verdicts())
	})
	if len(frames) > n {
		d.t.Fatalf("%d frames were sent, want %d: %v", len(frames), n, describe(frames))
	}
	return frames
}

func describe(frames []packet.Frame) []string {
	var lines []string
	for _, f := range frames {
		lines = append(lines, packettest.Describe(f))
	}
	return lines
}

// settle returns when all frames injected so far have been dealt with.
func (d *director) settle() {
	d.t.Helper()
	var waiters []*packettest.Waiter
	for worker := 0; worker < len(d.waiters); worker += d.group {
		waiters = append(waiters, d.waiters[worker][bits.Len(uint(d.group))-1])
	}
	packettest.AwaitIdle(d.t, waiters...)
}

// advance moves the clock between two batches: the one at work has its time
// already, and the next begins with the new one.
func (d *director) advance(by time.Duration) {
	d.t.Helper()
	d.settle()
	d.clock.Advance(by)
	d.settle()
}

// sentNothing fails when any frame has gone out since the last look.
func (d *director) sentNothing() {
	d.t.Helper()
	d.settle()
	for _, s := range append(d.vipOut, d.dipOut...) {
		if sent := s.Sent(); len(sent) > 0 {
			d.t.Errorf("sent %v, want nothing", describe(sent))
		}
	}
}

func (d *director) stats() dataplane.Stats {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := d.Stats(ctx)
	if err != nil {
		d.t.Fatalf("stats: %v", err)
	}
	return s
}

// verdicts are the counts that are not zero, over all workers.
func (d *director) verdicts() map[dataplane.Verdict]uint64 {
	d.t.Helper()
	counts := make(map[dataplane.Verdict]uint64)
	for _, w := range d.stats().Workers {
		for v, n := range w.Verdicts {
			if n > 0 {
				counts[dataplane.Verdict(v)] += n
			}
		}
	}
	return counts
}

func (d *director) expectVerdict(v dataplane.Verdict, n uint64) {
	d.t.Helper()
	d.settle()
	if got := d.verdicts()[v]; got != n {
		d.t.Errorf("verdict %v was given %d times, want %d; all: %v", v, got, n, d.verdicts())
	}
}

func (d *director) table() []dataplane.Connection {
	d.t.Helper()
	var list []dataplane.Connection
	err := d.Connections(context.Background(), func(c dataplane.Connection) bool {
		list = append(list, c)
		return true
	})
	if err != nil {
		d.t.Fatalf("connections: %v", err)
	}
	return list
}

// eventually waits until check returns "", and fails with what it says last.
func eventually(t testing.TB, check func() string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		complaint := check()
		if complaint == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(complaint)
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// service describes a virtual service: service("tcp", vip+":80", "rr",
// rip1+":8000").
func service(protocol, address, scheduling string, realservers ...string) scheduler.ServiceSpec {
	s := scheduler.ServiceSpec{Address: scheduler.MustParseAddress(address), Protocol: packet.TCPProtocol, Scheduler: scheduling}
	if protocol == "udp" {
		s.Protocol = packet.UDPProtocol
	}
	for _, rs := range realservers {
		s.Realservers = append(s.Realservers, scheduler.RealserverSpec{Address: netip.MustParseAddrPort(rs), Weight: 1})
	}
	return s
}

func services(list ...scheduler.ServiceSpec) []scheduler.ServiceSpec { return list }

// http is the service most tests use: port 80 remapped to 8000.
var http = services(service("tcp", vip+":80", "rr", rip1+":8000"))
