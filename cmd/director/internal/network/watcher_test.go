package network

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"lvsnat/cmd/director/internal/nstest"
	"lvsnat/dataplane"
	"lvsnat/dataplane/packet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheBoxIsReadAtTheStart(t *testing.T) {
	box := newBox(t)
	box.Addr("lo", "192.0.2.10/32")
	w := box.watch(t)

	s := w.state()
	for port, want := range []struct{ name, addr string }{{"eth0", "192.0.2.1"}, {"eth1", "10.1.1.1"}} {
		nic := s.NICs[port]
		attrs := box.Link(want.name).Attrs()
		if nic.Name != want.name || nic.Index != attrs.Index || nic.MAC != packet.MAC(attrs.HardwareAddr) ||
			nic.MTU != attrs.MTU || !nic.Up || nic.Addr != host(want.addr) {
			t.Errorf("port %d is %+v, want %s with %s", port, nic, want.name, want.addr)
		}
		if w.network().Links[port] != nic.Link {
			t.Errorf("the dataplane's link %d is %+v, want %+v", port, w.network().Links[port], nic.Link)
		}
	}
	want := addrs("10.1.1.1", "127.0.0.1", "192.0.2.1", "192.0.2.10")
	if !slices.Equal(s.Local, want) {
		t.Errorf("the box's addresses are %v, want %v", s.Local, want)
	}
	if len(w.network().Local) != len(want) || !slices.Contains(w.network().Local, host("192.0.2.10")) {
		t.Errorf("the dataplane's are %x", w.network().Local)
	}
	w.eventuallyRoutes(t, route("192.0.2.0/24", 0, ""), route("10.1.1.0/24", 1, ""))
}

func TestThePrimaryAddressIsGlobalAndNotSecondary(t *testing.T) {
	box := nstest.New(t)
	far := nstest.New(t)
	nstest.Veth(box, "eth0", far, "far0")
	for _, a := range []*netlink.Addr{
		{IPNet: nstest.IPNet("169.254.1.1/16"), Scope: unix.RT_SCOPE_LINK},
		{IPNet: nstest.IPNet("192.0.2.1/24")},
		{IPNet: nstest.IPNet("192.0.2.2/24")},
	} {
		if err := box.AddrAdd(box.Link("eth0"), a); err != nil {
			t.Fatal(err)
		}
	}
	w := watch(t, box, "eth0")
	if got := w.state().NICs[0].Addr; got != host("192.0.2.1") {
		t.Errorf("got %x", got)
	}
}

func TestChangesOfTheBoxAreFollowed(t *testing.T) {
	box := newBox(t)
	w := box.watch(t)
	for _, step := range []struct {
		name   string
		change func()
		want   func() bool
	}{
		{"an address is added", func() { box.Addr("lo", "192.0.2.10/32") },
			func() bool { return slices.Contains(w.network().Local, host("192.0.2.10")) }},
		{"an address is removed", func() { box.DelAddr("lo", "192.0.2.10/32") },
			func() bool { return !slices.Contains(w.network().Local, host("192.0.2.10")) }},
		{"the NIC's address changes", func() { box.Addr("eth0", "198.51.100.1/24"); box.DelAddr("eth0", "192.0.2.1/24") },
			func() bool { return w.network().Links[0].Addr == host("198.51.100.1") }},
		{"the Ethernet address changes", func() { box.SetMAC("eth0", "02:00:00:00:00:77") },
			func() bool { return w.network().Links[0].MAC == packet.MAC{2, 0, 0, 0, 0, 0x77} }},
		{"the MTU changes", func() { must(t, box.LinkSetMTU(box.Link("eth1"), 9000)) },
			func() bool { return w.network().Links[1].MTU == 9000 }},
		{"the link goes down", func() { box.Down("eth1") },
			func() bool { return !w.network().Links[1].Up && !hasRoute(w.network(), "10.1.1.0/24") }},
		{"the link comes up", func() { box.Up("eth1") },
			func() bool { return w.network().Links[1].Up && hasRoute(w.network(), "10.1.1.0/24") }},
		{"the carrier is lost", func() { box.servers.Down("far1") },
			func() bool { return !w.network().Links[1].Up }},
		{"the carrier comes back", func() { box.servers.Up("far1") },
			func() bool { return w.network().Links[1].Up }},
	} {
		step.change()
		nstest.Eventually(t, step.name, step.want)
		nstest.Eventually(t, "the caller is told: "+step.name, func() bool {
			for port, nic := range w.state().NICs {
				if w.network().Links[port] != nic.Link {
					return false
				}
			}
			return len(w.state().Local) == len(w.network().Local)
		})
	}
}

