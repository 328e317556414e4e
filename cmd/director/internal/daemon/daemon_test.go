package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lvsnat/cmd/director/internal/control"
)

func TestADirectorTellsHowItIsAndLeavesNothing(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		r := start(t, oneService, nil)
		s := r.status()
		if s.Release != "1.2.3" || s.Workers != 2 || s.Connections.Limit != 1000 || s.Config.File != r.file {
			t.Errorf("status %+v", s)
		}
		if !s.Guard.Active || s.Guard.Mode != "auto" || !guarded(t) || !s.Guard.Classifier.Active {
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
		if want := []string{"lock " + lock, "guard: nft table netdev lvsnat", "guard: tc filter on eth0", "control socket " + socket}; !slices.Equal(removed, want) {
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
			`director_guard{mode="auto"} 1`, `director_guard_classifier 1`, `director_build_info{goversion="",revision="",version="1.2.3"} 1`,
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
