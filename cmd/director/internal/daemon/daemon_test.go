package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"

	"lvsnat/cmd/director/internal/buildinfo"
	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/control"
	"lvsnat/cmd/director/internal/guard"
	"lvsnat/dataplane/packettest"
	"lvsnat/scheduler"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// namespaced runs the test f in a process with a network namespace of its own: a
// director acts in that of its process, on whatever thread.
func namespaced(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	const inside = "LVSNAT_TEST_IN_NAMESPACE"
	if os.Getenv(inside) == t.Name() {
		f(t)
		return
	}
	program, err := os.Executable()
	must(t, err)
	command := exec.CommandContext(t.Context(), program, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	// The race detector's runtime would sleep for a second at each exit.
	command.Env = append(os.Environ(), inside+"="+t.Name(), "GORACE=atexit_sleep_ms=0")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	text, err := command.CombinedOutput()
	if err != nil || !bytes.Contains(text, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("%v (making a namespace needs root)\n%s", err, text)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// cable makes a NIC with a far end, both up. The director's end has an address.
func cable(t *testing.T, name, address string) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "far-" + name}))
	for _, end := range []string{name, "far-" + name} {
		link, err := netlink.LinkByName(end)
		must(t, err)
		must(t, netlink.LinkSetUp(link))
	}
	link, err := netlink.LinkByName(name)
	must(t, err)
	parsed, err := netlink.ParseAddr(address)
	must(t, err)
	must(t, netlink.AddrAdd(link, parsed))
}

func box(t *testing.T) {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	must(t, err)
	must(t, netlink.LinkSetUp(lo))
	cable(t, "eth0", "192.168.1.9/24")
	cable(t, "eth1", "10.1.1.1/24")
}

// A buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// A rig is a director that a test runs.
type rig struct {
	t       *testing.T
	dir     string // the state directory
	file    string
	log     *buffer
	hangups chan os.Signal
	stop    context.CancelFunc
	ended   chan error
	*control.Client
}

const oneService = `
vip_nic: eth0
dip_nic: eth1
workers: 2
max_connections: 1000
metrics: ""
services:
  - {address: "192.168.1.110:80", protocol: tcp, scheduler: rr, realservers: [{address: 10.1.1.2}]}
`

// try runs a director until it is ready, or ends.
func try(t *testing.T, config string, change func(*Options)) (*rig, error) {
	t.Helper()
	r := &rig{
		t: t, dir: filepath.Join(t.TempDir(), "state"), file: filepath.Join(t.TempDir(), "director.yaml"),
		log: &buffer{}, hangups: make(chan os.Signal, 1), ended: make(chan error, 1),
	}
	r.write(config)
	ready := make(chan struct{})
	o := Options{
		File: r.file, StateDir: r.dir, Build: buildinfo.Info{Version: "1.2.3"},
		Log: slog.New(slog.NewTextHandler(r.log, nil)), Hangups: r.hangups, Ready: func() { close(ready) },
	}
	if change != nil {
		change(&o)
		r.dir = o.StateDir
	}
	r.Client = control.NewClient(r.dir)
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	go func() { r.ended <- Run(ctx, o) }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the director's log:\n%s", r.log)
		}
	})
	select {
	case err := <-r.ended:
		stop()
		return nil, err
	case <-ready:
		return r, nil
	}
}

func start(t *testing.T, config string, change func(*Options)) *rig {
	t.Helper()
	r, err := try(t, config, change)
	must(t, err)
	return r
}

func (r *rig) write(config string) {
	r.t.Helper()
	must(r.t, os.WriteFile(r.file, []byte(config), 0o600))
}

func (r *rig) status() control.Status {
	r.t.Helper()
	s, err := r.Status(r.t.Context())
	must(r.t, err)
	return s
}

// end stops the director and checks that nothing is left.
func (r *rig) end() {
	r.t.Helper()
	r.stop()
	if err := <-r.ended; err != nil {
		r.t.Errorf("the director ended with %v", err)
	}
	nothingLeft(r.t, r.dir)
}

