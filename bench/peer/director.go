package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lvsnat/bench/testbed"
	"lvsnat/test/lab"
)

var director = Peer{
	Name:        "director",
	Description: "this project",
	Can:         testbed.Streams | testbed.Datagrams | testbed.Forged,
	Start:       startDirector,
}

// stopTimeout is how long a program may take to end after it was told to.
const stopTimeout = 10 * time.Second

func startDirector(ctx context.Context, b *testbed.Testbed) (*testbed.Carrier, error) {
	dir := filepath.Join(b.Dir, "director")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	services := []lab.Service{service("udp", testbed.UDPPort)}
	for _, port := range testbed.TCPPorts {
		services = append(services, service("tcp", port))
	}
	config := b.Config(services...)
	config.Workers = b.Programs.Workers
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	d, err := b.Director.StartDirector(ctx, lab.DirectorStart{
		Binary: b.Programs.Director, Dir: dir, Config: config.YAML(),
	})
	if err != nil {
		return nil, err
	}
	c := testbed.NewCarrier(lab.VIP, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		// What it keeps for its next start would be a head start there.
		return errors.Join(d.Stop(ctx), os.RemoveAll(dir))
	})
	c.Memory = processMemory(d.PID())
	c.Losses = func(ctx context.Context) (map[string]float64, error) {
		text, err := d.Control(ctx, "status", "--json")
		if err != nil {
			return nil, err
		}
		return parseStatus([]byte(text))
	}
	return c, nil
}

func service(protocol string, port int) lab.Service {
	var addresses []string
	for _, rip := range testbed.RIPs {
		addresses = append(addresses, fmt.Sprintf("%s:%d", rip, port))
	}
	return lab.Service{
		Address:     fmt.Sprintf("%s:%d", lab.VIP, port),
		Protocol:    protocol,
		Scheduler:   "rr",
		Realservers: lab.Realservers(addresses...),
	}
}

// parseStatus reads what became of frames that were not forwarded from the
// answer of director status --json: the verdicts, and what the rings lost.
func parseStatus(text []byte) (map[string]float64, error) {
	var status struct {
		Packets map[string]float64
		NICs    []struct {
			Name            string
			ReceiveDropped  float64 `json:"receive_dropped"`
			Truncated       float64 `json:"receive_truncated"`
			TransmitDropped float64 `json:"transmit_dropped"`
		}
	}
	if err := json.Unmarshal(text, &status); err != nil {
		return nil, fmt.Errorf("read the director's status: %w", err)
	}
	losses := make(map[string]float64)
	for verdict, n := range status.Packets {
		if !strings.HasPrefix(verdict, "forwarded_") {
			losses["verdict_"+verdict] = n
		}
	}
	for _, nic := range status.NICs {
		losses["ring_"+nic.Name+"_receive_dropped"] = nic.ReceiveDropped
		losses["ring_"+nic.Name+"_truncated"] = nic.Truncated
		losses["ring_"+nic.Name+"_transmit_dropped"] = nic.TransmitDropped
	}
	return losses, nil
}
