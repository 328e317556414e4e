package dataplane_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"lvsnat/dataplane"
	"lvsnat/dataplane/packet"
	"lvsnat/dataplane/packettest"
)

func TestAnIdleConnectionExpiresAndIsNoLongerCounted(t *testing.T) {
	d := start(t, http)
	d.handshake(client+cport, vip+":80", rip1+":8000")
	if rs := d.stats().Services[0].Realservers[0]; rs.Active != 1 || rs.Inactive != 0 {
		t.Fatalf("counts are %d active, %d inactive, want 1 and 0", rs.Active, rs.Inactive)
	}
	d.advance(890 * time.Second)
	d.clientSends(ack(client+cport, vip+":80", fromVIP))
	d.toRealservers(1)
	d.advance(890 * time.Second)
	d.settle()
	if table := d.table(); len(table) != 1 || table[0].State != "ESTABLISHED" {
		t.Fatalf("after 890 s of silence the table holds %v", table)
	}
	d.advance(12 * time.Second)
	eventually(t, func() string {
		if table := d.table(); len(table) != 0 {
			d.advance(100 * time.Millisecond)
			return fmt.Sprintf("after 902 s of silence the table holds %v", table)
		}
		return ""
	})
	if rs := d.stats().Services[0].Realservers[0]; rs.Active != 0 || rs.Inactive != 0 {
		t.Errorf("counts are %d active, %d inactive, want 0 and 0", rs.Active, rs.Inactive)
	}
}

func TestTheCapHoldsAndEstablishedConnectionsNeverMakeWay(t *testing.T) {
	const limit = 50
	d := start(t, http, connections(limit))
	for i := range limit / 2 {
		d.handshake(fmt.Sprintf("%s:%d", client, 1000+i), vip+":80", rip1+":8000")
	}
	const flood = 20 * limit
	for i := range flood {
		d.clientSends(syn(fmt.Sprintf("192.168.1.%d:%d", 1+i%100, 2000+i), vip+":80", fromVIP))
		d.settle()
	}
	w := d.stats().Workers[0]
	if w.Connections > limit {
		t.Errorf("the table holds %d connections, its cap is %d", w.Connections, limit)
	}
	if w.Evicted == 0 {
		t.Error("no half-open connection has made way")
	}
	established := 0
	for _, c := range d.table() {
		if c.State == "ESTABLISHED" {
			established++
		}
	}
	if established != limit/2 {
		t.Errorf("%d established connections are left of %d", established, limit/2)
	}
	rs := d.stats().Services[0].Realservers[0]
	if rs.Active+rs.Inactive != w.Connections {
		t.Errorf("the realserver counts %d+%d connections, the table %d", rs.Active, rs.Inactive, w.Connections)
	}
}

func TestATableFullOfEstablishedConnectionsRefusesNewOnes(t *testing.T) {
	d := start(t, http, connections(10))
	for i := range 10 {
		d.handshake(fmt.Sprintf("%s:%d", client, 1000+i), vip+":80", rip1+":8000")
	}
	d.clientSends(syn(client+cport, vip+":80", fromVIP))
	d.expectVerdict(dataplane.TableFull, 1)
	d.sentNothing()
}

func TestFramesWaitForANeighbour(t *testing.T) {
	d := start(t, http, muted(rip1))
	for i := range 12 {
		d.clientSends(syn(fmt.Sprintf("%s:%d", client, 1000+i), vip+":80", fromVIP, packettest.ID(uint16(i))))
	}
	d.settle()
	got := d.verdicts()
	if got[dataplane.Queued] != 8 || got[dataplane.NeighbourQueueFull] != 4 {
		t.Fatalf("of 12 frames to an unresolved neighbour %d were queued and %d refused, want 8 and 4",
			got[dataplane.Queued], got[dataplane.NeighbourQueueFull])
	}
	n := dataplane.Neighbour{Port: dataplane.DIPPort, Addr: packettest.Addr(rip1)}
	if err := d.SetNeighbour(context.Background(), n, macOf(n.Addr), true); err != nil {
		t.Fatal(err)
	}
	for i, f := range d.toRealservers(8) {
		packettest.Check(t, f, packettest.ID(uint16(i)), packettest.Destination(rip1+":8000"),
			packettest.MACs(dipMAC, macOf(n.Addr)), packettest.TTL(63), packettest.ChecksumsRight())
	}
	if w := d.stats().Workers[0]; w.QueuedSent != 8 || w.QueuedLost != 0 {
		t.Errorf("%d queued frames sent, %d lost, want 8 and 0", w.QueuedSent, w.QueuedLost)
	}
}