func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	if files, err := os.ReadDir(dir); err == nil && len(files) > 0 {
		t.Errorf("left in the state directory: %v", files)
	}
	if guarded(t) {
		t.Error("the guard is still there")
	}
}

func guarded(t testing.TB) bool {
	t.Helper()
	conn, err := nftables.New()
	must(t, err)
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyNetdev)
	must(t, err)
	return slices.ContainsFunc(tables, func(table *nftables.Table) bool { return table.Name == guard.Table })
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestADirectorTellsHowItIsAndLeavesNothing(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		r := start(t, oneService, nil)
		s := r.status()
		if s.Release != "1.2.3" || s.Workers != 2 || s.Connections.Limit != 1000 || s.Config.File != r.file {
			t.Errorf("status %+v", s)
		}
		if !s.Guard.Active || s.Guard.Mode != "auto" || !guarded(t) {
			t.Errorf("guard %+v", s.Guard)
		}
		if len(s.NICs) != 2 || s.NICs[0].Name != "eth0" || s.NICs[0].Role != "vip" || s.NICs[1].Role != "dip" || !s.NICs[1].Up || s.NICs[1].MTU != 1500 {
			t.Errorf("NICs %+v", s.NICs)
		}
		if want := []control.VIP{{Address: "192.168.1.110", ARP: "director", Services: 1}}; !slices.Equal(s.VIPs, want) {
			t.Errorf("VIPs %+v, want %+v", s.VIPs, want)
		}
		if _, ok := s.Packets["forwarded_request"]; !ok {
			t.Errorf("verdicts %v", s.Packets)
		}
		services, err := r.Services(t.Context())
		must(t, err)
		if len(services.Services) != 1 || services.Services[0].Address != "192.168.1.110:80" {
			t.Errorf("services %+v", services)
		}
		complete, err := r.Connections(t.Context(), control.Filter{}, func(control.Connection) error { return nil })
		if err != nil || !complete {
			t.Errorf("connections: complete %v, error %v", complete, err)
		}
		r.end()
	})
}

func TestOneNICServesBothSides(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		r := start(t, strings.Replace(oneService, "dip_nic: eth1", "dip_nic: eth0", 1), nil)
		if s := r.status(); len(s.NICs) != 1 || s.NICs[0].Role != "vip+dip" {
			t.Errorf("NICs %+v", s.NICs)
		}
		r.end()
	})
}

func TestAReloadAppliesTheDifference(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		r := start(t, oneService, nil)
		r.write(strings.Replace(oneService, "max_connections: 1000", "max_connections: 2000", 1) + `
  - {address: "192.168.1.111:53", protocol: udp, realservers: [{address: 10.1.1.2}, {address: 10.1.1.3, weight: 3}]}
timeouts: {tcp: 60s}
`)
		done, err := r.Reload(t.Context())
		must(t, err)
		want := []string{
			"timeouts: tcp 1m0s, tcpfin 2m0s, udp 5m0s, were 15m0s, 2m0s, 5m0s",
			"service udp 192.168.1.111:53: added, with 2 realservers",
		}
		if !slices.Equal(done.Changes, want) || !slices.Equal(done.Restart, []string{"max_connections"}) {
			t.Errorf("changes %q, restart %q", done.Changes, done.Restart)
		}
		eventually(t, "the new VIP is known everywhere", func() bool { return len(r.status().VIPs) == 2 })
		s := r.status()
		if s.Connections.Limit != 1000 || !slices.Equal(s.Config.Restart, []string{"max_connections"}) {
			t.Errorf("status %+v", s)
		}

		r.write(oneService)
		done, err = r.Reload(t.Context())
		must(t, err)
		if want := "service udp 192.168.1.111:53: removed"; !slices.Contains(done.Changes, want) || len(done.Restart) != 0 {
			t.Errorf("changes %q, restart %q", done.Changes, done.Restart)
		}
		eventually(t, "the VIP is gone", func() bool { return len(r.status().VIPs) == 1 })

		done, err = r.Reload(t.Context())
		if err != nil || len(done.Changes) != 0 {
			t.Errorf("a reload of the same file: %+v, %v", done, err)
		}
		r.end()
	})
}

