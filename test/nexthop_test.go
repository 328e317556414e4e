package test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

// live is a topology with a director, an echo server on the first realserver
// and a connection through it.
type live struct {
	*lab.Topology
	director *labtest.Director
	talk     talk
}

func startLive(t *testing.T, o lab.Options) live {
	t.Helper()
	return goLive(t, labtest.Build(t, o))
}

// goLive is startLive in a topology that is there already.
func goLive(t *testing.T, top *lab.Topology) live {
	t.Helper()
	labtest.Must(t, top.Realservers[0].ServeTCP(":7", lab.Echo))
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(
		lab.Service{Address: "192.168.1.110:7", Realservers: lab.Realservers("10.1.1.2")},
	)})
	l := live{top, d, talk{dial(t, top.Client, "192.168.1.110:7"), t}}
	l.talk.say("hello")
	return l
}

// goesOn checks that the old connection goes on and that a new one works.
func (l live) goesOn(t *testing.T) {
	t.Helper()
	l.talk.say("still here")
	talk{dial(t, l.Client, "192.168.1.110:7"), t}.say("new here")
}

var otherMAC = net.HardwareAddr{2, 0, 0xde, 0xad, 0, 1}

func TestARouterMayStandInFront(t *testing.T) {
	l := startLive(t, lab.Options{Router: true, Realservers: 1})
	l.goesOn(t)
	if got := connections(t, l.director)[0].Client; netip.MustParseAddrPort(got).Addr() != l.ClientIP(0) {
		t.Errorf("the client is %s, want %s", got, l.ClientIP(0))
	}
}

func TestAVIPMayBeRoutedToTheDirector(t *testing.T) {
	vip := netip.MustParseAddr("203.0.113.10") // of no network on any link
	top := labtest.Build(t, lab.Options{Router: true, Realservers: 1})
	labtest.Must(t, top.Router.AddRoute(lab.Route{To: netip.PrefixFrom(vip, 32), Via: lab.DirectorIP}))
	serveNames(t, top, ":80")
	labtest.StartDirector(t, top, labtest.Start{Config: top.Config(
		lab.Service{Address: vip.String() + ":80", Realservers: lab.Realservers("10.1.1.2")},
	)})
	if got := get(t, top.Client, vip.String()); got != "real1" {
		t.Errorf("answered by %q", got)
	}
}

func TestARealserverMayStandBehindAGateway(t *testing.T) {
	far := netip.MustParsePrefix("10.9.9.9/32")
	top := labtest.Build(t, lab.Options{Realservers: 1})
	labtest.Must(t, top.Realservers[0].AddAddress("lo", far))
	labtest.Must(t, top.Director.AddRoute(lab.Route{To: far, Via: lab.RIP(0)}))
	labtest.Must(t, top.Realservers[0].ServeName(far.Addr().String()+":80"))
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(
		lab.Service{Address: "192.168.1.110:80", Realservers: lab.Realservers(far.Addr().String())},
	)})
	if got := get(t, top.Client, "192.168.1.110"); got != "real1" {
		t.Errorf("answered by %q", got)
	}
	sameCounts(t, connectionsByRealserver(t, d), map[string]int{"10.9.9.9:80": 1})
}

func TestTheDirectorsOwnLinkAddressMayChange(t *testing.T) {
	for _, nic := range []string{"eth0", "eth1"} {
		t.Run(nic, func(t *testing.T) {
			l := startLive(t, lab.Options{Realservers: 1})
			l.director.Allow(nic)
			labtest.Must(t, l.Topology.Director.SetMAC(nic, otherMAC))
			if nic == "eth1" {
				// DIP is the kernel's to announce, which it does by asking.
				claim(t, l.Topology.Director, nic, lab.DIP)
			}
			l.goesOn(t)
		})
	}
}

func TestTheGatewaysLinkAddressMayChange(t *testing.T) {
	l := startLive(t, lab.Options{Router: true, Realservers: 1})
	labtest.Must(t, l.Router.SetMAC("eth1", otherMAC))
	// A router that takes over announces itself, as VRRP does.
	claim(t, l.Router, "eth1", lab.CIP)
	l.goesOn(t)
}

