package lab_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

// routed builds a topology whose director is a plain router between the
// client and the realservers.
func routed(t *testing.T, o lab.Options) *lab.Topology {
	t.Helper()
	o.Forward = true
	top := labtest.Build(t, o)
	neighbours := top.Clients
	if top.Router != nil {
		neighbours = []*lab.Host{top.Router}
	}
	for _, h := range neighbours {
		labtest.Must(t, h.AddRoute(lab.Route{To: netip.MustParsePrefix("10.1.1.0/24"), Via: lab.DirectorIP}))
	}
	return top
}

func TestEveryTopologyCarriesTraffic(t *testing.T) {
	for name, o := range map[string]lab.Options{
		"one realserver on a cable":     {Realservers: 1},
		"three realservers on a switch": {},
		"two clients on a switch":       {Clients: 2},
		"clients behind a router":       {Clients: 2, Router: true},
		"one NIC":                       {OneNIC: true},
		"jumbo frames":                  {MTU: 9000},
	} {
		t.Run(name, func(t *testing.T) {
			top := routed(t, o)
			for i, rs := range top.Realservers {
				labtest.Must(t, rs.ServeName(":80"))
				for _, c := range top.Clients {
					got := labtest.Run(t, c, "curl", "-sS", "http://"+lab.RIP(i).String()+"/")
					if want := rs.Name + "\n"; got != want {
						t.Errorf("%s got %q from %s, want %q", c.Name, got, lab.RIP(i), want)
					}
				}
			}
		})
	}
}

func TestTransfersArriveWithTheRightDigest(t *testing.T) {
	top := routed(t, lab.Options{Realservers: 1})
	labtest.Must(t, top.Realservers[0].ServeTCP(":9", lab.ServeTransfer))
	for seed, n := range []int64{0, 1, 5_000_000} {
		for _, transfer := range []func(int64, uint64) error{
			func(n int64, seed uint64) error { return lab.Upload(dial(t, top.Client, "10.1.1.2:9"), n, seed) },
			func(n int64, seed uint64) error { return lab.Download(dial(t, top.Client, "10.1.1.2:9"), n, seed) },
		} {
			if err := transfer(n, uint64(seed)); err != nil {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
	}
}

func TestADamagedTransferIsNoticed(t *testing.T) {
	top := routed(t, lab.Options{Realservers: 1})
	labtest.Must(t, top.Realservers[0].ServeTCP(":9", lab.ServeTransfer))
	c := &flipper{dial(t, top.Client, "10.1.1.2:9")}
	if err := lab.Download(c, 100_000, 1); err == nil {
		t.Error("a flipped bit went unnoticed")
	}
}

func TestClosingRemovesNamespacesAndPrograms(t *testing.T) {
	l, err := lab.New()
	labtest.Must(t, err)
	h, err := l.Host("lonely")
	labtest.Must(t, err)
	p, err := h.Start(lab.Command{Path: "sleep", Args: []string{"1000"}})
	labtest.Must(t, err)
	path := filepath.Join("/run/netns", h.Namespace)
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	labtest.Must(t, l.Close())
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", path, err)
	}
	select {
	case <-p.Done():
	default:
		t.Error("the program still runs")
	}
	if _, err := l.Host("late"); err == nil {
		t.Error("a closed lab made a host")
	}
	labtest.Must(t, l.Close())
}

func TestLeftoversOfADeadProcessAreRemovedAndOthersKept(t *testing.T) {
	mine, err := labtest.New(t).Host("alive")
	labtest.Must(t, err)
	// The process id is beyond the kernel's largest (PID_MAX_LIMIT, 2^22).
	dead := fmt.Sprintf("/run/netns/lvsnat-%d-1-client", 1<<22+os.Getpid())
	foreign := fmt.Sprintf("/run/netns/lvsnat-other-%d", os.Getpid())
	for _, path := range []string{dead, foreign} {
		labtest.Must(t, os.WriteFile(path, nil, 0o444))
		t.Cleanup(func() { os.Remove(path) })
	}
	labtest.Must(t, lab.RemoveLeftovers())
	if _, err := os.Stat(dead); !os.IsNotExist(err) {
		t.Errorf("%s: %v, want it gone", dead, err)
	}
	for _, path := range []string{foreign, "/run/netns/" + mine.Namespace} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s is not of a dead process: %v", path, err)
		}
	}
}