func TestWhatOneWorkerLearnsOfANeighbourAllKnow(t *testing.T) {
	d := start(t, http, workers(2))
	d.handshake(client+":1000", vip+":80", rip1+":8000")
	d.settle()
	queued := d.verdicts()[dataplane.Queued]
	for i := range 20 {
		d.clientSends(syn(fmt.Sprintf("%s:%d", client, 1001+i), vip+":80", fromVIP))
	}
	d.settle()
	for i, w := range d.stats().Workers {
		if w.Verdicts[dataplane.ForwardedRequest] == 0 {
			t.Errorf("worker %d forwarded nothing: the test proves nothing", i)
		}
	}
	if got := d.verdicts()[dataplane.Queued]; got != queued {
		t.Errorf("%d frames waited for a neighbour that is known", got-queued)
	}
}

func TestEachWorkersThreadIsPrepared(t *testing.T) {
	prepared := make(chan struct{}, 3)
	d := start(t, http, workers(3), func(o *dataplane.Options, _ *director) {
		o.Prepare = func() { prepared <- struct{}{} }
	})
	d.settle()
	d.stop()
	if len(prepared) != 3 {
		t.Errorf("%d threads of 3 workers were prepared", len(prepared))
	}
}

func TestANeighbourThatDoesNotAnswer(t *testing.T) {
	d := start(t, http, muted(rip1))
	d.clientSends(syn(client+cport, vip+":80", fromVIP))
	d.expectVerdict(dataplane.Queued, 1)
	n := dataplane.Neighbour{Port: dataplane.DIPPort, Addr: packettest.Addr(rip1)}
	if err := d.SetNeighbour(context.Background(), n, packet.MAC{}, false); err != nil {
		t.Fatal(err)
	}
	d.clientSends(syn(client+cport, vip+":80", fromVIP))
	d.expectVerdict(dataplane.NeighbourFailed, 1)
	d.sentNothing()
	if w := d.stats().Workers[0]; w.QueuedLost != 1 {
		t.Errorf("%d queued frames lost, want 1", w.QueuedLost)
	}
	t.Run("and answers later", func(t *testing.T) {
		d.mu.Lock()
		delete(d.mute, n.Addr)
		d.mu.Unlock()
		d.advance(2 * time.Second)
		d.clientSends(syn(client+cport, vip+":80", fromVIP)) // makes the director ask again, and waits
		packettest.Check(t, d.toRealservers(1)[0], packettest.Destination(rip1+":8000"), packettest.MACs(dipMAC, macOf(n.Addr)))
	})
}

// A neighbour that has failed does not fill the queue again each time that it
// is asked for.
func TestOneFrameWaitsForANeighbourThatIsAskedAgain(t *testing.T) {
	d := start(t, http, muted(rip1))
	d.clientSends(syn(client+cport, vip+":80", fromVIP))
	d.expectVerdict(dataplane.Queued, 1)
	n := dataplane.Neighbour{Port: dataplane.DIPPort, Addr: packettest.Addr(rip1)}
	for i := range uint64(2) {
		if err := d.SetNeighbour(context.Background(), n, packet.MAC{}, false); err != nil {
			t.Fatal(err)
		}
		d.advance(2 * time.Second)
		for range 3 {
			d.clientSends(syn(client+cport, vip+":80", fromVIP))
		}
		d.settle()
		got := d.verdicts()
		if got[dataplane.Queued] != 2+i || got[dataplane.NeighbourFailed] != 2*(i+1) {
			t.Errorf("question %d: %d frames were queued and %d refused in all, want %d and %d",
				i, got[dataplane.Queued], got[dataplane.NeighbourFailed], 2+i, 2*(i+1))
		}
	}
	d.sentNothing()
}

func TestANeighboursNewLinkAddressIsUsed(t *testing.T) {
	d := start(t, http)
	d.handshake(client+cport, vip+":80", rip1+":8000")
	changed := packettest.MAC("02:bb:00:00:00:01")
	n := dataplane.Neighbour{Port: dataplane.DIPPort, Addr: packettest.Addr(rip1)}
	if err := d.SetNeighbour(context.Background(), n, changed, true); err != nil {
		t.Fatal(err)
	}
	d.clientSends(ack(client+cport, vip+":80", fromVIP))
	packettest.Check(t, d.toRealservers(1)[0], packettest.MACs(dipMAC, changed))
}

func TestANeighbourInUseIsReportedAgain(t *testing.T) {
	d := start(t, http)
	d.handshake(client+cport, vip+":80", rip1+":8000")
	reports := func() int { return int(d.reported.Load()) }
	before := reports()
	d.clientSends(ack(client+cport, vip+":80", fromVIP))
	d.toRealservers(1)
	if reports() != before {
		t.Error("a resolved neighbour was reported again at once")
	}
	d.advance(6 * time.Second)
	d.clientSends(ack(client+cport, vip+":80", fromVIP))
	d.toRealservers(1)
	if got := reports(); got != before+1 {
		t.Errorf("after 6 s of use it was reported %d times more, want once", got-before)
	}
}