func TestANICThatIsCreatedAgainIsFound(t *testing.T) {
	box := newBox(t)
	w := box.watch(t)
	before := w.state().NICs[1].Index
	box.Delete("eth1")
	nstest.Eventually(t, "it is gone", func() bool {
		return w.state().NICs[1].Index == 0 && !w.network().Links[1].Up && !hasRoute(w.network(), "10.1.1.0/24")
	})
	if w.state().NICs[0].Index == 0 {
		t.Error("the other NIC is gone, too")
	}
	nstest.Veth(box.Namespace, "eth1", box.servers, "far1")
	box.servers.Addr("far1", "10.1.1.2/24")
	box.Addr("eth1", "10.1.1.1/24")
	nstest.Eventually(t, "it is back", func() bool {
		nic := w.state().NICs[1]
		return nic.Index != 0 && nic.Index != before && nic.Addr == host("10.1.1.1") && hasRoute(w.network(), "10.1.1.0/24")
	})
	w.Resolve(neighbour2)
	w.eventuallyAnswer(t, neighbour2, box.servers.MAC("far1"))
}

// The notification of a neighbour may come before the NIC's new number is known.
func TestNeighboursOfANICThatIsCreatedAgainAreFound(t *testing.T) {
	box := newBox(t)
	w := box.open(t, "eth0", "eth1")
	w.dataplane = w
	box.Delete("eth1")
	nstest.Veth(box.Namespace, "eth1", box.servers, "far1")
	entry := &netlink.Neigh{LinkIndex: box.Link("eth1").Attrs().Index, IP: []byte{10, 1, 1, 9}, State: netlink.NUD_PERMANENT, HardwareAddr: []byte{2, 0, 0, 0, 0, 9}}
	must(t, box.NeighSet(entry))
	must(t, w.refresh(t.Context(), false, nil))
	if a, _ := w.answer(dataplane.Neighbour{Port: 1, Addr: host("10.1.1.9")}); !a.ok {
		t.Error("the neighbour is not known")
	}
}

func TestANICThatDoesNotExistYetIsWaitedFor(t *testing.T) {
	box, far := nstest.New(t), nstest.New(t)
	w := watch(t, box, "eth0")
	if w.state().NICs[0].Index != 0 {
		t.Fatal("found before it exists")
	}
	nstest.Veth(box, "eth0", far, "far0")
	nstest.Eventually(t, "it is found", func() bool { return w.state().NICs[0].Up })
}