func TestOffloadsAreSet(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 1})
	for _, o := range []lab.Offloads{{}, {Checksum: true}, {Checksum: true, Segmentation: true}, {Checksum: true, Segmentation: true, GRO: true}} {
		labtest.Must(t, top.Client.SetOffloads("eth0", o))
		shown := labtest.Run(t, top.Client, "ethtool", "-k", "eth0")
		for feature, on := range map[string]bool{
			"\ttx-checksum-ip-generic":     o.Checksum,
			"\ttx-tcp-segmentation":        o.Segmentation,
			"generic-segmentation-offload": o.Segmentation,
			"generic-receive-offload":      o.GRO,
		} {
			want := feature + ": " + map[bool]string{true: "on", false: "off"}[on]
			if !strings.Contains(shown, "\n"+want) {
				t.Errorf("%+v: no line %q in\n%s", o, want, shown)
			}
		}
	}
}

func TestACaptureSeesBothDirections(t *testing.T) {
	top := routed(t, lab.Options{Realservers: 1})
	labtest.Must(t, top.Realservers[0].ServeUDP(":7"))
	capture, err := top.Client.Capture("eth0")
	labtest.Must(t, err)
	c, err := top.Client.DialContext(labtest.Context(t), "udp4", "10.1.1.2:7")
	labtest.Must(t, err)
	defer c.Close()
	_, err = c.Write([]byte("needle"))
	labtest.Must(t, err)
	for _, text := range []string{"needle", "real1 needle"} {
		frame, err := capture.Wait(labtest.Context(t), func(f lab.Frame) bool {
			return strings.HasSuffix(string(f.Data), text) && f.Sent == (text == "needle")
		})
		labtest.Must(t, err)
		if len(frame.Data) != 14+20+8+len(text) {
			t.Errorf("a frame of %d bytes for %q", len(frame.Data), text)
		}
	}
}

func TestAClosedLabHasNoThreadAndNoDescriptorInItsNamespaces(t *testing.T) {
	own, err := os.Readlink("/proc/self/ns/net")
	labtest.Must(t, err)
	l, err := lab.New()
	labtest.Must(t, err)
	top, err := l.Build(lab.Options{Realservers: 2, OneNIC: true})
	labtest.Must(t, err)
	labtest.Must(t, top.Realservers[0].ServeTCP(":7", lab.Echo))
	_, err = top.Client.Capture("eth0")
	labtest.Must(t, err)
	labtest.Must(t, l.Close())
	// A thread ends a moment after its goroutine.
	labtest.Eventually(t, "every thread is in the process's own namespace", func() bool {
		threads, err := filepath.Glob("/proc/self/task/*/ns/net")
		labtest.Must(t, err)
		for _, thread := range threads {
			if ns, err := os.Readlink(thread); err == nil && ns != own {
				return false
			}
		}
		return true
	})
	descriptors, err := filepath.Glob("/proc/self/fd/*")
	labtest.Must(t, err)
	for _, fd := range descriptors {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, "net:[") {
			t.Errorf("descriptor %s still refers to namespace %s", fd, to)
		}
	}
}

// ip-netns(8) makes the directory of namespaces a mount at its first use, which
// on a box where that has not happened would cover a lab's namespaces.
func TestNamespacesMadeByIPDoNotCoverTheLabs(t *testing.T) {
	l, err := lab.New()
	labtest.Must(t, err)
	h, err := l.Host("below")
	labtest.Must(t, err)
	other := h.Namespace + "-by-ip"
	labtest.Must(t, exec.Command("ip", "netns", "add", other).Run())
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "delete", other).Run() })
	labtest.Must(t, l.Close())
	if _, err := os.Stat(filepath.Join("/run/netns", h.Namespace)); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", h.Namespace, err)
	}
}