func TestABrokenFileChangesNothing(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		r := start(t, oneService, nil)
		r.write(strings.Replace(oneService, "scheduler: rr", "scheduler: rrr", 1))
		_, err := r.Reload(t.Context())
		if err == nil || !strings.HasPrefix(err.Error(), r.file+":8:") {
			t.Errorf("got %v", err)
		}
		s := r.status()
		if !strings.Contains(s.Config.Error, "rrr") || len(s.VIPs) != 1 {
			t.Errorf("status %+v", s)
		}
		r.write(oneService)
		_, err = r.Reload(t.Context())
		must(t, err)
		if s := r.status(); s.Config.Error != "" {
			t.Errorf("the error is still there: %s", s.Config.Error)
		}
		r.end()
	})
}

func TestTheGuardsModeChangesAtRunTime(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		r := start(t, oneService, nil)
		for _, step := range []struct {
			mode   string
			active bool
		}{{"none", false}, {"nft", true}, {"none", false}, {"auto", true}} {
			r.write(oneService + "guard: " + step.mode + "\n")
			_, err := r.Reload(t.Context())
			must(t, err)
			if g := r.status().Guard; g.Mode != step.mode || g.Active != step.active || guarded(t) != step.active {
				t.Errorf("guard: %s gives %+v", step.mode, g)
			}
		}
		r.end()
	})
}

func TestAGuardThatACrashLeftGoesWhenNoneIsWanted(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		leaveGuard(t)
		r := start(t, oneService+"guard: none\n", nil)
		if guarded(t) {
			t.Error("the guard is still there")
		}
		r.end()
	})
}

func leaveGuard(t *testing.T) {
	t.Helper()
	g, err := guard.New("eth0", "eth1")
	must(t, err)
	must(t, g.Set(guard.State{Services: []guard.Endpoint{{Protocol: 6, Addr: scheduler.MustParseAddress("192.168.1.110:80")}}}))
}

func TestAGuardThatSomebodyRemovesComesBack(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		r := start(t, oneService, nil)
		conn, err := nftables.New()
		must(t, err)
		conn.FlushRuleset()
		must(t, conn.Flush())
		eventually(t, "the guard is back", func() bool { return guarded(t) })
		r.end()
	})
}

func TestANICThatIsDeletedAndMadeAgainReceives(t *testing.T) {
	for _, nic := range []string{"eth0", "eth1"} {
		t.Run(nic, func(t *testing.T) {
			namespaced(t, func(t *testing.T) {
				box(t)
				r := start(t, oneService, nil)
				port := map[string]int{"eth0": 0, "eth1": 1}[nic]
				reopened := func() int { return strings.Count(r.log.String(), "its rings are open again") }
				for round := range 3 { // the waiters of the time before last are closed the third time
					link, err := netlink.LinkByName(nic)
					must(t, err)
					must(t, netlink.LinkDel(link))
					eventually(t, "the NIC is seen to be gone", func() bool { return r.status().NICs[port].MAC == "" })
					cable(t, nic, map[string]string{"eth0": "192.168.1.9/24", "eth1": "10.1.1.1/24"}[nic])
					eventually(t, "the NIC is seen to be up", func() bool { return r.status().NICs[port].Up })
					eventually(t, "its rings are open", func() bool { return reopened() == round+1 })
					eventually(t, "it receives", func() bool {
						knock(t, nic)
						return r.status().NICs[port].Received > 0
					})
				}
				r.end()
				if n := reopened(); n != 3 {
					t.Errorf("reopened %d times, want 3", n)
				}
			})
		})
	}
}

// knock sends a frame to a NIC from the far end of its cable.
func knock(t *testing.T, nic string) {
	t.Helper()
	to, err := net.InterfaceByName(nic)
	must(t, err)
	from, err := net.InterfaceByName("far-" + nic)
	must(t, err)
	conn, err := packet.Listen(from, packet.Raw, syscall.ETH_P_IP, nil)
	must(t, err)
	defer conn.Close()
	frame := packettest.TCP("192.168.1.254:40000", "192.168.1.110:80", packettest.SYN).Data
	copy(frame, to.HardwareAddr)
	_, err = conn.WriteTo(frame, &packet.Addr{HardwareAddr: to.HardwareAddr})
	must(t, err)
}