func TestRoutesAreFollowed(t *testing.T) {
	box := newBox(t)
	third := nstest.New(t)
	nstest.Veth(box.Namespace, "eth2", third, "far2")
	box.Addr("eth2", "203.0.113.1/24")
	w := box.watch(t)
	always := []dataplane.Route{route("192.0.2.0/24", 0, ""), route("10.1.1.0/24", 1, ""), route("203.0.113.0/24", dataplane.OtherPort, "")}
	eth0, eth1, eth2 := box.Link("eth0").Attrs().Index, box.Link("eth1").Attrs().Index, box.Link("eth2").Attrs().Index
	gateway := []byte{192, 0, 2, 254}

	withMetric := route("0.0.0.0/0", 0, "192.0.2.254")
	withMetric.Metric = 50
	for _, tt := range []struct {
		name  string
		route netlink.Route
		want  dataplane.Route
	}{
		{"through a router", netlink.Route{Dst: nstest.IPNet("198.51.100.0/24"), Gw: gateway}, route("198.51.100.0/24", 0, "192.0.2.254")},
		{"the default route, with a metric", netlink.Route{Gw: gateway, Priority: 50}, withMetric},
		{"to one host, on the link", netlink.Route{Dst: nstest.IPNet("198.51.100.7/32"), LinkIndex: eth1, Scope: unix.RT_SCOPE_LINK}, route("198.51.100.7/32", 1, "")},
		{"through another NIC", netlink.Route{Dst: nstest.IPNet("198.51.100.0/24"), LinkIndex: eth2, Gw: []byte{203, 0, 113, 9}}, route("198.51.100.0/24", dataplane.OtherPort, "")},
		{"a black hole", netlink.Route{Dst: nstest.IPNet("198.51.100.0/24"), Type: unix.RTN_BLACKHOLE}, route("198.51.100.0/24", dataplane.OtherPort, "")},
		{"unreachable", netlink.Route{Dst: nstest.IPNet("198.51.100.0/24"), Type: unix.RTN_UNREACHABLE}, route("198.51.100.0/24", dataplane.OtherPort, "")},
		{"prohibited", netlink.Route{Dst: nstest.IPNet("198.51.100.0/24"), Type: unix.RTN_PROHIBIT}, route("198.51.100.0/24", dataplane.OtherPort, "")},
		{"over several paths", netlink.Route{Dst: nstest.IPNet("198.51.100.0/24"), MultiPath: []*netlink.NexthopInfo{
			{LinkIndex: eth1, Gw: []byte{10, 1, 1, 254}}, {LinkIndex: eth0, Gw: gateway},
		}}, route("198.51.100.0/24", 1, "10.1.1.254")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			must(t, box.RouteAdd(&tt.route))
			w.eventuallyRoutes(t, append(slices.Clone(always), tt.want)...)
			must(t, box.RouteDel(&tt.route))
			w.eventuallyRoutes(t, always...)
		})
	}
	t.Run("for one type of service", func(t *testing.T) {
		must(t, box.RouteAdd(&netlink.Route{Dst: nstest.IPNet("198.51.100.0/24"), Gw: gateway, Tos: 8}))
		must(t, box.RouteAdd(&netlink.Route{Dst: nstest.IPNet("198.51.100.0/25"), Gw: gateway}))
		w.eventuallyRoutes(t, append(slices.Clone(always), route("198.51.100.0/25", 0, "192.0.2.254"))...)
	})
	t.Run("in another table", func(t *testing.T) {
		must(t, box.RouteAdd(&netlink.Route{Dst: nstest.IPNet("198.18.0.0/15"), Gw: gateway, Table: 100}))
		must(t, box.RouteAdd(&netlink.Route{Dst: nstest.IPNet("198.51.100.128/25"), Gw: gateway}))
		w.eventuallyRoutes(t, append(slices.Clone(always),
			route("198.51.100.0/25", 0, "192.0.2.254"), route("198.51.100.128/25", 0, "192.0.2.254"))...)
	})
}

func TestOfSeveralPathsADeadOneIsPassedOver(t *testing.T) {
	box := newBox(t)
	w := box.watch(t)
	r := netlink.Route{Dst: nstest.IPNet("198.51.100.0/24"), MultiPath: []*netlink.NexthopInfo{
		{LinkIndex: box.Link("eth1").Attrs().Index, Gw: []byte{10, 1, 1, 254}},
		{LinkIndex: box.Link("eth0").Attrs().Index, Gw: []byte{192, 0, 2, 254}},
	}}
	must(t, box.RouteAdd(&r))
	box.servers.Down("far1")
	nstest.Eventually(t, "the second path is taken", func() bool {
		return slices.Contains(w.network().Routes, route("198.51.100.0/24", 0, "192.0.2.254"))
	})
	box.servers.Up("far1")
	nstest.Eventually(t, "the first path is taken again", func() bool {
		return slices.Contains(w.network().Routes, route("198.51.100.0/24", 1, "10.1.1.254"))
	})
}

