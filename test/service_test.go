package test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

func TestCurlMeetsGoServersInRoundRobinOrder(t *testing.T) {
	top := labtest.Build(t, lab.Options{})
	serveNames(t, top, ":80")
	labtest.StartDirector(t, top, labtest.Start{Config: top.Config(web(top, "rr"))})
	var got []string
	for range 6 {
		got = append(got, get(t, top.Client, "192.168.1.110"))
	}
	// The kernel's rr starts anywhere; the order is what counts.
	if !slices.Equal(got[:3], got[3:]) || len(slices.Compact(slices.Sorted(slices.Values(got)))) != 3 {
		t.Errorf("realservers in the order %v, want each of three in turn", got)
	}
}

func TestCurlMeetsNginxThroughARemappedPort(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 2})
	for _, rs := range top.Realservers {
		startNginx(t, rs, 8000)
	}
	service := lab.Service{Address: "192.168.1.110:80", Scheduler: "rr", Realservers: lab.Realservers(rips(top, 8000)...)}
	labtest.StartDirector(t, top, labtest.Start{Config: top.Config(service)})
	counts := make(map[string]int)
	for range 4 {
		counts[get(t, top.Client, "192.168.1.110")]++
	}
	sameCounts(t, counts, map[string]int{"real1": 2, "real2": 2})
}