func TestAnAddressThatBecomesTheBoxsIsTheKernelsToAnswer(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		r := start(t, oneService, nil)
		lo, err := netlink.LinkByName("lo")
		must(t, err)
		vip, err := netlink.ParseAddr("192.168.1.110/32")
		must(t, err)
		must(t, netlink.AddrAdd(lo, vip))
		eventually(t, "the kernel owns the VIP", func() bool { return r.status().VIPs[0].ARP == "kernel" })
		must(t, netlink.AddrDel(lo, vip))
		eventually(t, "the director owns the VIP", func() bool { return r.status().VIPs[0].ARP == "director" })
		r.end()
	})
}

func TestOnlyOneDirectorRuns(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		r := start(t, oneService, nil)
		_, err := try(t, oneService, func(o *Options) { o.StateDir = r.dir })
		want := fmt.Sprintf("a director runs with the state directory %s already (process %d)", r.dir, os.Getpid())
		if err == nil || err.Error() != want {
			t.Errorf("with the same state directory: %v", err)
		}
		if _, err = try(t, oneService, nil); err == nil || !strings.HasPrefix(err.Error(), "a director runs in this network namespace already") {
			t.Errorf("with another state directory: %v", err)
		}
		for _, dir := range []string{r.dir, t.TempDir()} {
			if _, err := Cleanup(dir); err == nil || !strings.HasPrefix(err.Error(), "a director runs ") {
				t.Errorf("cleanup beside it: %v", err)
			}
		}
		if s := r.status(); !s.Guard.Active || !guarded(t) {
			t.Error("the director has lost its guard")
		}
		r.end()
	})
}

func TestCleanupRemovesWhatACrashLeftAndSaysWhat(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		dir := t.TempDir()
		leaveGuard(t)
		lock, socket := filepath.Join(dir, lockName), filepath.Join(dir, control.SocketName)
		for _, file := range []string{lock, socket} {
			must(t, os.WriteFile(file, nil, 0o600))
		}
		removed, err := Cleanup(dir)
		must(t, err)
		if want := []string{"lock " + lock, "guard: nft table netdev lvsnat", "control socket " + socket}; !slices.Equal(removed, want) {
			t.Errorf("removed %q, want %q", removed, want)
		}
		nothingLeft(t, dir)
		if removed, err = Cleanup(dir); err != nil || len(removed) != 0 {
			t.Errorf("the second time: %q, %v", removed, err)
		}
	})
}

func TestADirectorThatCannotStartSaysWhyAndLeavesNothing(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer taken.Close()
		tests := []struct{ name, config, want string }{
			{"a broken file", "vip_nic: eth0\n", "dip_nic"},
			{"a NIC that is not there", strings.Replace(oneService, "eth1", "eth7", 1), "there is no network interface eth7: see vip_nic and dip_nic"},
			{"a metrics port in use", strings.Replace(oneService, `metrics: ""`, "metrics: "+taken.Addr().String(), 1), "address already in use: choose another address for the key metrics"},
			{"fewer connections than workers", strings.NewReplacer("1000", "1").Replace(oneService), "connections"},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				var dir string
				_, err := try(t, test.config, func(o *Options) { dir = o.StateDir })
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v", err)
				}
				nothingLeft(t, dir)
			})
		}
	})
}

func TestAStopBeforeItIsUpIsNoError(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		ctx, stop := context.WithCancel(t.Context())
		stop()
		file := filepath.Join(t.TempDir(), "director.yaml")
		must(t, os.WriteFile(file, []byte(oneService), 0o600))
		dir := t.TempDir()
		must(t, Run(ctx, Options{File: file, StateDir: dir, Log: slog.New(slog.DiscardHandler), Ready: func() {}}))
		nothingLeft(t, dir)
	})
}

