package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"lvsnat/cmd/director/internal/buildinfo"
	"lvsnat/dataplane"
	"lvsnat/dataplane/packet"
	"lvsnat/scheduler"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type fakeSource struct {
	stats dataplane.Stats
	err   error
}

func (s fakeSource) Stats(context.Context) (dataplane.Stats, error) { return s.stats, s.err }

func (s fakeSource) Facts() Facts {
	return Facts{
		NICs:         []string{"eth0", "eth1"},
		GuardMode:    "auto",
		GuardActive:  true,
		Classifying:  true,
		TCPProfile:   "rfc",
		ARPConflicts: 3,
		ReloadOK:     true,
		ConfigLoaded: time.UnixMilli(1_700_000_000_500),
		Build:        buildinfo.Info{Version: "1.2.3", GoVersion: "go1.26", Revision: "abc"},
	}
}

func hostOrder(text string) uint32 {
	b := netip.MustParseAddr(text).As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func someStats() dataplane.Stats {
	worker := dataplane.WorkerStats{
		QueuedSent: 5, QueuedLost: 6, Evicted: 7, Connections: 100, HalfOpen: 10, Capacity: 1000,
		Flood: dataplane.FloodShedding, Admitted: 1234,
		Ports: []dataplane.PortStats{
			{Receiver: packet.ReceiverStats{Received: 11, Dropped: 12, Truncated: 13}, Sender: packet.SenderStats{Sent: 14, Dropped: 15}},
			{Receiver: packet.ReceiverStats{Received: 21, Dropped: 22, Truncated: 23}, Sender: packet.SenderStats{Sent: 24, Dropped: 25}},
		},
	}
	worker.Verdicts[dataplane.ForwardedRequest] = 42
	return dataplane.Stats{
		Total:   dataplane.Traffic{Connections: 11, RequestPkts: 22, RequestBytes: 33, ReplyPkts: 44, ReplyBytes: 55},
		Threads: 1,
		Workers: []dataplane.WorkerStats{worker, {Capacity: 1000, Ports: make([]dataplane.PortStats, 2)}},
		Services: []dataplane.ServiceStats{
			{
				Key:     scheduler.Key{Addr: hostOrder("192.168.1.110"), Port: 80, Protocol: 6},
				Traffic: dataplane.Traffic{Connections: 1, RequestPkts: 2, RequestBytes: 3, ReplyPkts: 4, ReplyBytes: 5},
				Realservers: []dataplane.RealserverStats{
					{Addr: hostOrder("10.1.1.2"), Port: 8000, Weight: 2, Active: 8, Inactive: 9, Share: 0.5, Handshake: 1500 * time.Microsecond},
					{Addr: hostOrder("10.1.1.3"), Port: 8000, Active: 1, Removed: true},
				},
			},
			{
				Key:         scheduler.Key{Addr: hostOrder("192.168.1.110"), Port: 53, Protocol: 17},
				Traffic:     dataplane.Traffic{Connections: 10, RequestPkts: 20, RequestBytes: 30, ReplyPkts: 40, ReplyBytes: 50},
				Realservers: []dataplane.RealserverStats{{Addr: hostOrder("10.1.1.2"), Port: 53, Weight: 1, Share: 1, Inactive: 4}},
			},
			{
				Key:         scheduler.ServiceSpec{Address: scheduler.MustParseAddress("192.168.1.96/28:5000-5999"), Protocol: 6}.Key(),
				Realservers: []dataplane.RealserverStats{{Addr: hostOrder("10.1.1.2"), Weight: 3, Share: 3, Active: 6, Inactive: 7}},
			},
		},
	}
}

func TestEveryMetricIsDescribedAndNamedAsPrometheusAsks(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(fakeSource{stats: someStats()}))
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestABackendsHandshakeIsThereOnceItWasMeasured(t *testing.T) {
	want := `
# HELP director_backend_effective_weight The weight that counts at the moment, less than the backend's weight while it starts slowly.
# TYPE director_backend_effective_weight gauge
director_backend_effective_weight{local_address="192.168.1.110",local_mark="",local_port="53",proto="UDP",remote_address="10.1.1.2",remote_port="53"} 1
director_backend_effective_weight{local_address="192.168.1.110",local_mark="",local_port="80",proto="TCP",remote_address="10.1.1.2",remote_port="8000"} 0.5
director_backend_effective_weight{local_address="192.168.1.96/28",local_mark="",local_port="5000-5999",proto="TCP",remote_address="10.1.1.2",remote_port="0"} 3
# HELP director_backend_handshake_seconds The smoothed time that the backend takes to answer the first packet of a connection.
# TYPE director_backend_handshake_seconds gauge
director_backend_handshake_seconds{local_address="192.168.1.110",local_mark="",local_port="80",proto="TCP",remote_address="10.1.1.2",remote_port="8000"} 0.0015
`
	err := testutil.CollectAndCompare(NewCollector(fakeSource{stats: someStats()}), strings.NewReader(want),
		"director_backend_effective_weight", "director_backend_handshake_seconds")
	if err != nil {
		t.Error(err)
	}
}

// The text is node_exporter's own (collector/fixtures/e2e-output.txt) but for
// the values.
func TestTheIPVSMetricsReadAsNodeExporters(t *testing.T) {
	want := `
# HELP node_ipvs_backend_connections_active The current active connections by local and remote address.
# TYPE node_ipvs_backend_connections_active gauge
node_ipvs_backend_connections_active{local_address="192.168.1.110",local_mark="",local_port="53",proto="UDP",remote_address="10.1.1.2",remote_port="53"} 0
node_ipvs_backend_connections_active{local_address="192.168.1.110",local_mark="",local_port="80",proto="TCP",remote_address="10.1.1.2",remote_port="8000"} 8
node_ipvs_backend_connections_active{local_address="192.168.1.96/28",local_mark="",local_port="5000-5999",proto="TCP",remote_address="10.1.1.2",remote_port="0"} 6
# HELP node_ipvs_backend_connections_inactive The current inactive connections by local and remote address.
# TYPE node_ipvs_backend_connections_inactive gauge
node_ipvs_backend_connections_inactive{local_address="192.168.1.110",local_mark="",local_port="53",proto="UDP",remote_address="10.1.1.2",remote_port="53"} 4
node_ipvs_backend_connections_inactive{local_address="192.168.1.110",local_mark="",local_port="80",proto="TCP",remote_address="10.1.1.2",remote_port="8000"} 9
node_ipvs_backend_connections_inactive{local_address="192.168.1.96/28",local_mark="",local_port="5000-5999",proto="TCP",remote_address="10.1.1.2",remote_port="0"} 7
# HELP node_ipvs_backend_weight The current backend weight by local and remote address.
# TYPE node_ipvs_backend_weight gauge
node_ipvs_backend_weight{local_address="192.168.1.110",local_mark="",local_port="53",proto="UDP",remote_address="10.1.1.2",remote_port="53"} 1
node_ipvs_backend_weight{local_address="192.168.1.110",local_mark="",local_port="80",proto="TCP",remote_address="10.1.1.2",remote_port="8000"} 2
node_ipvs_backend_weight{local_address="192.168.1.96/28",local_mark="",local_port="5000-5999",proto="TCP",remote_address="10.1.1.2",remote_port="0"} 3
# HELP node_ipvs_connections_total The total number of connections made.
# TYPE node_ipvs_connections_total counter
node_ipvs_connections_total 11
# HELP node_ipvs_incoming_bytes_total The total amount of incoming data.
# TYPE node_ipvs_incoming_bytes_total counter
node_ipvs_incoming_bytes_total 33
# HELP node_ipvs_incoming_packets_total The total number of incoming packets.
# TYPE node_ipvs_incoming_packets_total counter
node_ipvs_incoming_packets_total 22
# HELP node_ipvs_outgoing_bytes_total The total amount of outgoing data.
# TYPE node_ipvs_outgoing_bytes_total counter
node_ipvs_outgoing_bytes_total 55
# HELP node_ipvs_outgoing_packets_total The total number of outgoing packets.
# TYPE node_ipvs_outgoing_packets_total counter
node_ipvs_outgoing_packets_total 44
`
	names := []string{
		"node_ipvs_connections_total", "node_ipvs_incoming_packets_total", "node_ipvs_outgoing_packets_total",
		"node_ipvs_incoming_bytes_total", "node_ipvs_outgoing_bytes_total",
		"node_ipvs_backend_connections_active", "node_ipvs_backend_connections_inactive", "node_ipvs_backend_weight",
	}
	err := testutil.CollectAndCompare(NewCollector(fakeSource{stats: someStats()}), strings.NewReader(want), names...)
	if err != nil {
		t.Error(err)
	}
}

func TestTheDirectorsOwnMetricsHaveWhatTheSourceSays(t *testing.T) {
	text := scrape(t, fakeSource{stats: someStats()}, "/metrics", http.StatusOK)
	for _, want := range []string{
		`director_packets_total{verdict="forwarded_request",worker="0"} 42`,
		`director_packets_total{verdict="forwarded_request",worker="1"} 0`,
		`director_queued_packets_sent_total{worker="0"} 5`,
		`director_queued_packets_lost_total{worker="0"} 6`,
		`director_connections 100`,
		`director_connections_half_open 10`,
		`director_connections_limit 2000`,
		`director_connections_evicted_total 7`,
		`director_threads 1`,
		`director_flood_stage{stage="shedding",worker="0"} 1`,
		`director_flood_stage{stage="none",worker="0"} 0`,
		`director_flood_stage{stage="none",worker="1"} 1`,
		`director_flood_admitted_per_second{worker="0"} 1234`,
		`director_ring_packets_received_total{nic="eth0",worker="0"} 11`,
		`director_ring_drops_total{nic="eth1",worker="0"} 22`,
		`director_ring_truncated_total{nic="eth0",worker="0"} 13`,
		`director_transmit_packets_total{nic="eth1",worker="0"} 24`,
		`director_transmit_drops_total{nic="eth0",worker="0"} 15`,
		`director_arp_conflicts_total 3`,
		`director_guard{mode="auto"} 1`,
		`director_guard_classifier 1`,
		`director_tcp_profile{profile="rfc"} 1`,
		`director_config_last_reload_successful 1`,
		`director_config_last_reload_success_timestamp_seconds 1.7000000005e+09`,
		`director_build_info{goversion="go1.26",revision="abc",version="1.2.3"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("there is no line %s", want)
		}
	}
	for v := range dataplane.NumVerdicts {
		if want := fmt.Sprintf("director_packets_total{verdict=%q,worker=\"1\"} 0\n", v); !strings.Contains(text, want) {
			t.Errorf("there is no line %s", want)
		}
	}
	for _, name := range []string{"go_goroutines ", "process_start_time_seconds "} {
		if !strings.Contains(text, "\n"+name) {
			t.Errorf("there is no %s", name)
		}
	}
}

func TestAScrapeFailsWhenTheWorkersDoNotAnswer(t *testing.T) {
	text := scrape(t, fakeSource{err: errors.New("worker 1 hangs")}, "/metrics", http.StatusInternalServerError)
	if !strings.Contains(text, "worker 1 hangs") || strings.Contains(text, "node_ipvs") {
		t.Errorf("got %s", text)
	}
}

func TestOnlyMetricsAreServed(t *testing.T) {
	for _, path := range []string{"/", "/metrics/", "/debug/pprof/"} {
		scrape(t, fakeSource{}, path, http.StatusNotFound)
	}
}

// scrape serves the source on a loopback port and asks it for one path.
func scrape(t *testing.T, source Source, path string, wantStatus int) string {
	t.Helper()
	listener, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(NewCollector(source), slog.New(slog.DiscardHandler))
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	transport := &http.Transport{}
	response, err := (&http.Client{Transport: transport}).Get("http://" + listener.Addr().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	transport.CloseIdleConnections()
	if response.StatusCode != wantStatus {
		t.Errorf("%s: status %d, want %d: %s", path, response.StatusCode, wantStatus, text)
	}
	server.Shutdown(t.Context())
	if err := <-done; err != nil {
		t.Error(err)
	}
	return string(text)
}

func TestAnAddressInUseIsSaidSo(t *testing.T) {
	listener, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, err = Listen(listener.Addr().String())
	if err == nil || !strings.Contains(err.Error(), "address already in use: choose another address for the key metrics") {
		t.Errorf("got %v", err)
	}
}