// startNginx starts an nginx that answers with the host's name.
func startNginx(t *testing.T, h *lab.Host, port int) {
	t.Helper()
	dir := t.TempDir()
	// One process: a worker would outlive a master that is killed.
	config := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	server { listen %[2]d; location / { return 200 "%[3]s\n"; } }
}
`, dir, port, h.Name)
	file := filepath.Join(dir, "nginx.conf")
	labtest.Must(t, os.WriteFile(file, []byte(config), 0o644))
	p, err := h.Start(lab.Command{Path: "nginx", Args: []string{"-p", dir, "-c", file}})
	labtest.Must(t, err)
	waitForPort(t, h, p, port)
}

// waitForPort waits until a program listens on a TCP port of its host.
func waitForPort(t *testing.T, h *lab.Host, p *lab.Process, port int) {
	t.Helper()
	labtest.Eventually(t, p.String()+" listens", func() bool {
		select {
		case <-p.Done():
			t.Fatalf("%s has ended: %s", p, p.Stderr())
		default:
		}
		c, err := h.DialContext(labtest.Context(t), "tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

func TestWLCFollowsTheWeights(t *testing.T) {
	top := labtest.Build(t, lab.Options{})
	for _, rs := range top.Realservers {
		labtest.Must(t, rs.ServeTCP(":7", lab.Echo))
	}
	service := lab.Service{Address: "192.168.1.110:7", Scheduler: "wlc", Realservers: []lab.Realserver{
		{Address: "10.1.1.2", Weight: 1}, {Address: "10.1.1.3", Weight: 2}, {Address: "10.1.1.4", Weight: 3},
	}}
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(service)})
	// Held connections stay active, so that 60 of them are shared out 1:2:3.
	for i := range 60 {
		talk{dial(t, top.Client, "192.168.1.110:7"), t}.say(fmt.Sprint("hello ", i))
	}
	sameCounts(t, connectionsByRealserver(t, d), map[string]int{"10.1.1.2:7": 10, "10.1.1.3:7": 20, "10.1.1.4:7": 30})
}

func TestWeightZeroGetsNoNewConnectionAndKeepsTheOldOnes(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 2})
	for _, rs := range top.Realservers {
		labtest.Must(t, rs.ServeTCP(":7", lab.Echo))
	}
	config := func(weight int) lab.DirectorConfig {
		return top.Config(lab.Service{Address: "192.168.1.110:7", Scheduler: "rr", Realservers: []lab.Realserver{
			{Address: "10.1.1.2", Weight: 1}, {Address: "10.1.1.3", Weight: weight},
		}})
	}
	d := labtest.StartDirector(t, top, labtest.Start{Config: config(1)})
	var old []talk
	for range 4 {
		c := talk{dial(t, top.Client, "192.168.1.110:7"), t}
		c.say("before")
		old = append(old, c)
	}
	sameCounts(t, connectionsByRealserver(t, d), map[string]int{"10.1.1.2:7": 2, "10.1.1.3:7": 2})
	d.Apply(config(0))
	for range 4 {
		talk{dial(t, top.Client, "192.168.1.110:7"), t}.say("after")
	}
	for _, c := range old {
		c.say("still here")
	}
	sameCounts(t, connectionsByRealserver(t, d), map[string]int{"10.1.1.2:7": 6, "10.1.1.3:7": 2})
}

func TestAConnectionOutlivesItsServiceAndEveryChangeAroundIt(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 2})
	for _, rs := range top.Realservers {
		labtest.Must(t, rs.ServeTCP(":7", lab.Echo))
	}
	service := func(scheduler string, addresses ...string) lab.DirectorConfig {
		return top.Config(lab.Service{Address: "192.168.1.110:7", Scheduler: scheduler, Realservers: lab.Realservers(addresses...)})
	}
	other := func(address string) lab.DirectorConfig {
		return top.Config(lab.Service{Address: address, Realservers: lab.Realservers("10.1.1.3")})
	}
	d := labtest.StartDirector(t, top, labtest.Start{Config: service("rr", "10.1.1.2")})
	c := talk{dial(t, top.Client, "192.168.1.110:7"), t}
	c.say("first")
	for _, change := range []struct {
		what   string
		config lab.DirectorConfig
	}{
		{"another realserver beside", service("rr", "10.1.1.2", "10.1.1.3")},
		{"another order", service("rr", "10.1.1.3", "10.1.1.2")},
		{"another scheduler", service("wlc", "10.1.1.3", "10.1.1.2")},
		{"its realserver taken out", service("wlc", "10.1.1.3")},
		{"its realserver back", service("wlc", "10.1.1.3", "10.1.1.2")},
		{"its service taken out", other("192.168.1.110:8")},
		{"its VIP taken out", other("192.168.1.111:7")},
		{"all services taken out", top.Config()},
		{"its service back", service("rr", "10.1.1.3")},
	} {
		d.Apply(change.config)
		c.say(change.what)
	}
	sameCounts(t, connectionsByRealserver(t, d), map[string]int{"10.1.1.2:7": 1})
}

func TestServicesOfSeveralVIPsAreKeptApart(t *testing.T) {
	vips := []netip.Addr{lab.VIP, netip.MustParseAddr("192.168.1.111"), netip.MustParseAddr("192.168.1.112")}
	top := labtest.Build(t, lab.Options{VIPs: vips})
	serveNames(t, top, ":80")
	serveNames(t, top, ":8080")
	var services []lab.Service
	for i, vip := range vips {
		services = append(services,
			lab.Service{Address: vip.String() + ":80", Realservers: lab.Realservers(lab.RIP(i).String())},
			lab.Service{Address: vip.String() + ":81", Realservers: lab.Realservers(lab.RIP((i+1)%3).String() + ":8080")})
	}
	labtest.StartDirector(t, top, labtest.Start{Config: top.Config(services...)})
	for i, vip := range vips {
		if got, want := get(t, top.Client, vip.String()+":80"), top.Realservers[i].Name; got != want {
			t.Errorf("%s:80 was answered by %s, want %s", vip, got, want)
		}
		if got, want := get(t, top.Client, vip.String()+":81"), top.Realservers[(i+1)%3].Name; got != want {
			t.Errorf("%s:81 was answered by %s, want %s", vip, got, want)
		}
	}
}

func TestDigMeetsDnsmasq(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 2})
	for i, rs := range top.Realservers {
		p, err := rs.Start(lab.Command{Path: "dnsmasq", Args: []string{
			"--keep-in-foreground", "--no-resolv", "--no-hosts", "--port=53", "--user=root", "--pid-file=", "--conf-file=/dev/null",
			"--address=/www.example.net/" + lab.RIP(i).String(),
		}})
		labtest.Must(t, err)
		waitForPort(t, rs, p, 53)
	}
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(lab.Service{
		Address: "192.168.1.110:53", Protocol: "udp", Scheduler: "rr", Realservers: lab.Realservers(rips(top, 0)...),
	})})
	answers := make(map[string]int)
	for range 4 {
		out := labtest.Run(t, top.Client, "dig", "+short", "+tries=1", "+time=10", "@192.168.1.110", "www.example.net")
		answers[strings.TrimSpace(out)]++
	}
	sameCounts(t, answers, map[string]int{"10.1.1.2": 2, "10.1.1.3": 2})
	sameCounts(t, connectionsByRealserver(t, d), map[string]int{"10.1.1.2:53": 2, "10.1.1.3:53": 2})
}

func TestUDPKeepsItsRealserver(t *testing.T) {
	top := labtest.Build(t, lab.Options{})
	for _, rs := range top.Realservers {
		labtest.Must(t, rs.ServeUDP(":7"))
	}
	labtest.StartDirector(t, top, labtest.Start{Config: top.Config(lab.Service{
		Address: "192.168.1.110:7", Protocol: "udp", Scheduler: "rr", Realservers: lab.Realservers(rips(top, 0)...),
	})})
	for range 3 {
		c, err := top.Client.DialContext(labtest.Context(t), "udp4", "192.168.1.110:7")
		labtest.Must(t, err)
		defer c.Close()
		first := ask(t, c, "1")
		for i := range 5 {
			words := fmt.Sprint(i)
			if got, want := ask(t, c, words), strings.Fields(first)[0]+" "+words; got != want {
				t.Errorf("datagram %d was answered %q, want %q", i, got, want)
			}
		}
	}
}

func TestManyClientsAtOnceAreServed(t *testing.T) {
	top := labtest.Build(t, lab.Options{Clients: 2})
	serveNames(t, top, ":80")
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprintf("workers=%d", workers), func(t *testing.T) {
			config := top.Config(web(top, "rr"))
			config.Workers = workers
			labtest.StartDirector(t, top, labtest.Start{Config: config})
			const each, at = 50, 4
			counts := make(chan map[string]int)
			for i := range at {
				go func() { counts <- getMany(t, top.Clients[i%2], "192.168.1.110:80", each) }()
			}
			total := 0
			for range at {
				select {
				case c := <-counts:
					for _, n := range c {
						total += n
					}
				case <-time.After(labtest.Limit):
					t.Fatal("a client is not served")
				}
			}
			if total != each*at {
				t.Errorf("%d answers, want %d", total, each*at)
			}
		})
	}
}
