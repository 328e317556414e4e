package test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/gopacket/layers"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

// TestTheKernelIsKeptOut carries traffic with every setting that makes the
// director's kernel handle packets by itself: whether it owns the VIP, whether
// it forwards, filters by source address, and sends redirects.
func TestTheKernelIsKeptOut(t *testing.T) {
	for _, oneNIC := range []bool{false, true} {
		for _, place := range []lab.VIPPlace{lab.VIPNowhere, lab.VIPOnNIC, lab.VIPLoopback} {
			t.Run(fmt.Sprintf("VIP %v, one NIC %v", place, oneNIC), func(t *testing.T) {
				top := labtest.Build(t, lab.Options{Realservers: 2, VIPOn: place, OneNIC: oneNIC})
				serveNames(t, top, ":8000")
				for _, rs := range top.Realservers {
					labtest.Must(t, rs.ServeUDP(":7"))
				}
				labtest.StartDirector(t, top, labtest.Start{Config: top.Config(
					lab.Service{Address: "192.168.1.110:80", Scheduler: "rr", Realservers: lab.Realservers(rips(top, 8000)...)},
					lab.Service{Address: "192.168.1.110:7", Protocol: "udp", Scheduler: "rr", Realservers: lab.Realservers(rips(top, 0)...)},
				)})
				for _, settings := range kernelSettings() {
					for key, value := range settings {
						labtest.Must(t, top.Director.Sysctl(key, value))
					}
					if !carries(t, top) {
						t.Fatalf("with %v", settings)
					}
				}
			})
		}
	}
}

// kernelSettings are all combinations of ip_forward, rp_filter and
// send_redirects.
func kernelSettings() (list []map[string]string) {
	for _, forward := range []string{"0", "1"} {
		for _, filter := range []string{"0", "1", "2"} {
			for _, redirects := range []string{"0", "1"} {
				list = append(list, map[string]string{
					"net.ipv4.ip_forward":               forward,
					"net.ipv4.conf.all.rp_filter":       filter,
					"net.ipv4.conf.all.send_redirects":  redirects,
					"net.ipv4.conf.eth0.send_redirects": redirects,
				})
			}
		}
	}
	return list
}

// carries sends TCP and UDP through the director and reports whether nothing
// of the kernel's was seen on the wires.
func carries(t *testing.T, top *lab.Topology) bool {
	t.Helper()
	wires := []wire{{name: "client", capture: capture(t, top.Client)}}
	for _, rs := range top.Realservers {
		wires = append(wires, wire{name: rs.Name, capture: capture(t, rs)})
	}
	for range top.Realservers {
		getMany(t, top.Client, "192.168.1.110:80", 1)
		c, err := top.Client.DialContext(labtest.Context(t), "udp4", "192.168.1.110:7")
		labtest.Must(t, err)
		ask(t, c, "hello")
		c.Close()
	}
	ok := true
	for _, w := range wires {
		frames, err := w.capture.Stop()
		labtest.Must(t, err)
		for _, f := range frames {
			if p := labtest.Decode(f); !w.expects(p) {
				t.Errorf("%s: %v", w.name, p)
				ok = false
			}
		}
	}
	return ok
}

func capture(t *testing.T, h *lab.Host) *lab.Capture {
	t.Helper()
	c, err := h.Capture("eth0")
	labtest.Must(t, err)
	return c
}

type wire struct {
	name    string
	capture *lab.Capture
}

var realNet = netip.MustParsePrefix("10.1.1.0/24")

// expects reports whether a packet may be on the wire: no reset, no ICMP, on
// the client's side nothing of the realservers' network, and on their side
// nothing of the VIP's.
func (w wire) expects(p labtest.Packet) bool {
	switch {
	case p.IP == nil:
		return p.ARP != nil
	case p.TCP != nil && p.TCP.RST:
		return false
	case p.IP.Protocol == layers.IPProtocolICMPv4:
		return false
	case w.name == "client":
		return !realNet.Contains(p.Src()) && !realNet.Contains(p.Dst())
	default:
		return p.Src() != lab.VIP && p.Dst() != lab.VIP
	}
}

func TestTheDirectorsOwnAddressesArePassedBy(t *testing.T) {
	for _, place := range []lab.VIPPlace{lab.VIPNowhere, lab.VIPOnNIC} {
		t.Run("VIP "+place.String(), func(t *testing.T) {
			top := labtest.Build(t, lab.Options{Realservers: 1, VIPOn: place, Forward: true})
			serveNames(t, top, ":80")
			// Stands for sshd and for any other server of the box.
			labtest.Must(t, top.Director.ServeTCP(":22", lab.Echo))
			labtest.StartDirector(t, top, labtest.Start{Config: top.Config(web(top, "rr"))})
			addresses := []string{"192.168.1.9:22"}
			if place == lab.VIPOnNIC {
				addresses = append(addresses, "192.168.1.110:22")
			}
			for _, address := range addresses {
				talk{dial(t, top.Client, address), t}.say("to the director itself")
			}
			talk{dial(t, top.Realservers[0], "10.1.1.1:22"), t}.say("from a realserver")
			// A health check comes from the director, to a service's own port.
			if got := get(t, top.Director, "10.1.1.2"); got != "real1" {
				t.Errorf("the director's own request was answered %q", got)
			}
			if got := get(t, top.Client, "192.168.1.110"); got != "real1" {
				t.Errorf("a request through the director was answered %q", got)
			}
			labtest.Run(t, top.Client, "ping", "-n", "-c", "1", "-W", "5", "192.168.1.9")
		})
	}
}

