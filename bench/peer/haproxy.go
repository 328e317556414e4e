package peer

import (
	"context"
	"fmt"

	"lvsnat/bench/testbed"
	"lvsnat/test/lab"
)

var haproxy = Peer{
	Name:        "haproxy",
	Description: "HAProxy in TCP mode, a thread per CPU",
	Target:      lab.VIP,
	Proxy:       true,
	Start:       startHAProxy,
}

func startHAProxy(ctx context.Context, b *testbed.Testbed) (func(context.Context) error, error) {
	lines := []string{
		"global",
		"	maxconn 4000",
		"defaults",
		"	mode tcp",
		"	balance roundrobin",
		"	timeout connect 5s",
		"	timeout client 60s",
		"	timeout server 60s",
	}
	for _, port := range []int{testbed.HTTPPort, testbed.IperfPort} {
		lines = append(lines, fmt.Sprintf("listen port%d", port), fmt.Sprintf("	bind %s:%d", lab.VIP, port))
		for i, rip := range testbed.RIPs {
			lines = append(lines, fmt.Sprintf("	server rs%d %s:%d", i+1, rip, port))
		}
	}
	file, err := b.File("haproxy.cfg", lines...)
	if err != nil {
		return nil, err
	}
	p, err := b.Director.Start(lab.Command{Path: "haproxy", Args: []string{"-db", "-f", file}})
	if err != nil {
		return nil, err
	}
	return func(context.Context) error { return p.Kill() }, nil
}
