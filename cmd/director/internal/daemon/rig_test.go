package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"

	"lvsnat/cmd/director/internal/buildinfo"
	"lvsnat/cmd/director/internal/control"
	"lvsnat/cmd/director/internal/guard"
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
	left, err := guard.Left()
	must(t, err)
	if len(left) > 0 {
		t.Errorf("left of the guard: %v", left)
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