func TestRoutes(t *testing.T) {
	const far = "198.51.100.7" // behind the router
	d := start(t, http)
	d.clientSends(syn(far+cport, vip+":80", fromVIP))
	d.toRealservers(1)
	d.realserverSends(synAck(rip1+":8000", far+cport, fromRIP))
	packettest.Check(t, d.toClients(1)[0], packettest.MACs(vipMAC, macOf(packettest.Addr("192.168.1.1"))), packettest.Destination(far+cport))

	change := func(edit func(*dataplane.Network)) {
		n := d.network
		n.Routes = append([]dataplane.Route(nil), n.Routes...)
		edit(&n)
		d.settle() // the batch at work still has the old network
		d.SetNetwork(&n)
	}
	prefix := netip.MustParsePrefix("198.51.100.0/24")
	reply := func() { d.realserverSends(ack(rip1+":8000", far+cport, fromRIP)) }

	t.Run("a more specific route leads another way", func(t *testing.T) {
		change(func(n *dataplane.Network) {
			n.Routes = append(n.Routes, dataplane.Route{Prefix: prefix, Port: dataplane.VIPPort, Gateway: packettest.Addr("192.168.1.2")})
		})
		reply()
		packettest.Check(t, d.toClients(1)[0], packettest.MACs(vipMAC, macOf(packettest.Addr("192.168.1.2"))))
	})
	t.Run("of equal routes the lowest metric counts", func(t *testing.T) {
		change(func(n *dataplane.Network) {
			n.Routes = append(n.Routes,
				dataplane.Route{Prefix: prefix, Port: dataplane.VIPPort, Gateway: packettest.Addr("192.168.1.3"), Metric: 50},
				dataplane.Route{Prefix: prefix, Port: dataplane.VIPPort, Gateway: packettest.Addr("192.168.1.4"), Metric: 20})
		})
		reply()
		packettest.Check(t, d.toClients(1)[0], packettest.MACs(vipMAC, macOf(packettest.Addr("192.168.1.4"))))
	})
	t.Run("a route through a NIC that is not the director's leads nowhere", func(t *testing.T) {
		change(func(n *dataplane.Network) {
			n.Routes = append(n.Routes, dataplane.Route{Prefix: prefix, Port: dataplane.OtherPort})
		})
		reply()
		d.expectVerdict(dataplane.NoRoute, 1)
		d.sentNothing()
	})
	t.Run("without any route", func(t *testing.T) {
		change(func(n *dataplane.Network) { n.Routes = nil })
		reply()
		d.expectVerdict(dataplane.NoRoute, 2)
	})
	t.Run("and with the old ones back", func(t *testing.T) {
		change(func(*dataplane.Network) {})
		reply()
		packettest.Check(t, d.toClients(1)[0], packettest.MACs(vipMAC, macOf(packettest.Addr("192.168.1.1"))))
	})
}

func TestAFullTransmitRingIsCounted(t *testing.T) {
	d := start(t, http)
	d.handshake(client+cport, vip+":80", rip1+":8000")
	d.dipOut[0].SetRoom(0)
	d.clientSends(ack(client+cport, vip+":80", fromVIP))
	d.expectVerdict(dataplane.TransmitFull, 1)
}

func TestTrafficIsCountedAsIPVSDoes(t *testing.T) {
	d := start(t, http)
	d.handshake(client+cport, vip+":80", rip1+":8000")
	d.realserverSends(ack(rip1+":8000", client+cport, fromRIP, packettest.Payload(make([]byte, 100))))
	d.toClients(1)
	want := dataplane.Traffic{Connections: 1, RequestPkts: 2, RequestBytes: 80, ReplyPkts: 2, ReplyBytes: 40 + 140}
	if got := d.stats().Services[0]; got.Traffic != want || got.Realservers[0].Traffic != want {
		t.Errorf("service %+v, realserver %+v, want %+v", got.Traffic, got.Realservers[0].Traffic, want)
	}
}