func TestTrafficThatIsNotTheDirectorsIsRoutedByTheKernel(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 1, Forward: true})
	serveNames(t, top, ":80")
	labtest.Must(t, top.Realservers[0].ServeTCP(":7", lab.Echo))
	labtest.Must(t, top.Realservers[0].ServeUDP(":7"))
	labtest.Must(t, top.Client.AddRoute(lab.Route{To: realNet, Via: lab.DirectorIP}))
	labtest.StartDirector(t, top, labtest.Start{Config: top.Config(web(top, "rr"))})
	talk{dial(t, top.Client, "10.1.1.2:7"), t}.say("routed, not balanced")
	c, err := top.Client.DialContext(labtest.Context(t), "udp4", "10.1.1.2:7")
	labtest.Must(t, err)
	defer c.Close()
	if got, want := ask(t, c, "routed"), "real1 routed"; got != want {
		t.Errorf("answer %q, want %q", got, want)
	}
	labtest.Run(t, top.Client, "ping", "-n", "-c", "1", "-W", "5", "10.1.1.2")
	labtest.Run(t, top.Realservers[0], "ping", "-n", "-c", "1", "-W", "5", "192.168.1.254")
}

// Under IPVS a client may also talk to a realserver by its own address, at the
// port of a service, with the director as its router.
func TestARealserversServicePortMayBeReachedDirectly(t *testing.T) {
	for _, oneNIC := range []bool{false, true} {
		t.Run(fmt.Sprintf("one NIC %v", oneNIC), func(t *testing.T) {
			top := labtest.Build(t, lab.Options{Realservers: 2, Forward: true, OneNIC: oneNIC})
			serveNames(t, top, ":80")
			for _, rs := range top.Realservers {
				labtest.Must(t, rs.ServeUDP(":7"))
			}
			labtest.Must(t, top.Client.AddRoute(lab.Route{To: realNet, Via: lab.DirectorIP}))
			labtest.StartDirector(t, top, labtest.Start{Config: top.Config(web(top, "rr"),
				lab.Service{Address: "192.168.1.110:7", Protocol: "udp", Scheduler: "rr", Realservers: lab.Realservers(rips(top, 0)...)})})
			for i, rs := range top.Realservers {
				rip := lab.RIP(i).String()
				if got := get(t, top.Client, rip); got != rs.Name {
					t.Errorf("%s:80 was answered by %q, want %s", rip, got, rs.Name)
				}
				c, err := top.Client.DialContext(labtest.Context(t), "udp4", rip+":7")
				labtest.Must(t, err)
				defer c.Close()
				if got, want := ask(t, c, "hello"), rs.Name+" hello"; got != want {
					t.Errorf("%s:7 answered %q, want %q", rip, got, want)
				}
			}
			for _, rs := range top.Realservers {
				labtest.Eventually(t, "no more is said directly to "+rs.Name, func() bool {
					return labtest.Run(t, rs, "ss", "-Htn", "state", "connected", "exclude", "time-wait") == ""
				})
			}
			if !carries(t, top) {
				t.Error("what goes through the director is no longer clean")
			}
		})
	}
}

func TestAVIPMayBecomeTheKernelsAndCeaseToBe(t *testing.T) {
	l := startLive(t, lab.Options{Realservers: 1})
	vip := netip.PrefixFrom(lab.VIP, 24)
	answersARP := func(who string) {
		t.Helper()
		labtest.Eventually(t, "the "+who+" answers ARP for the VIP", func() bool { return status(t, l.director).VIPs[0].ARP == who })
		labtest.Must(t, l.Client.ForgetNeighbour("eth0", lab.VIP))
		l.goesOn(t)
	}
	for range 2 {
		answersARP("director")
		labtest.Must(t, l.Topology.Director.AddAddress("eth0", vip))
		answersARP("kernel")
		labtest.Must(t, l.Topology.Director.RemoveAddress("eth0", vip))
	}
	answersARP("director")
}

func TestAGuardThatSomebodyElseRemovedIsPutBack(t *testing.T) {
	l := startLive(t, lab.Options{Realservers: 1, VIPOn: lab.VIPOnNIC})
	l.director.Allow("guard")
	labtest.Run(t, l.Topology.Director, "nft", "flush", "ruleset")
	labtest.Eventually(t, "the guard is back", func() bool { return nftTables(t, l.Topology.Director) != "" })
	l.goesOn(t)
}

// TestWithoutTheGuardTheKernelInterferes is the control of the tests above:
// what they look for is there when the guard is not.
func TestWithoutTheGuardTheKernelInterferes(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 1, VIPOn: lab.VIPOnNIC})
	serveNames(t, top, ":80")
	config := top.Config(web(top, "rr"))
	config.Guard = "none"
	d := labtest.StartDirector(t, top, labtest.Start{Config: config})
	d.Allow("guard")
	if g := status(t, d).Guard; g.Active || g.Mode != "none" {
		t.Errorf("guard %+v, want none", g)
	}
	wires := labtest.Capture(t, top.Client, "eth0")
	conn, err := top.Client.DialContext(labtest.Context(t), "tcp4", "192.168.1.110:80")
	if err == nil {
		conn.Close()
	}
	labtest.WaitPacket(t, wires, func(p labtest.Packet) bool { return p.TCP != nil && p.TCP.RST && !p.Sent })
}
