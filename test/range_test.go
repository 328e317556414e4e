package test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

func TestAPortRangeReachesTheSamePortsOfItsRealservers(t *testing.T) {
	for _, place := range []lab.VIPPlace{lab.VIPNowhere, lab.VIPOnNIC} {
		t.Run("VIP "+place.String(), func(t *testing.T) {
			// With the VIP its own and forwarding on, a kernel that is not kept
			// out would reset requests and forward replies.
			top := labtest.Build(t, lab.Options{Realservers: 2, VIPOn: place, Forward: place == lab.VIPOnNIC})
			ports := []string{":5000", ":5500", ":5999"}
			for _, port := range append(ports, ":4999", ":6000") {
				serveNames(t, top, port)
			}
			d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(lab.Service{
				Address: "192.168.1.110:5000-5999", Scheduler: "rr", Realservers: lab.Realservers(rips(top, 0)...),
			})})
			for _, port := range ports {
				sameCounts(t, getMany(t, top.Client, "192.168.1.110"+port, 4), map[string]int{"real1": 2, "real2": 2})
			}
			sameCounts(t, connectionsByRealserver(t, d), map[string]int{
				"10.1.1.2:5000": 2, "10.1.1.3:5000": 2, "10.1.1.2:5500": 2, "10.1.1.3:5500": 2, "10.1.1.2:5999": 2, "10.1.1.3:5999": 2,
			})
			for _, port := range []string{":4999", ":6000", ":5001"} {
				if _, err := top.Client.DialContext(labtest.Context(t), "tcp4", "192.168.1.110"+port); !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("port %s: %v, want a refusal", port, err)
				}
			}
			if services := d.Ask("services"); !strings.Contains(services, "192.168.1.110:5000-5999") || strings.Count(services, "10.1.1.") != 2 {
				t.Errorf("the services have not one set of realservers:\n%s", services)
			}
		})
	}
}

func TestAPortRangeOfUDPAndOneThatIsMapped(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 1})
	labtest.Must(t, top.Realservers[0].ServeUDP(":5001"))
	labtest.Must(t, top.Realservers[0].ServeUDP(":7"))
	labtest.StartDirector(t, top, labtest.Start{Config: top.Config(
		lab.Service{Address: "192.168.1.110:5000-5999", Protocol: "udp", Realservers: lab.Realservers("10.1.1.2")},
		lab.Service{Address: "192.168.1.110:6000-6999", Protocol: "udp", Realservers: lab.Realservers("10.1.1.2:7")},
	)})
	// The client takes answers from nobody but the port it asked.
	for _, port := range []string{":5001", ":6001", ":6002"} {
		c, err := top.Client.DialContext(labtest.Context(t), "udp4", "192.168.1.110"+port)
		labtest.Must(t, err)
		defer c.Close()
		if got := ask(t, c, "hello"); !strings.HasSuffix(got, "hello") {
			t.Errorf("port %s answers %q", port, got)
		}
	}
}

// arpOf is who a lab's client takes for the host of an address.
func arpOf(t *testing.T, top *lab.Topology, addr netip.Addr) string {
	t.Helper()
	labtest.Run(t, top.Client, "ping", "-n", "-c", "1", "-W", "5", addr.String())
	mac, err := top.Client.Neighbour("eth0", addr)
	labtest.Must(t, err)
	return mac.String()
}

func TestEveryAddressOfARangeAnswersAndServes(t *testing.T) {
	vips := netip.MustParsePrefix("192.168.1.104/29") // holds lab.VIP
	for _, place := range []lab.VIPPlace{lab.VIPNowhere, lab.VIPOnNIC} {
		t.Run("one VIP "+place.String(), func(t *testing.T) {
			top := labtest.Build(t, lab.Options{Realservers: 2, VIPOn: place})
			serveNames(t, top, ":80")
			labtest.Must(t, top.Director.ServeName(":22"))
			wire := labtest.Capture(t, top.Client, "eth0")
			d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(lab.Service{
				Address: vips.String() + ":80", Scheduler: "rr", Realservers: lab.Realservers(rips(top, 0)...),
			})})
			director := lab.MACOf(lab.DirectorIP).String()
			for addr := vips.Addr(); vips.Contains(addr); addr = addr.Next() {
				owned := place == lab.VIPOnNIC && addr == lab.VIP
				if !owned {
					labtest.WaitPacket(t, wire, func(p labtest.Packet) bool {
						return p.ARP != nil && claims(p.ARP, addr) && net.HardwareAddr(p.ARP.SourceHwAddress).String() == director
					})
				}
				if mac := arpOf(t, top, addr); mac != director {
					t.Errorf("%v is at %s, want the VIP NIC's %s", addr, mac, director)
				}
				sameCounts(t, getMany(t, top.Client, addr.String()+":80", 2), map[string]int{"real1": 1, "real2": 1})
				// Another port is the kernel's where the kernel owns the
				// address, and refused by the director elsewhere.
				_, err := top.Client.DialContext(labtest.Context(t), "tcp4", addr.String()+":22")
				if owned && err != nil || !owned && !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("%v:22: %v", addr, err)
				}
			}
			answers := make(map[string]string)
			for _, v := range status(t, d).VIPs {
				answers[v.Address] = v.ARP
			}
			want := map[string]string{vips.String(): "director"}
			if place == lab.VIPOnNIC {
				want[lab.VIP.String()] = "kernel"
			}
			if fmt.Sprint(answers) != fmt.Sprint(want) {
				t.Errorf("who answers ARP: %v, want %v", answers, want)
			}
		})
	}
}

