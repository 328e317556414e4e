package peer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"lvsnat/bench/testbed"
	"lvsnat/test/lab"
)

var director = Peer{
	Name:        "director",
	Description: "this project",
	Target:      lab.VIP,
	Start:       startDirector,
}

// stopTimeout is how long a program may take to end after it was told to.
const stopTimeout = 10 * time.Second

func startDirector(ctx context.Context, b *testbed.Testbed) (func(context.Context) error, error) {
	dir := filepath.Join(b.Dir, "director")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	config := b.Config(service(testbed.HTTPPort), service(testbed.IperfPort))
	config.Workers = b.Programs.Workers
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	d, err := b.Director.StartDirector(ctx, lab.DirectorStart{
		Binary: b.Programs.Director, Dir: dir, Config: config.YAML(),
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		return d.Stop(ctx)
	}, nil
}

func service(port int) lab.Service {
	var addresses []string
	for _, rip := range testbed.RIPs {
		addresses = append(addresses, fmt.Sprintf("%s:%d", rip, port))
	}
	return lab.Service{
		Address:     fmt.Sprintf("%s:%d", lab.VIP, port),
		Scheduler:   "rr",
		Realservers: lab.Realservers(addresses...),
	}
}