func TestTheServiceManagerIsTold(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		address := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
		manager, err := net.ListenUnixgram("unixgram", address)
		must(t, err)
		defer manager.Close()
		r := start(t, oneService, func(o *Options) { o.Notifier = Notifier{Socket: address.Name} })
		r.hangups <- syscall.SIGHUP
		for _, want := range []string{"READY=1", "RELOADING=1\nMONOTONIC_USEC=", "READY=1"} {
			if got := heard(t, manager); !strings.HasPrefix(got, want) {
				t.Errorf("the service manager heard %q, want %q", got, want)
			}
		}
		r.end()
		if got := heard(t, manager); got != "STOPPING=1" {
			t.Errorf("the service manager heard %q at the end", got)
		}
		if !strings.Contains(r.log.String(), "the configuration is reloaded") {
			t.Error("SIGHUP has not reloaded")
		}
	})
}

func heard(t *testing.T, manager *net.UnixConn) string {
	t.Helper()
	must(t, manager.SetReadDeadline(time.Now().Add(10*time.Second)))
	text := make([]byte, 256)
	n, err := manager.Read(text)
	must(t, err)
	return string(text[:n])
}

func TestMetricsAreServed(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		r := start(t, strings.Replace(oneService, `metrics: ""`, "metrics: 127.0.0.1:9105", 1), nil)
		transport := &http.Transport{DisableKeepAlives: true}
		response, err := (&http.Client{Transport: transport}).Get("http://127.0.0.1:9105/metrics")
		must(t, err)
		text, err := io.ReadAll(response.Body)
		must(t, err)
		must(t, response.Body.Close())
		for _, want := range []string{
			`director_guard{mode="auto"} 1`, `director_build_info{goversion="",revision="",version="1.2.3"} 1`,
			`director_ring_drops_total{nic="eth1",worker="1"} 0`, "director_config_last_reload_successful 1",
			`node_ipvs_backend_weight{local_address="192.168.1.110",local_mark="",local_port="80",proto="TCP",remote_address="10.1.1.2",remote_port="80"} 1`,
		} {
			if !strings.Contains(string(text), want+"\n") {
				t.Errorf("there is no line %s", want)
			}
		}
		r.end()
	})
}

func TestReloadsAndQuestionsAtOnce(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		r := start(t, oneService, nil)
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				for range 20 {
					var err error
					switch i % 4 {
					case 0:
						_, err = r.Reload(t.Context())
					case 1:
						_, err = r.Status(t.Context())
					case 2:
						_, err = r.Services(t.Context())
					case 3:
						_, err = r.Connections(t.Context(), control.Filter{}, func(control.Connection) error { return nil })
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		r.end()
	})
}

// A transaction of the guard may wait for the kernel, for seconds when the
// processors are busy.
func TestAChangeThatTakesLongKeepsNobodyFromLooking(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		file := filepath.Join(t.TempDir(), "director.yaml")
		must(t, os.WriteFile(file, []byte(oneService), 0o600))
		cfg, err := config.Load(file)
		must(t, err)
		dir := filepath.Join(t.TempDir(), "state")
		d := newDirector(Options{File: file, StateDir: dir, Log: slog.New(slog.DiscardHandler)}, cfg)
		must(t, d.setUp(t.Context()))
		must(t, d.start(t.Context()))

		d.mu.Lock()
		client := control.NewClient(dir)
		if _, err := client.Status(t.Context()); err != nil {
			t.Errorf("status: %v", err)
		}
		if _, err := client.Services(t.Context()); err != nil {
			t.Errorf("services: %v", err)
		}
		d.Facts()
		impatient, giveUp := context.WithCancel(t.Context())
		reloaded := make(chan error)
		go func() {
			_, err := d.Reload(impatient)
			reloaded <- err
		}()
		giveUp()
		d.mu.Unlock()
		if err := <-reloaded; !errors.Is(err, context.Canceled) {
			t.Errorf("the reload of somebody who has gone ended with %v", err)
		}
		must(t, d.stop())
		nothingLeft(t, dir)
	})
}
