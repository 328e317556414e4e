package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A DirectorConfig is what the lab writes into a director's configuration
// file. Keys that are empty are left out, so that the director's default
// holds.
type DirectorConfig struct {
	VIPNIC, DIPNIC string
	Workers        int
	Guard          string
	Metrics        string // empty: none
	Extra          string // YAML lines that are appended
	Services       []Service
}

// A Service is a virtual service in a configuration file.
type Service struct {
	Address     string // 192.168.1.110:80
	Protocol    string // tcp or udp; empty: tcp
	Scheduler   string // empty: the director's default
	Extra       string // a YAML line that is added
	Realservers []Realserver
}

// A Realserver is one in a configuration file.
type Realserver struct {
	Address string // with a port, or without for the service's
	Weight  int    // as in the file; Weight1 in most cases
}

// Realservers returns realservers of weight 1.
func Realservers(addresses ...string) []Realserver {
	list := make([]Realserver, len(addresses))
	for i, a := range addresses {
		list[i] = Realserver{Address: a, Weight: 1}
	}
	return list
}

// YAML returns the configuration file's text.
func (c DirectorConfig) YAML() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("vip_nic: %s", c.VIPNIC)
	line("dip_nic: %s", c.DIPNIC)
	line("metrics: %q", c.Metrics)
	if c.Workers != 0 {
		line("workers: %d", c.Workers)
	}
	if c.Guard != "" {
		line("guard: %s", c.Guard)
	}
	if c.Extra != "" {
		line("%s", strings.TrimRight(c.Extra, "\n"))
	}
	if len(c.Services) == 0 {
		return b.String()
	}
	line("services:")
	for _, s := range c.Services {
		line("  - address: %s", s.Address)
		line("    protocol: %s", strings.ToLower(orDefault(s.Protocol, "tcp")))
		if s.Scheduler != "" {
			line("    scheduler: %s", s.Scheduler)
		}
		if s.Extra != "" {
			line("    %s", s.Extra)
		}
		if len(s.Realservers) == 0 {
			continue
		}
		line("    realservers:")
		for _, r := range s.Realservers {
			line("      - {address: %q, weight: %s}", r.Address, strconv.Itoa(r.Weight))
		}
	}
	return b.String()
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// A Director is a director process in a host, with its configuration file and
// state directory.
type Director struct {
	*Process
	Host     *Host
	Binary   string
	StateDir string
	File     string // the configuration file
}

// A DirectorStart says how to start a director.
type DirectorStart struct {
	Binary string // path of the program
	Dir    string // for the configuration file and the state; exists, and is the caller's to remove
	Config string // the file's text
	Env    []string
	Attr   *syscall.SysProcAttr // user, capabilities
	Wrap   []string             // program and arguments that run the director, such as setpriv
}

// StartDirector starts a director in the host. It returns once packets are
// forwarded, or with the director's own words when it gives up.
func (h *Host) StartDirector(ctx context.Context, s DirectorStart) (*Director, error) {
	d := &Director{
		Host: h, Binary: s.Binary,
		StateDir: filepath.Join(s.Dir, "state"), File: filepath.Join(s.Dir, "director.yaml"),
	}
	if err := d.Write(s.Config); err != nil {
		return nil, err
	}
	args := append(s.Wrap[:len(s.Wrap):len(s.Wrap)], s.Binary, "run", "-c", d.File, "--state-dir", d.StateDir)
	p, err := h.Start(Command{Path: args[0], Args: args[1:], Env: s.Env, Attr: s.Attr})
	if err != nil {
		return nil, err
	}
	d.Process = p
	if _, err := p.Stderr().WaitLine(ctx, isReady); err != nil {
		return nil, errors.Join(fmt.Errorf("the director did not get ready: %w", err), p.Kill())
	}
	return d, nil
}

func isReady(line string) bool { return line == "director ready" }

// Write replaces the configuration file; Reload applies it.
func (d *Director) Write(config string) error {
	if err := os.WriteFile(d.File, []byte(config), 0o644); err != nil {
		return fmt.Errorf("configuration of the director: %w", err)
	}
	return nil
}

// Control runs a subcommand that talks to the director, e.g. status --json,
// and returns what it wrote to stdout.
func (d *Director) Control(ctx context.Context, args ...string) (string, error) {
	return d.Host.Run(ctx, d.Binary, append([]string{"--state-dir", d.StateDir}, args...)...)
}

// Reload writes a configuration and has the director apply it.
func (d *Director) Reload(ctx context.Context, config string) error {
	if err := d.Write(config); err != nil {
		return err
	}
	_, err := d.Control(ctx, "reload")
	return err
}

// Config returns a configuration for the topology with its NICs.
func (t *Topology) Config(services ...Service) DirectorConfig {
	return DirectorConfig{VIPNIC: t.VIPNIC, DIPNIC: t.DIPNIC, Services: services}
}
