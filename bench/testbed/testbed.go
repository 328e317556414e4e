// Package testbed is the network that benchmarks run in: the lab's standard
// topology with one realserver machine, so that the director is the only thing
// between two cables.
//
//	client 192.168.1.254 -- veth -- director -- veth -- realserver 10.1.1.2 .3 .4
//
// The realserver machine has three addresses, which are three realservers to
// whoever balances, and runs nginx. A second cable leads from the client past
// the director. All NICs have the offloads they were made with.
package testbed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"lvsnat/test/lab"
)

// Ports of the services, the same on the VIP and on the realservers.
const (
	HTTPPort     = 80
	IperfPort    = 5201
	TransferPort = 5300 // of transfers that a workload makes itself
	UDPPort      = 5301 // the only one of UDP
)

// TCPPorts are those of the services that are TCP.
var TCPPorts = []int{HTTPPort, IperfPort, TransferPort}

// How long a program may take to come up, and how often it is asked.
const (
	readyTimeout   = 10 * time.Second
	requestTimeout = 500 * time.Millisecond
	retryPause     = 10 * time.Millisecond
)

// RIPs are the realservers' addresses.
var RIPs = []netip.Addr{lab.RIP(0), lab.RIP(1), lab.RIP(2)}

// Ends of the cable past the director.
var (
	pastClient = netip.MustParsePrefix("172.31.0.1/30")
	PastRIP    = netip.MustParseAddr("172.31.0.2") // the realserver's
)

// Programs are paths of this project's binaries.
type Programs struct {
	Director string
	Testlvs  string
	Workers  int // of the director; 0: its default
}

// A Testbed is the network with the realservers' programs running. One
// measurement uses it at a time.
type Testbed struct {
	*lab.Topology
	Programs   Programs
	Realserver *lab.Host
	Dir        string // for files of those who use the testbed; removed by Close

	restore []func() error
}

// New builds the network and starts the realservers' programs. It needs root,
// and for its time raises the machine's limit of connections that the kernel
// tracks.
func New(ctx context.Context, programs Programs) (*Testbed, error) {
	dir, err := os.MkdirTemp("", "lvsnat-bench-")
	if err != nil {
		return nil, fmt.Errorf("make the testbed's directory: %w", err)
	}
	b := &Testbed{Programs: programs, Dir: dir}
	if err := b.build(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("build the testbed: %w", err), b.Close())
	}
	return b, nil
}

func (b *Testbed) build(ctx context.Context) error {
	l, err := lab.New()
	if err != nil {
		return err
	}
	b.Topology = &lab.Topology{Lab: l}
	topology, err := l.Build(lab.Options{Realservers: 1, VIPOn: lab.VIPOnNIC})
	if err != nil {
		return err
	}
	b.Topology = topology
	b.Realserver = topology.Realservers[0]
	for _, step := range []func() error{b.address, b.tune, b.raiseConntrack} {
		if err := step(); err != nil {
			return err
		}
	}
	return b.startNginx(ctx)
}

// Close ends all programs and removes the network.
func (b *Testbed) Close() error {
	var errs []error
	if b.Topology != nil {
		errs = append(errs, b.Topology.Close())
	}
	for i := len(b.restore) - 1; i >= 0; i-- {
		errs = append(errs, b.restore[i]())
	}
	return errors.Join(append(errs, os.RemoveAll(b.Dir))...)
}

func (b *Testbed) address() error {
	for _, addr := range RIPs[1:] {
		if err := b.Realserver.AddAddress("eth0", netip.PrefixFrom(addr, 24)); err != nil {
			return err
		}
	}
	// The flood's sources are nobody's addresses, and lead back to the client.
	err := b.Director.AddRoute(lab.Route{To: lab.Default, Via: lab.CIP})
	if err != nil {
		return err
	}
	if err := b.plugPast(); err != nil {
		return err
	}
	// For plain routing without a virtual service.
	inner := netip.PrefixFrom(RIPs[0], 24).Masked()
	return b.Client.AddRoute(lab.Route{To: inner, Via: lab.DirectorIP})
}