func TestARealserversLinkAddressMayChangeWithoutAWord(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 2})
	// Nobody tells the director, which has to find out: the kernel verifies a
	// neighbour that is in use after 15 to 45 s (base_reachable_time_ms) plus
	// 5 s (delay_first_probe_time), shortened here.
	for key, value := range map[string]string{"base_reachable_time_ms": "500", "delay_first_probe_time": "1", "retrans_time_ms": "200"} {
		labtest.Must(t, top.Director.Sysctl("net.ipv4.neigh.eth1."+key, value))
	}
	l := goLive(t, top)
	labtest.Must(t, l.Realservers[0].SetMAC("eth0", otherMAC))
	// New attempts at short intervals, because TCP tries again ever more
	// slowly.
	labtest.Eventually(t, "new connections are carried", func() bool {
		c, err := l.Client.DialContext(shortly(t), "tcp4", "192.168.1.110:7")
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
	l.goesOn(t)
}

func TestARouteMayGoAwayAndComeBack(t *testing.T) {
	l := startLive(t, lab.Options{Router: true, Realservers: 1})
	gateway := lab.Route{To: lab.Default, Via: lab.CIP}
	labtest.Must(t, l.Topology.Director.RemoveRoute(gateway))
	// Probes, not the talk's bytes: TCP's own timer would then decide when
	// the connection goes on.
	labtest.Eventually(t, "replies without a route are counted", func() bool {
		_, err := l.Client.DialContext(shortly(t), "tcp4", "192.168.1.110:7")
		return err != nil && status(t, l.director).Packets["no_route"] > 0
	})
	labtest.Must(t, l.Topology.Director.AddRoute(gateway))
	l.goesOn(t)
}

func TestALinkMayGoDownAndUp(t *testing.T) {
	for _, nic := range []string{"eth0", "eth1"} {
		t.Run(nic, func(t *testing.T) {
			l := startLive(t, lab.Options{Realservers: 2})
			l.director.Allow(nic)
			labtest.Must(t, l.Topology.Director.SetUp(nic, false))
			labtest.Eventually(t, "the status says that the link is down", func() bool { return !linkUp(t, l.director, nic) })
			labtest.Must(t, l.Topology.Director.SetUp(nic, true))
			labtest.Eventually(t, "the status says that the link is up", func() bool { return linkUp(t, l.director, nic) })
			l.goesOn(t)
		})
	}
}

func linkUp(t *testing.T, d *labtest.Director, nic string) bool {
	t.Helper()
	for _, n := range status(t, d).NICs {
		if n.Name == nic {
			return n.Up
		}
	}
	return false
}

func TestANICMayBeDeletedAndMadeAgain(t *testing.T) {
	for _, workers := range []int{1, 2} {
		for _, nic := range []string{"eth0", "eth1"} {
			t.Run(fmt.Sprintf("%s workers=%d", nic, workers), func(t *testing.T) {
				deleteAndMakeAgain(t, nic, workers)
			})
		}
	}
}

func deleteAndMakeAgain(t *testing.T, nic string, workers int) {
	top := labtest.Build(t, lab.Options{Realservers: 1})
	labtest.Must(t, top.Realservers[0].ServeTCP(":7", lab.Echo))
	config := top.Config(lab.Service{Address: "192.168.1.110:7", Realservers: lab.Realservers("10.1.1.2")})
	config.Workers = workers
	d := labtest.StartDirector(t, top, labtest.Start{Config: config})
	d.Allow(nic)
	old := talk{dial(t, top.Client, "192.168.1.110:7"), t}
	old.say("hello")
	// The cable's other end goes too, and with it that host's address.
	labtest.Must(t, top.Director.RemoveNIC(nic))
	labtest.Must(t, remake(top, nic))
	labtest.Eventually(t, "new connections are carried", func() bool {
		c, err := top.Client.DialContext(shortly(t), "tcp4", "192.168.1.110:7")
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
	old.say("the old connection goes on")
}

// remake makes a NIC of the director again, with its cable and addresses.
func remake(top *lab.Topology, nic string) error {
	near := lab.End{Host: top.Director, NIC: nic}
	if nic == top.VIPNIC {
		far := lab.End{Host: top.Client, NIC: "eth0", MAC: lab.MACOf(lab.CIP)}
		if err := lab.Connect(near, far); err != nil {
			return err
		}
		if err := top.Client.AddAddress("eth0", netip.PrefixFrom(lab.CIP, 24)); err != nil {
			return err
		}
		return top.Director.AddAddress(nic, netip.PrefixFrom(lab.DirectorIP, 24))
	}
	far := lab.End{Host: top.Realservers[0], NIC: "eth0", MAC: lab.MACOf(lab.RIP(0))}
	if err := lab.Connect(near, far); err != nil {
		return err
	}
	if err := top.Realservers[0].AddAddress("eth0", netip.PrefixFrom(lab.RIP(0), 24)); err != nil {
		return err
	}
	if err := top.Realservers[0].AddRoute(lab.Route{To: lab.Default, Via: lab.DIP}); err != nil {
		return err
	}
	return top.Director.AddAddress(nic, netip.PrefixFrom(lab.DIP, 24))
}

func TestFramesWaitForANeighbourThatIsNotResolvedYet(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 1})
	labtest.Must(t, top.Realservers[0].ServeUDP(":7"))
	service := func(port, realserver string) lab.Service {
		return lab.Service{Address: "192.168.1.110:" + port, Protocol: "udp", Realservers: lab.Realservers(realserver)}
	}
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(service("7", "10.1.1.2"), service("8", "10.1.1.77"))})
	// The first datagram of all is answered, although nobody has asked for the
	// realserver's link address before.
	alive, err := top.Client.DialContext(labtest.Context(t), "udp4", "192.168.1.110:7")
	labtest.Must(t, err)
	defer alive.Close()
	ask(t, alive, "hello")
	queued := status(t, d).Packets["queued"]
	if queued == 0 {
		t.Error("no frame was queued")
	}
	// This realserver does not exist.
	dead, err := top.Client.DialContext(labtest.Context(t), "udp4", "192.168.1.110:8")
	labtest.Must(t, err)
	defer dead.Close()
	labtest.Eventually(t, "a realserver that does not answer is counted", func() bool {
		_, err := dead.Write([]byte("hello"))
		labtest.Must(t, err)
		packets := status(t, d).Packets
		return packets["neighbour_failed"] > 0 && packets["queued"] > queued
	})
	ask(t, alive, "hello again")
}

// The first datagram of all may be as large as the link allows.
func TestAJumboDatagramWaitsForANeighbourToo(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 1, MTU: 9000})
	labtest.Must(t, top.Realservers[0].ServeUDP(":7"))
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(
		lab.Service{Address: "192.168.1.110:7", Protocol: "udp", Realservers: lab.Realservers("10.1.1.2")},
	)})
	c, err := top.Client.DialContext(labtest.Context(t), "udp4", "192.168.1.110:7")
	labtest.Must(t, err)
	defer c.Close()
	words := strings.Repeat("x", 9000-28-len("real1 "))
	if got, want := ask(t, c, words), "real1 "+words; got != want {
		t.Errorf("answered by %d bytes, want %d", len(got), len(want))
	}
	if status(t, d).Packets["queued"] == 0 {
		t.Error("no frame was queued")
	}
}
