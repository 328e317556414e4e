package peer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"lvsnat/bench/testbed"
	"lvsnat/test/lab"
)

var nginx = Peer{
	Name:        "nginx",
	Description: "nginx's stream module, a process per CPU",
	Can:         testbed.Streams | testbed.Datagrams,
	Start:       startNginx,
}

// streamModule is where Debian has the module, which its nginx
// does not have built in.
const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so"

func startNginx(_ context.Context, b *testbed.Testbed) (*testbed.Carrier, error) {
	dir := filepath.Join(b.Dir, "nginx-stream")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lines := []string{
		"load_module " + streamModule + ";",
		"user root;",
		"worker_processes auto;",
		"worker_rlimit_nofile 65536;",
		"pid " + dir + "/nginx.pid;",
		"error_log stderr crit;",
		"events { worker_connections 16384; }",
		"stream {",
	}
	for _, port := range testbed.TCPPorts {
		lines = append(lines, upstream(port)...)
		lines = append(lines, fmt.Sprintf("	server { listen %s:%d reuseport backlog=65535; proxy_pass port%d; }", lab.VIP, port, port))
	}
	lines = append(lines, upstream(testbed.UDPPort)...)
	lines = append(lines,
		fmt.Sprintf("	server { listen %s:%d udp reuseport; proxy_timeout 5s; proxy_pass port%d; }", lab.VIP, testbed.UDPPort, testbed.UDPPort),
		"}")
	file, err := b.File("nginx-stream.conf", lines...)
	if err != nil {
		return nil, err
	}
	p, err := b.Director.Start(lab.Command{
		Path: "nginx", Args: []string{"-p", dir, "-c", file, "-e", "stderr", "-g", "daemon off;"},
	})
	if err != nil {
		return nil, err
	}
	return testbed.NewCarrier(lab.VIP, func(context.Context) error { return p.Kill() }), nil
}

func upstream(port int) []string {
	lines := []string{fmt.Sprintf("	upstream port%d {", port)}
	for _, rip := range testbed.RIPs {
		lines = append(lines, fmt.Sprintf("		server %s:%d;", rip, port))
	}
	return append(lines, "	}")
}