// plugPast makes the cable past the director. Its MTU and offloads are those of
// the others.
func (b *Testbed) plugPast() error {
	err := lab.Connect(lab.End{Host: b.Client, NIC: PastDirector}, lab.End{Host: b.Realserver, NIC: PastDirector})
	if err != nil {
		return err
	}
	if err := b.Client.AddAddress(PastDirector, pastClient); err != nil {
		return err
	}
	return b.Realserver.AddAddress(PastDirector, netip.PrefixFrom(PastRIP, pastClient.Bits()))
}

// tune gives hosts that open thousands of connections a second the ports and
// the backlog for it.
func (b *Testbed) tune() error {
	for _, host := range []*lab.Host{b.Client, b.Director, b.Realserver} {
		for key, value := range map[string]string{
			"net.ipv4.ip_local_port_range": "1024 65535",
			"net.ipv4.tcp_max_syn_backlog": "65535",
			"net.core.somaxconn":           "65535",
		} {
			if err := host.Sysctl(key, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// raiseConntrack lets the kernel track every connection of the largest flood:
// kernel NAT is to be measured while it works, not while its table is full.
// The settings are the machine's, so Close puts them back.
func (b *Testbed) raiseConntrack() error {
	// Where conntrack is a module, its settings appear when it is loaded; where
	// it is built in, there is nothing to load.
	_ = exec.Command("modprobe", "nf_conntrack").Run()
	for _, set := range []struct{ path, value string }{
		{"/proc/sys/net/netfilter/nf_conntrack_max", "4194304"},
		// A bucket for each connection of the largest flood. More would only
		// make the kernel's sweeps over the table longer.
		{"/proc/sys/net/netfilter/nf_conntrack_buckets", "1048576"},
	} {
		before, err := os.ReadFile(set.path)
		if err != nil {
			return fmt.Errorf("read the kernel's connection limit: %w", err)
		}
		if err := os.WriteFile(set.path, []byte(set.value), 0o644); err != nil {
			return fmt.Errorf("raise the kernel's connection limit: %w", err)
		}
		b.restore = append(b.restore, func() error { return os.WriteFile(set.path, before, 0o644) })
	}
	return nil
}

const nginxConfig = `
user root;
worker_processes auto;
pid %[1]s/nginx.pid;
error_log stderr;
events { worker_connections 8192; }
http {
	access_log off;
	keepalive_requests 1000000000;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]d backlog=65535 reuseport;
		location / { return 200 "hello\n"; }
	}
}
`

func (b *Testbed) startNginx(ctx context.Context) error {
	dir := filepath.Join(b.Dir, "nginx")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, nginxConfig, dir, HTTPPort), 0o644); err != nil {
		return err
	}
	if _, err := b.Realserver.Start(lab.Command{
		Path: "nginx", Args: []string{"-p", dir, "-c", file, "-e", "stderr", "-g", "daemon off;"},
	}); err != nil {
		return err
	}
	return b.WaitHTTP(ctx, b.Realserver, RIPs[0])
}

// WaitHTTP returns when host gets an answer from the web server at addr.
func (b *Testbed) WaitHTTP(ctx context.Context, host *lab.Host, addr netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	transport := &http.Transport{DialContext: host.DialContext, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: requestTimeout}
	url := "http://" + netip.AddrPortFrom(addr, HTTPPort).String() + "/"
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err == nil {
			response.Body.Close()
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s gets nothing from %s: %w", host.Name, url, err)
		case <-time.After(retryPause):
		}
	}
}

// File writes a file into the testbed's directory and returns its path.
func (b *Testbed) File(name string, lines ...string) (string, error) {
	path := filepath.Join(b.Dir, name)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		return "", err
	}
	return path, nil
}

// NFT has the nft program read a ruleset in a host.
func NFT(ctx context.Context, host *lab.Host, lines ...string) error {
	p, err := host.Start(lab.Command{
		Path: "nft", Args: []string{"-f", "-"},
		Stdin: strings.NewReader(strings.Join(lines, "\n") + "\n"),
	})
	if err != nil {
		return err
	}
	return p.Wait(ctx)
}
