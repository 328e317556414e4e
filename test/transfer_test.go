package test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

var (
	matrixBytes = flag.Int64("matrix-bytes", 1<<20, "bytes of each transfer of the offload matrix")
	matrixAll   = flag.Bool("matrix-all", false, "all combinations of the offload matrix, instead of all with two workers at MTU 1500 and a sample of the others")
)

const gigabyte = 1 << 30

// transferService is a service with one realserver that serves transfers.
func transferService(t testing.TB, top *lab.Topology) lab.Service {
	t.Helper()
	labtest.Must(t, top.Realservers[0].ServeTCP(":9", lab.ServeTransfer))
	return lab.Service{Address: "192.168.1.110:9", Realservers: lab.Realservers("10.1.1.2")}
}

func TestAGigabyteEachWayArrivesWithTheSameDigest(t *testing.T) {
	for _, c := range []struct{ workers, mtu int }{{1, 1500}, {2, 9000}} {
		t.Run(fmt.Sprintf("workers=%d MTU=%d", c.workers, c.mtu), func(t *testing.T) {
			top := labtest.Build(t, lab.Options{Realservers: 1, MTU: c.mtu})
			config := top.Config(transferService(t, top))
			config.Workers = c.workers
			labtest.StartDirector(t, top, labtest.Start{Config: config})
			both(t, top.Client, gigabyte, 1, 2*time.Minute)
		})
	}
}

func TestTransfersThroughOneNIC(t *testing.T) {
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprintf("workers=%d", workers), func(t *testing.T) {
			top := labtest.Build(t, lab.Options{Realservers: 1, OneNIC: true})
			config := top.Config(transferService(t, top))
			config.Workers = workers
			labtest.StartDirector(t, top, labtest.Start{Config: config})
			both(t, top.Client, 64<<20, 1, time.Minute)
		})
	}
}

// both carries n bytes to the realserver and n bytes back.
func both(t *testing.T, client *lab.Host, n int64, seed uint64, limit time.Duration) {
	t.Helper()
	for _, transfer := range []func(net.Conn, int64, uint64) error{lab.Upload, lab.Download} {
		ctx := labtest.ContextFor(t, limit)
		c, err := client.DialContext(ctx, "tcp4", "192.168.1.110:9")
		labtest.Must(t, err)
		labtest.Must(t, c.SetDeadline(time.Now().Add(limit)))
		err = transfer(c, n, seed)
		c.Close()
		if err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// datagrams sends one of a single byte and one that fills the MTU together with
// the server's name in the answer.
func datagrams(t *testing.T, client *lab.Host, mtu int) {
	t.Helper()
	c, err := client.DialContext(labtest.Context(t), "udp4", "192.168.1.110:9")
	labtest.Must(t, err)
	defer c.Close()
	for _, size := range []int{1, mtu - 28 - len("real1 ")} {
		words := strings.Repeat("x", size)
		if got, want := ask(t, c, words), "real1 "+words; got != want {
			t.Errorf("a datagram of %d bytes was answered by one of %d", size, len(got))
		}
	}
}

// A combination is one of 512: a bit for each of three offloads at each of
// three hosts.
type combination uint16

const combinations = 1 << 9

func (c combination) at(host int) lab.Offloads {
	bits := c >> (3 * host)
	return lab.Offloads{Checksum: bits&1 != 0, Segmentation: bits&2 != 0, GRO: bits&4 != 0}
}

func (c combination) String() string {
	var b strings.Builder
	for host, name := range []string{"client", "director", "realserver"} {
		fmt.Fprintf(&b, "%s:%+v ", name, c.at(host))
	}
	return b.String()
}

// TestEveryCombinationOfOffloadsKeepsTheBytes tries the 512 combinations with
// short transfers; with -matrix-all -matrix-bytes 1073741824 it is the whole
// matrix with a gigabyte each way, which takes hours.
func TestEveryCombinationOfOffloadsKeepsTheBytes(t *testing.T) {
	for _, c := range []struct{ workers, mtu, sample int }{
		{2, 1500, combinations}, {1, 1500, 48}, {1, 9000, 48}, {2, 9000, 48},
	} {
		t.Run(fmt.Sprintf("workers=%d MTU=%d", c.workers, c.mtu), func(t *testing.T) {
			top := labtest.Build(t, lab.Options{Realservers: 1, MTU: c.mtu})
			labtest.Must(t, top.Realservers[0].ServeUDP(":9"))
			config := top.Config(transferService(t, top),
				lab.Service{Address: "192.168.1.110:9", Protocol: "udp", Realservers: lab.Realservers("10.1.1.2")})
			config.Workers = c.workers
			labtest.StartDirector(t, top, labtest.Start{Config: config})
			for _, tried := range sample(t, c.sample) {
				setOffloads(t, top, tried)
				both(t, top.Client, *matrixBytes, uint64(tried), labtest.Limit+time.Duration(*matrixBytes)/10)
				datagrams(t, top.Client, c.mtu)
				if t.Failed() {
					t.Fatalf("with offloads %v", tried)
				}
			}
		})
	}
}

// sample returns n combinations: all, or a random choice.
func sample(t *testing.T, n int) []combination {
	t.Helper()
	list := make([]combination, combinations)
	for c := range list {
		list[c] = combination(c)
	}
	if *matrixAll || n == combinations {
		return list
	}
	random := rand.New(rand.NewPCG(seedOf(t), 0))
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:n]
}

func setOffloads(t *testing.T, top *lab.Topology, c combination) {
	t.Helper()
	for _, nic := range []struct {
		host *lab.Host
		name string
		at   int
	}{{top.Client, "eth0", 0}, {top.Director, top.VIPNIC, 1}, {top.Director, top.DIPNIC, 1}, {top.Realservers[0], "eth0", 2}} {
		labtest.Must(t, nic.host.SetOffloads(nic.name, c.at(nic.at)))
	}
}

func TestIperf3RunsThroughTheDirector(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 1})
	labtest.StartDirector(t, top, labtest.Start{Config: top.Config(
		lab.Service{Address: "192.168.1.110:5201", Realservers: lab.Realservers("10.1.1.2")},
		lab.Service{Address: "192.168.1.110:5201", Protocol: "udp", Realservers: lab.Realservers("10.1.1.2")},
	)})
	for name, args := range map[string][]string{
		"TCP":         {},
		"TCP reverse": {"--reverse"},
		"TCP bidir":   {"--bidir"},
		"UDP":         {"--udp", "--bitrate", "50M"},
		"UDP reverse": {"--udp", "--bitrate", "50M", "--reverse"},
	} {
		t.Run(name, func(t *testing.T) {
			// A server for each run: between two runs it closes its listening socket for a moment.
			server, err := top.Realservers[0].Start(lab.Command{Path: "iperf3", Args: []string{"--server", "--one-off", "--forceflush"}})
			labtest.Must(t, err)
			_, err = server.Stdout().WaitLine(labtest.Context(t), func(line string) bool { return strings.Contains(line, "Server listening") })
			labtest.Must(t, err)
			labtest.Run(t, top.Client, "iperf3", append([]string{"--client", "192.168.1.110", "--time", "1"}, args...)...)
			labtest.Must(t, server.Wait(labtest.Context(t)))
		})
	}
}
