package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/control"
	"lvsnat/cmd/director/internal/ipvsadm"
	"lvsnat/cmd/director/internal/names"
	"lvsnat/dataplane"
	"lvsnat/dataplane/packet"
	"lvsnat/dataplane/packettest"
	"lvsnat/test/oracle/traffic"
)

// A replica is a director without a box: its NICs are in memory, its clock is
// moved by hand, and the guard is left out. All else is what runs: ipvsadm asks
// over the control socket, and the dataplane carries packets.
type replica struct {
	*director
	t       *testing.T
	clock   packettest.Clock
	elapsed time.Duration
	in      [2]*packettest.Receiver // by port
	out     [2]*packettest.Sender
	waiter  *packettest.Waiter
	client  *control.Client
	unknown chan dataplane.Neighbour // asked for by the dataplane
}

var (
	hostMAC = packettest.MAC("02:00:00:00:00:01")
	nicMACs = [2]packet.MAC{packettest.MAC("02:00:00:00:01:01"), packettest.MAC("02:00:00:00:02:01")}
)

func newReplica(t *testing.T) *replica {
	t.Helper()
	r := &replica{t: t, unknown: make(chan dataplane.Neighbour, 1024)}
	cfg, err := config.Parse("replica", []byte("{vip_nic: vip, dip_nic: dip, workers: 1, max_connections: 10000, guard: none}"))
	must(t, err)
	r.director = newDirector(Options{Log: slog.New(slog.DiscardHandler)}, cfg)
	plane, err := dataplane.New(dataplane.Options{
		Workers: 1, Connections: cfg.Connections, Timeouts: timeoutsOf(cfg), Seed: 1, Now: r.clock.Now, Resolver: r,
	})
	must(t, err)
	r.plane = plane
	plane.SetNetwork(&dataplane.Network{
		Links: []dataplane.Link{{MAC: nicMACs[0], MTU: 1500, Up: true}, {MAC: nicMACs[1], MTU: 1500, Up: true}},
		Routes: []dataplane.Route{
			{Prefix: netip.MustParsePrefix("10.64.0.0/15"), Port: dataplane.VIPPort},
			{Prefix: netip.MustParsePrefix("10.1.1.0/24"), Port: dataplane.DIPPort},
		},
	})
	ports := make([]dataplane.Port, 2)
	for i := range ports {
		r.in[i], r.out[i] = packettest.NewReceiver(t), packettest.NewSender(t)
		ports[i] = dataplane.Port{Receiver: r.in[i], Sender: r.out[i]}
	}
	r.waiter = packettest.NewWaiter(&r.clock, r.in[0], r.in[1])
	must(t, plane.Attach(t.Context(), 0, ports, []dataplane.Waiter{r.waiter}))
	r.launch(plane.Run)
	r.listen()
	t.Cleanup(func() { must(t, r.stop()) })
	return r
}

// listen opens the control socket.
func (r *replica) listen() {
	dir := r.t.TempDir()
	socket, err := net.Listen("unix", filepath.Join(dir, control.SocketName))
	must(r.t, err)
	r.serve(control.NewServer(r, r.Log), socket)
	r.client = control.NewClient(dir)
}

// Replace is the director's without the guard.
func (r *replica) Replace(ctx context.Context, s control.State) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.Revision != r.revision {
		return 0, control.ErrChanged
	}
	next := *r.config
	next.Timeouts, next.Services = s.Timeouts, s.Services
	if err := config.Check(&next); err != nil {
		return 0, err
	}
	if err := r.enforceLocked(ctx, &next); err != nil {
		return 0, err
	}
	r.config = &next
	r.revision++
	return r.revision, nil
}

// Resolve notes who is asked for; settle answers.
func (r *replica) Resolve(n dataplane.Neighbour) {
	select {
	case r.unknown <- n:
	default: // it will be asked for again
	}
}

// settle waits until all is done that can be done now. All neighbours answer.
func (r *replica) settle() {
	packettest.AwaitIdle(r.t, r.waiter)
	for len(r.unknown) > 0 {
		must(r.t, r.plane.SetNeighbour(r.t.Context(), <-r.unknown, hostMAC, true))
		packettest.AwaitIdle(r.t, r.waiter)
	}
}

// until moves the clock.
func (r *replica) until(at time.Duration) {
	if at > r.elapsed {
		r.clock.Advance(at - r.elapsed)
		r.elapsed = at
		r.settle()
	}
}

// ipvsadm carries out a command line.
func (r *replica) ipvsadm(args ...string) (stdout, stderr string, exit int) {
	var out, err bytes.Buffer
	p := ipvsadm.Program{
		Name: "ipvsadm", Stdin: strings.NewReader(""), Stdout: &out, Stderr: &err,
		Names: &names.System{}, Director: r.client,
	}
	exit = p.Run(r.t.Context(), args)
	r.settle()
	return out.String(), err.String(), exit
}

// exchange sends a packet and returns what became of it.
func (r *replica) exchange(p *traffic.Packet) string {
	port := dataplane.VIPPort
	if p.Reply {
		port = dataplane.DIPPort
	}
	r.in[port].Inject(p.Frame(packettest.MACs(hostMAC, nicMACs[port])))
	r.settle()
	outcome := traffic.Nothing
	for port, out := range r.out {
		for _, f := range out.Sent() {
			if seen, ok := traffic.See(f.Data, port == dataplane.VIPPort); ok && seen.Flow == p.Flow() {
				outcome = seen.Outcome(p)
			}
		}
	}
	return outcome
}

// list looks at the tables as a recording does.
func (r *replica) list(vip netip.Addr) []string {
	plain, _, _ := r.ipvsadm("-Ln")
	stats, _, _ := r.ipvsadm("-Ln", "--stats", "--exact")
	connections, _, _ := r.ipvsadm("-Lnc")
	rows, err := traffic.Listing(vip, plain, stats, connections)
	must(r.t, err)
	return rows
}