// While the watcher is held up, more happens than its socket can keep.
func TestLostNotificationsAreMadeUpFor(t *testing.T) {
	box := newBox(t)
	w := box.open(t, "eth0", "eth1")
	must(t, w.notifications.SetReceiveBufferSize(4096, true))
	held, release := make(chan struct{}), make(chan struct{})
	w.onChange = sync.OnceFunc(func() { close(held); <-release })
	w.run(t)
	box.Addr("lo", "192.0.2.10/32")
	<-held

	entry := netlink.Neigh{LinkIndex: box.Link("eth1").Attrs().Index, State: netlink.NUD_PERMANENT}
	for i := range byte(250) {
		for version := range byte(2) {
			entry.IP, entry.HardwareAddr = []byte{10, 1, 1, i}, []byte{2, 0, 0, 0, version, i}
			must(t, box.NeighSet(&entry))
		}
	}
	must(t, box.RouteAdd(&netlink.Route{Dst: nstest.IPNet("198.51.100.0/24"), Gw: []byte{192, 0, 2, 254}}))
	close(release)

	nstest.Eventually(t, "the route is known", func() bool { return hasRoute(w.network(), "198.51.100.0/24") })
	for i := range byte(250) {
		n := dataplane.Neighbour{Port: 1, Addr: host("10.1.1.0") + uint32(i)}
		w.eventuallyAnswer(t, n, []byte{2, 0, 0, 0, 1, i})
	}
}

// What was in the socket when it overflowed is older than what is read then.
func TestAfterAnOverrunNothingOldFollows(t *testing.T) {
	box := newBox(t)
	w := box.open(t, "eth0", "eth1")
	must(t, w.notifications.SetReceiveBufferSize(4096, true))
	entry := netlink.Neigh{LinkIndex: box.Link("eth1").Attrs().Index, State: netlink.NUD_PERMANENT}
	for i := range byte(200) {
		entry.IP, entry.HardwareAddr = []byte{10, 1, 1, i}, []byte{2, 0, 0, 0, 0, i}
		must(t, box.NeighSet(&entry))
	}
	ctx, cancel := context.WithCancel(t.Context())
	events, ended := make(chan event), make(chan error)
	go func() { ended <- w.listen(ctx, events) }()
	if e := <-events; e.kind != overrun {
		t.Errorf("the first event is of kind %d, want an overrun", e.kind)
	}
	must(t, box.RouteAdd(&netlink.Route{Dst: nstest.IPNet("198.51.100.0/24"), Gw: []byte{192, 0, 2, 254}}))
	if e := <-events; e.kind != boxChanged {
		t.Errorf("the second event is of kind %d, want the route's", e.kind)
	}
	cancel()
	w.notifications.Close()
	must(t, <-ended)
}

func TestQuestionsNeverBlock(t *testing.T) {
	box := newBox(t)
	w := box.open(t, "eth0", "eth1")
	for range 3 * maxQuestions {
		w.Resolve(neighbour2) // nobody listens
	}
}

// --- the box ---

// A box is the director's machine, with 192.0.2.0/24 on eth0 and 10.1.1.0/24 on
// eth1, where a realserver is 10.1.1.2.
type box struct {
	*nstest.Namespace
	clients, servers *nstest.Namespace
}

var neighbour2 = dataplane.Neighbour{Port: 1, Addr: host("10.1.1.2")}

func newBox(t *testing.T) *box {
	t.Helper()
	b := &box{nstest.New(t), nstest.New(t), nstest.New(t)}
	for _, ns := range []*nstest.Namespace{b.Namespace, b.clients, b.servers} {
		ns.Sysctl("ipv6/conf/default/disable_ipv6", 1)
	}
	nstest.Veth(b.Namespace, "eth0", b.clients, "far0")
	nstest.Veth(b.Namespace, "eth1", b.servers, "far1")
	b.Addr("eth0", "192.0.2.1/24")
	b.Addr("eth1", "10.1.1.1/24")
	b.servers.Addr("far1", "10.1.1.2/24")
	return b
}

