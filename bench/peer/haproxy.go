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
	Can:         testbed.Streams,
	Start:       startHAProxy,
}

func startHAProxy(_ context.Context, b *testbed.Testbed) (*testbed.Carrier, error) {
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
	for _, port := range testbed.TCPPorts {
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
	c := testbed.NewCarrier(lab.VIP, func(context.Context) error { return p.Kill() })
	c.Memory = processMemory(p.PID())
	return c, nil
}