func TestAConnectionOutlivesEveryChangeOfItsRange(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 2})
	for _, rs := range top.Realservers {
		labtest.Must(t, rs.ServeTCP(":5500", lab.Echo))
	}
	service := func(address, realserver string) lab.DirectorConfig {
		return top.Config(lab.Service{Address: address, Realservers: lab.Realservers(realserver)})
	}
	d := labtest.StartDirector(t, top, labtest.Start{Config: service("192.168.1.110:5000-5999", "10.1.1.2")})
	c := talk{dial(t, top.Client, "192.168.1.110:5500"), t}
	c.say("first")
	for _, change := range []struct {
		what   string
		config lab.DirectorConfig
	}{
		{"a wider range", service("192.168.1.110:5000-6999", "10.1.1.2")},
		{"a range beside it", service("192.168.1.110:6000-6999", "10.1.1.2")},
		{"addresses around it", service("192.168.1.96/28:5000-5999", "10.1.1.3")},
		{"addresses elsewhere", service("192.168.1.112/28:5000-5999", "10.1.1.3")},
		{"its port alone", service("192.168.1.110:5500", "10.1.1.3")},
		{"nothing", top.Config()},
		{"its range again", service("192.168.1.110:5000-5999", "10.1.1.2")},
	} {
		d.Apply(change.config)
		c.say(change.what)
	}
	sameCounts(t, connectionsByRealserver(t, d), map[string]int{"10.1.1.2:5500": 1})
	for _, l := range []struct {
		config lab.DirectorConfig
		real   string
	}{{service("192.168.1.110:5000-6999", "10.1.1.3"), "10.1.1.3:5500"}, {service("192.168.1.96/28:5500", "10.1.1.2"), "10.1.1.2:5500"}} {
		d.Apply(l.config)
		before := connectionsByRealserver(t, d)[l.real]
		talk{dial(t, top.Client, "192.168.1.110:5500"), t}.say("new")
		if after := connectionsByRealserver(t, d)[l.real]; after != before+1 {
			t.Errorf("a new connection did not go to %s of the changed range", l.real)
		}
	}
}

func TestRangesByIpvsadmAreSavedAndRestored(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 2})
	serveNames(t, top, ":5500")
	serveNames(t, top, ":8000")
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config()})
	for _, line := range []string{
		"-A -t 192.168.1.110:5000-5999 -s rr", "-a -t 192.168.1.110:5000-5999 -r 10.1.1.2", "-a -t 192.168.1.110:5000-5999 -r 10.1.1.3",
		"-A -t 192.168.1.96/28:80 -s rr -p 300", "-a -t 192.168.1.96/28:80 -r 10.1.1.2:8000", "-a -t 192.168.1.96/28:80 -r 10.1.1.3:8000",
	} {
		ipvsadm(d, line)
	}
	sameCounts(t, getMany(t, top.Client, "192.168.1.110:5500", 4), map[string]int{"real1": 2, "real2": 2})
	met := make(map[string]int)
	for _, addr := range []string{"192.168.1.96", "192.168.1.100", "192.168.1.111"} {
		met[get(t, top.Client, addr)]++
	}
	if len(met) != 1 {
		t.Errorf("a client of a persistent range has met %v", met)
	}
	rules := ipvsadm(d, "-S -n")
	saved := filepath.Join(t.TempDir(), "director.yaml")
	labtest.Must(t, os.WriteFile(saved, []byte(d.Ask("save")), 0o644))
	d.Ask("check", "-c", saved)
	if imported := d.Ask("import", writeRules(t, rules)); !strings.Contains(imported, "192.168.1.96/28:80") {
		t.Errorf("imported:\n%s", imported)
	}
	text, err := os.ReadFile(saved)
	labtest.Must(t, err)
	ipvsadm(d, "-C")
	labtest.Must(t, d.Reload(labtest.Context(t), string(text)))
	if again := ipvsadm(d, "-S -n"); again != rules {
		t.Errorf("saved and loaded:\n%s\nwant\n%s", again, rules)
	}
	sameCounts(t, getMany(t, top.Client, "192.168.1.110:5500", 4), map[string]int{"real1": 2, "real2": 2})
}

func writeRules(t *testing.T, rules string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules")
	labtest.Must(t, os.WriteFile(path, []byte(rules), 0o644))
	return path
}