func (b *box) watch(t *testing.T) *watcher { t.Helper(); return watch(t, b.Namespace, "eth0", "eth1") }
func (b *box) open(t *testing.T, nics ...string) *watcher {
	t.Helper()
	return open(t, b.Namespace, nics...)
}

// A watcher runs against a dataplane that remembers what it was told.
type watcher struct {
	*Watcher
	onChange func() // called on each change of the state, when not nil

	mu        sync.Mutex
	given     *dataplane.Network               // guarded by mu
	now       State                            // guarded by mu
	neighbour map[dataplane.Neighbour]answer   // guarded by mu
	answers   map[dataplane.Neighbour][]answer // guarded by mu; all of them
}

type answer struct {
	mac packet.MAC
	ok  bool
}

func (w *watcher) SetNetwork(n *dataplane.Network) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.given = n
}

func (w *watcher) SetNeighbour(_ context.Context, n dataplane.Neighbour, mac packet.MAC, ok bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.neighbour[n] = answer{mac, ok}
	w.answers[n] = append(w.answers[n], answer{mac, ok})
	return nil
}

func watch(t *testing.T, ns *nstest.Namespace, nics ...string) *watcher {
	t.Helper()
	w := open(t, ns, nics...)
	w.run(t)
	return w
}

func open(t *testing.T, ns *nstest.Namespace, nics ...string) *watcher {
	t.Helper()
	w := &watcher{neighbour: make(map[dataplane.Neighbour]answer), answers: make(map[dataplane.Neighbour][]answer)}
	ns.Do(func() {
		var err error
		if w.Watcher, err = New(nics, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(w.Close)
	w.now = w.State()
	return w
}

func (w *watcher) run(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- w.Run(ctx, w, func(before, now State) {
			if w.onChange != nil {
				w.onChange()
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if !before.Equal(w.now) {
				t.Errorf("the state before was %v, and the last one told %v", before, w.now)
			}
			w.now = now
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the watcher ended with %v", err)
		}
	})
	nstest.Eventually(t, "the dataplane is told", func() bool { return w.network() != nil })
}

func (w *watcher) network() *dataplane.Network {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.given
}

func (w *watcher) state() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *watcher) answer(n dataplane.Neighbour) (answer, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, ok := w.neighbour[n]
	return a, ok
}

func (w *watcher) eventuallyAnswer(t *testing.T, n dataplane.Neighbour, mac []byte) {
	t.Helper()
	nstest.Eventually(t, "the neighbour's address is told", func() bool {
		a, _ := w.answer(n)
		return a == answer{packet.MAC(mac), true}
	})
}

func (w *watcher) eventuallyRoutes(t *testing.T, want ...dataplane.Route) {
	t.Helper()
	order := func(a, b dataplane.Route) int {
		return slices.Compare([]byte(a.Prefix.String()), []byte(b.Prefix.String()))
	}
	slices.SortFunc(want, order)
	var got []dataplane.Route
	defer func() {
		if t.Failed() {
			t.Logf("routes are %v, want %v", got, want)
		}
	}()
	nstest.Eventually(t, "the routes are known", func() bool {
		got = slices.Clone(w.network().Routes)
		slices.SortFunc(got, order)
		return slices.Equal(got, want)
	})
}

func route(prefix string, port int, gateway string) dataplane.Route {
	r := dataplane.Route{Prefix: netip.MustParsePrefix(prefix), Port: port}
	if gateway != "" {
		r.Gateway = host(gateway)
	}
	return r
}

func hasRoute(n *dataplane.Network, prefix string) bool {
	return slices.ContainsFunc(n.Routes, func(r dataplane.Route) bool { return r.Prefix == netip.MustParsePrefix(prefix) })
}

func host(addr string) uint32 { return hostOrder(netip.MustParseAddr(addr)) }

func addrs(list ...string) (all []netip.Addr) {
	for _, a := range list {
		all = append(all, netip.MustParseAddr(a))
	}
	return all
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