func TestTheTrafficOfARemovedRealserverStaysWithItsService(t *testing.T) {
	drained := make(chan struct{}, 1)
	d := start(t, http, func(o *dataplane.Options, _ *director) {
		o.Drained = func() { drained <- struct{}{} }
	})
	d.handshake(client+cport, vip+":80", rip1+":8000")
	if err := d.SetServices(services(service("tcp", vip+":80", "rr", rip2+":8000"))); err != nil {
		t.Fatal(err)
	}
	d.realserverSends(packettest.TCP(rip1+":8000", client+cport, packettest.RST, fromRIP))
	d.toClients(1)
	d.advance(11 * time.Second)
	d.settle()
	select {
	case <-drained:
	case <-time.After(10 * time.Second):
		t.Fatal("the removed realserver was not forgotten after its last connection")
	}
	service := d.stats().Services[0]
	if len(service.Realservers) != 1 || service.Realservers[0].Addr != packettest.Addr(rip2) {
		t.Errorf("realservers are %+v, want the new one alone", service.Realservers)
	}
	if service.Traffic.Connections != 1 || service.Traffic.RequestPkts != 2 {
		t.Errorf("the service's traffic is %+v, want that of the removed server", service.Traffic)
	}
	before := d.stats().Total
	if err := d.SetServices(nil); err != nil {
		t.Fatal(err)
	}
	if after := d.stats().Total; after != before || after.Connections != 1 {
		t.Errorf("the total went from %+v to %+v when the service was removed", before, after)
	}
}

func TestSeveralWorkers(t *testing.T) {
	d := start(t, services(service("tcp", vip+":80", "rr", rip1+":8000", rip2+":8000")), workers(4))
	const flows = 200
	chosen := make(map[string]int)
	for i := range flows {
		from := fmt.Sprintf("192.168.1.%d:%d", 120+i%100, 30000+i)
		d.clientSends(syn(from, vip+":80", fromVIP))
		var p packet.Packet
		p.Parse(d.toRealservers(1)[0].Data)
		realserver := fmt.Sprintf("10.1.1.%d:8000", byte(p.Destination))
		chosen[realserver]++
		d.realserverSends(synAck(realserver, from, fromRIP))
		packettest.Check(t, d.toClients(1)[0], packettest.Source(vip+":80"), packettest.Destination(from))
	}
	if chosen[rip1+":8000"] != flows/2 || chosen[rip2+":8000"] != flows/2 {
		t.Errorf("round robin over 4 workers chose %v, want half and half", chosen)
	}
	for i, w := range d.stats().Workers {
		if w.Connections == 0 {
			t.Errorf("worker %d has no connections of %d", i, flows)
		}
	}
	if n := d.verdicts()[dataplane.HandedOver]; n != 0 {
		t.Errorf("%d frames were handed over, none had to be", n)
	}
}

func TestAFrameAtTheWrongWorkerIsHandedOver(t *testing.T) {
	d := start(t, http, workers(2))
	const from = client + cport
	right := d.owner(syn(from, vip+":80"), true)
	wrong := 1 - right
	d.vip[wrong].Inject(syn(from, vip+":80", fromVIP))
	packettest.Check(t, d.toRealservers(1)[0], packettest.Destination(rip1+":8000"), packettest.ChecksumsRight())
	d.dip[wrong].Inject(synAck(rip1+":8000", from, fromRIP))
	packettest.Check(t, d.toClients(1)[0], packettest.Source(vip+":80"), packettest.ChecksumsRight())
	d.vip[right].Inject(ack(from, vip+":80", fromVIP))
	d.toRealservers(1)
	d.expectVerdict(dataplane.HandedOver, 2)
	if w := d.stats().Workers; w[right].Connections != 1 || w[wrong].Connections != 0 {
		t.Errorf("connections by worker: %d and %d, want one at worker %d", w[0].Connections, w[1].Connections, right)
	}
}

func TestPortsAreReplacedWhileConnectionsLive(t *testing.T) {
	d := start(t, http)
	d.handshake(client+cport, vip+":80", rip1+":8000")
	d.attach(context.Background(), 1) // a second set of in-memory NICs
	d.vip[1].Inject(ack(client+cport, vip+":80", fromVIP))
	packettest.Check(t, d.await(d.dipOut[1:], 1)[0], packettest.Destination(rip1+":8000"))
	if got := d.stats().Workers[0].Ports[dataplane.VIPPort].Receiver.Received; got != 3 {
		t.Errorf("the port counts %d frames received, want those of the replaced ring too: 3", got)
	}
}

func TestEverythingAfterTheEndSaysSo(t *testing.T) {
	d := start(t, http)
	d.stop()
	if _, err := d.Stats(context.Background()); err != dataplane.ErrStopped {
		t.Errorf("Stats: %v, want ErrStopped", err)
	}
	if err := d.Connections(context.Background(), func(dataplane.Connection) bool { return true }); err != dataplane.ErrStopped {
		t.Errorf("Connections: %v, want ErrStopped", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]dataplane.Options{
		"no workers":                     {Connections: 10},
		"fewer connections than workers": {Workers: 4, Connections: 3},
	} {
		if _, err := dataplane.New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
