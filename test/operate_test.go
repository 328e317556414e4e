package test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

// metrics reads the director's metrics from inside its namespace.
func metrics(t testing.TB, top *lab.Topology, address string) string {
	t.Helper()
	reader := &http.Client{
		Transport: &http.Transport{DialContext: top.Director.DialContext, DisableKeepAlives: true},
		Timeout:   10 * time.Second,
	}
	r, err := reader.Get("http://" + address + "/metrics")
	labtest.Must(t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	labtest.Must(t, err)
	if r.StatusCode != http.StatusOK {
		t.Fatalf("metrics: %s: %s", r.Status, body)
	}
	return string(body)
}

func TestMetricsTellOfRealTraffic(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 2})
	serveNames(t, top, ":8000")
	config := top.Config(lab.Service{Address: "192.168.1.110:80", Scheduler: "rr", Realservers: []lab.Realserver{
		{Address: "10.1.1.2:8000", Weight: 1}, {Address: "10.1.1.3:8000", Weight: 7},
	}})
	config.Metrics = "127.0.0.1:9105"
	labtest.StartDirector(t, top, labtest.Start{Config: config})
	getMany(t, top.Client, "192.168.1.110:80", 10)
	text := metrics(t, top, config.Metrics)
	for _, want := range []string{
		"node_ipvs_connections_total 10\n",
		`node_ipvs_backend_weight{local_address="192.168.1.110",local_mark="",local_port="80",proto="TCP",remote_address="10.1.1.3",remote_port="8000"} 7` + "\n",
		`verdict="forwarded_request"`, `verdict="bad_header_checksum"`,
		"\ndirector_connections 10\n", "\ndirector_connections_half_open 0\n", "\ndirector_connections_limit ",
		"\ndirector_build_info{",
		`director_ring_drops_total{nic="eth0",worker="0"} 0`, `director_ring_drops_total{nic="eth1",worker="0"} 0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics do not have %q", want)
		}
	}
	for _, prefix := range []string{"node_ipvs_incoming_packets_total ", "node_ipvs_outgoing_bytes_total "} {
		if strings.Contains(text, "\n"+prefix+"0\n") || !strings.Contains(text, "\n"+prefix) {
			t.Errorf("%s did not count the traffic", prefix)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	labtest.Must(t, err)
	for _, p := range problems {
		// node_exporter's own names are given.
		if !strings.HasPrefix(p.Metric, "node_ipvs_") {
			t.Errorf("promlint: %s: %s", p.Metric, p.Text)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestStatusServicesAndConnectionsAgreeWithTheTraffic(t *testing.T) {
	l := startLive(t, lab.Options{Realservers: 1})
	conns := connections(t, l.director)
	if len(conns) != 1 {
		t.Fatalf("%d connections, want 1", len(conns))
	}
	c := conns[0]
	want := connectionAnswer{
		Protocol: "tcp", State: "ESTABLISHED", Client: l.talk.LocalAddr().String(),
		Virtual: "192.168.1.110:7", Real: "10.1.1.2:7", ExpiresMs: c.ExpiresMs, Worker: c.Worker,
	}
	if c != want || c.ExpiresMs <= 0 || c.ExpiresMs > 901_000 {
		t.Errorf("connection %+v, want %+v", c, want)
	}
	s := askJSON[servicesAnswer](t, l.director, "services").Services
	if len(s) != 1 || s[0].Address != "192.168.1.110:7" || s[0].Protocol != "tcp" || len(s[0].Realservers) != 1 {
		t.Fatalf("services %+v", s)
	}
	r := s[0].Realservers[0]
	if r.Address != "10.1.1.2:7" || r.Weight != 1 || r.Active != 1 || r.Inactive != 0 || r.Traffic.Connections != 1 {
		t.Errorf("realserver %+v, want one active connection", r)
	}
	if r.Traffic.RequestPackets < 3 || r.Traffic.ReplyPackets < 2 || r.Traffic.ReplyBytes < 80 {
		t.Errorf("traffic %+v, want the handshake and a word each way at least", r.Traffic)
	}
	st := status(t, l.director)
	if st.Connections.Current != 1 || st.Connections.HalfOpen != 0 || !st.Guard.Active {
		t.Errorf("status %+v, want one connection and an active guard", st)
	}
	for _, words := range [][]string{
		{"status", "eth0", "eth1", "guard", "192.168.1.110"},
		{"services", "192.168.1.110:7", "10.1.1.2:7"},
		{"conns", "192.168.1.110:7", "10.1.1.2:7", "ESTABLISHED", l.talk.LocalAddr().String()},
	} {
		out := l.director.Ask(words[0])
		for _, word := range words[1:] {
			if !strings.Contains(strings.ToLower(out), strings.ToLower(word)) {
				t.Errorf("director %s does not show %q:\n%s", words[0], word, out)
			}
		}
	}
}

func TestAReloadThatIsBrokenChangesNothing(t *testing.T) {
	l := startLive(t, lab.Options{Realservers: 1})
	l.director.Allow("director.yaml")
	err := l.director.Reload(labtest.Context(t), "vip_nic: eth0\nvipnic: eth1\n")
	if code := labtest.ExitCode(t, err); code != 1 {
		t.Errorf("reload ended with exit code %d, want 1", code)
	}
	if err == nil || !strings.Contains(err.Error(), "director.yaml:2:1: ") {
		t.Errorf("reload does not say where the file is broken: %v", err)
	}
	l.goesOn(t)
}

func TestSIGHUPReloads(t *testing.T) {
	l := startLive(t, lab.Options{Realservers: 1})
	labtest.Must(t, l.Realservers[0].ServeName(":80"))
	labtest.Must(t, l.director.Write(l.Config(web(l.Topology, "rr")).YAML()))
	labtest.Must(t, l.director.Signal(syscall.SIGHUP))
	labtest.Eventually(t, "the new service is there and the old one gone", func() bool {
		list := askJSON[servicesAnswer](t, l.director, "services").Services
		return len(list) == 1 && list[0].Address == "192.168.1.110:80"
	})
	if got := get(t, l.Client, "192.168.1.110"); got != "real1" {
		t.Errorf("the new service was answered by %q", got)
	}
	l.talk.say("the old service's connection")
}

func TestARealserverThatIsTheDirectorItselfIsReported(t *testing.T) {
	l := startLive(t, lab.Options{Realservers: 1})
	l.director.Allow("10.1.1.1")
	l.director.Apply(l.Config(lab.Service{Address: "192.168.1.110:80", Realservers: lab.Realservers("10.1.1.1:8000", "10.1.1.2")}))
	_, err := l.director.Stderr().WaitLine(labtest.Context(t), func(line string) bool {
		return strings.Contains(line, "level=WARN") && strings.Contains(line, "address=10.1.1.1")
	})
	labtest.Must(t, err)
}

func TestSystemdIsTold(t *testing.T) {
	address := filepath.Join(t.TempDir(), "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	labtest.Must(t, err)
	defer notify.Close()
	said := func() string {
		t.Helper()
		labtest.Must(t, notify.SetDeadline(time.Now().Add(labtest.Limit)))
		words := make([]byte, 1000)
		n, err := notify.Read(words)
		labtest.Must(t, err)
		return string(words[:n])
	}
	top := labtest.Build(t, lab.Options{Realservers: 1})
	config := top.Config(web(top, "rr"))
	d := labtest.StartDirector(t, top, labtest.Start{Config: config, Env: []string{"NOTIFY_SOCKET=" + address}})
	if got := said(); !strings.Contains(got, "READY=1") {
		t.Errorf("at the start: %q, want READY=1", got)
	}
	d.Apply(config)
	if got := said(); !strings.Contains(got, "RELOADING=1") || !strings.Contains(got, "MONOTONIC_USEC=") {
		t.Errorf("at a reload: %q, want RELOADING=1 and MONOTONIC_USEC", got)
	}
	if got := said(); !strings.Contains(got, "READY=1") {
		t.Errorf("after a reload: %q, want READY=1", got)
	}
	d.StopCleanly()
	if got := said(); !strings.Contains(got, "STOPPING=1") {
		t.Errorf("at the end: %q, want STOPPING=1", got)
	}
}

func TestStoppingLeavesNothingAndTheConnectionsAlone(t *testing.T) {
	l := startLive(t, lab.Options{Realservers: 1, VIPOn: lab.VIPOnNIC})
	if tables := nftTables(t, l.Topology.Director); tables == "" {
		t.Error("no nft table while the director runs")
	}
	l.director.StopCleanly()
	if tables := nftTables(t, l.Topology.Director); tables != "" {
		t.Errorf("nft tables after the stop: %s", tables)
	}
	if left := filesIn(t, l.director.StateDir, ".sock"); len(left) != 0 {
		t.Errorf("left in the state directory: %v", left)
	}
}

func nftTables(t testing.TB, h *lab.Host) string {
	t.Helper()
	return strings.TrimSpace(labtest.Run(t, h, "nft", "list", "tables"))
}

// filesIn lists the files in a directory whose names end in suffix.
func filesIn(t testing.TB, dir, suffix string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	labtest.Must(t, err)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			list = append(list, e.Name())
		}
	}
	return list
}

func TestACrashLeavesTheGuardAndCleanupRemovesIt(t *testing.T) {
	l := startLive(t, lab.Options{Realservers: 1, VIPOn: lab.VIPOnNIC})
	if _, err := l.director.Control(labtest.Context(t), "cleanup"); labtest.ExitCode(t, err) != 1 {
		t.Errorf("cleanup beside a running director: %v, want exit code 1", err)
	}
	l.goesOn(t)
	l.director.Crash()
	if nftTables(t, l.Topology.Director) == "" {
		t.Error("the guard did not survive the crash")
	}
	if out := l.director.Ask("cleanup"); !strings.Contains(out, "guard") {
		t.Errorf("cleanup does not say that it removed the guard: %q", out)
	}
	if tables := nftTables(t, l.Topology.Director); tables != "" {
		t.Errorf("nft tables after the cleanup: %s", tables)
	}
	l.director.Ask("cleanup")
}

func TestADirectorStartsAfterACrash(t *testing.T) {
	l := startLive(t, lab.Options{Realservers: 1})
	dir := filepath.Dir(l.director.File)
	l.director.Crash()
	config := l.Config(lab.Service{Address: "192.168.1.110:7", Realservers: lab.Realservers("10.1.1.2")})
	labtest.StartDirector(t, l.Topology, labtest.Start{Config: config, Dir: dir})
	talk{dial(t, l.Client, "192.168.1.110:7"), t}.say("hello")
}

func TestASecondDirectorIsRefused(t *testing.T) {
	l := startLive(t, lab.Options{Realservers: 1})
	_, err := labtest.TryDirector(t, l.Topology, labtest.Start{Config: l.Config(), Dir: filepath.Dir(l.director.File)})
	if err == nil {
		t.Fatal("two directors run on one state directory")
	}
	l.goesOn(t)
}

func TestTwoCapabilitiesAreEnough(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 1, VIPOn: lab.VIPOnNIC})
	serveNames(t, top, ":80")
	d := labtest.StartDirector(t, top, labtest.Start{
		Config: top.Config(web(top, "rr")), Dir: nobodysDir(t), Wrap: nobodyWith("+net_raw,+net_admin"),
	})
	if got := get(t, top.Client, "192.168.1.110"); got != "real1" {
		t.Errorf("answered by %q", got)
	}
	if n := strings.Count(d.Stderr().String(), "CAP_SYS_NICE lets them lose fewer packets"); n != 1 {
		t.Errorf("the log tells %d times of the capability for priority", n)
	}
}

func TestAMissingCapabilityIsNamed(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 1})
	for missing, has := range map[string]string{"CAP_NET_RAW": "+net_admin", "CAP_NET_ADMIN": "+net_raw"} {
		_, err := labtest.TryDirector(t, top, labtest.Start{
			Config: top.Config(web(top, "rr")), Dir: nobodysDir(t), Wrap: nobodyWith(has),
		})
		if err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("without %s: %v, want an error that names it", missing, err)
		}
	}
}

// nobodyWith runs a program as the user nobody with a few capabilities.
func nobodyWith(capabilities string) []string {
	return []string{
		"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
		"--inh-caps=-all," + capabilities, "--ambient-caps=-all," + capabilities, "--bounding-set=-all," + capabilities, "--",
	}
}

// nobodysDir returns a directory that the user nobody may write to.
func nobodysDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	labtest.Must(t, os.Chmod(filepath.Dir(dir), 0o755))
	labtest.Must(t, os.Chown(dir, 65534, 65534))
	return dir
}

func TestCheckTellsWhereAFileIsBroken(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 1})
	good := filepath.Join(t.TempDir(), "good.yaml")
	labtest.Must(t, os.WriteFile(good, []byte(top.Config(web(top, "rr")).YAML()), 0o644))
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	labtest.Must(t, os.WriteFile(bad, []byte("vip_nic: eth0\ndip_nic: eth1\nworkers: many\n"), 0o644))
	binary := labtest.Binary(t, false)
	labtest.Run(t, top.Director, binary, "check", "-c", good)
	_, err := top.Director.Run(labtest.Context(t), binary, "check", "-c", bad)
	if labtest.ExitCode(t, err) != 1 || !strings.Contains(err.Error(), "bad.yaml:3:10: ") {
		t.Errorf("check of a broken file: %v, want exit code 1 and the place 3:10", err)
	}
	_, err = top.Director.Run(labtest.Context(t), binary, "check", "--nonsense")
	if labtest.ExitCode(t, err) != 2 {
		t.Errorf("wrong use: %v, want exit code 2", err)
	}
}

func TestTheAnswersAreJSONAndNothingElse(t *testing.T) {
	l := startLive(t, lab.Options{Realservers: 1})
	for _, command := range []string{"status", "services", "conns"} {
		if out := l.director.Ask(command, "--json"); !json.Valid([]byte(out)) {
			t.Errorf("director %s --json wrote %s", command, out)
		}
	}
}
