// Package config turns the director's configuration file into a validated Go
// value and back.
//
// The way of a file: syntax.go makes a syntax tree of the text, fields.go and
// value.go walk it with the tables of keys.go, rules.go checks what needs more
// than one key. Every problem found on the way carries the place of the text
// that causes it, and all of them are reported together, so that an operator
// mends a file in one go. Marshal writes with the same tables: a new key is one
// entry in keys.go.
//
// The package keeps no state; its functions may be called concurrently.
package config

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/goccy/go-yaml/ast"

	"lvsnat/conntrack"
	"lvsnat/scheduler"
)

// Config is the wanted state of a director. A Config that Load or Parse
// returned is complete: defaults are filled in and all rules hold.
type Config struct {
	VIPNIC      string // faces the clients
	DIPNIC      string // faces the realservers; may be the same NIC
	Workers     int    // 0: one per CPU
	Connections int    // hard cap of the connection table, all workers together
	Metrics     string // address and port of the Prometheus listener; empty: none
	Guard       Guard
	TCPProfile  conntrack.Profile       // the rules for TCP connections
	Timeouts    Timeouts                // the profile's, where the file has none
	Services    []scheduler.ServiceSpec // in the order of the file; every realserver has a port, or 0 where the service has several
}

// Guard says how the kernel is kept away from the director's packets.
type Guard string

const (
	GuardAuto Guard = "auto" // nft, or nothing where the kernel provably cannot interfere
	GuardNFT  Guard = "nft"  // always the nft table
	GuardNone Guard = "none" // nothing: the operator's word that it is safe
)

// Timeouts are the idle times after which a connection is forgotten, in whole
// seconds. The first are the three that `ipvsadm --set` knows.
type Timeouts struct {
	TCP    time.Duration // established
	TCPFIN time.Duration // after a FIN; under conntrack.RFC after both, or a reset
	UDP    time.Duration
	TCPSYN time.Duration // before it is established; 0 under conntrack.IPVS, where it is fixed
}

// defaultTimeouts are those of a profile.
func defaultTimeouts(p conntrack.Profile) Timeouts {
	of := p.Timeouts().Of
	t := Timeouts{TCP: of(conntrack.Established), TCPFIN: of(conntrack.FinWait), UDP: of(conntrack.UDP)}
	if p == conntrack.RFC {
		t.TCPFIN, t.TCPSYN = of(conntrack.TimeWait), of(conntrack.SynRecv)
	}
	return t
}

// complete fills in what a file has left out.
func (t *Timeouts) complete(p conntrack.Profile) {
	d := defaultTimeouts(p)
	t.TCP = cmp.Or(t.TCP, d.TCP)
	t.TCPFIN = cmp.Or(t.TCPFIN, d.TCPFIN)
	t.UDP = cmp.Or(t.UDP, d.UDP)
	t.TCPSYN = cmp.Or(t.TCPSYN, d.TCPSYN)
}

// defaults is the value of every key that a file may leave out.
func defaults() Config {
	return Config{
		Connections: 2097152,
		Metrics:     "127.0.0.1:9105",
		Guard:       GuardAuto,
		Timeouts:    defaultTimeouts(conntrack.IPVS),
	}
}

// Load reads and checks the file at path. Errors are those of Parse, or say
// why the file could not be read.
func Load(path string) (*Config, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer file.Close()
	// One byte more than Parse accepts is enough to be refused there.
	text, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, text)
}

// Parse checks the text of a configuration file; name is what messages call
// the file. The error joins an *Error for each problem found, in the order of
// the text, and ends with a count when there are very many.
func Parse(name string, text []byte) (*Config, error) {
	d := &decoder{file: name, anchors: make(map[string]ast.Node), items: maxItems}
	doc := document{Config: defaults()}
	if root, ok := d.parse(text); ok {
		fields(root, directorKeys, &doc)
		doc.timeouts.complete(doc.TCPProfile)
		doc.Timeouts = doc.timeouts.Timeouts
		d.check(&doc)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	for _, s := range doc.services {
		doc.Services = append(doc.Services, s.spec())
	}
	return &doc.Config, nil
}
