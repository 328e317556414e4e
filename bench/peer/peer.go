// Package peer starts what is measured: the director, and those it is compared
// with. Each peer has a file of its own; a new one is a file and a line in All.
package peer

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"lvsnat/bench/testbed"
)

// A Peer carries the traffic between client and realservers.
type Peer struct {
	Name        string // on the command line and in results
	Description string

	// Target is the address that the client talks to.
	Target netip.Addr

	// Proxy says that the peer ends the client's connections and opens its own,
	// so that a packet that belongs to none does not get through.
	Proxy bool

	// Start has the peer carry traffic until stop is called.
	Start func(ctx context.Context, b *testbed.Testbed) (stop func(context.Context) error, err error)
}

// All is every peer.
var All = []Peer{director, nft, haproxy, routing}

// ByName finds a peer.
func ByName(name string) (Peer, error) {
	var names []string
	for _, p := range All {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Peer{}, fmt.Errorf("unknown peer %q: there are %s", name, strings.Join(names, ", "))
}

// Run starts the peer, calls f once an HTTP request goes through it, and stops
// it.
func (p *Peer) Run(ctx context.Context, b *testbed.Testbed, f func() error) error {
	stop, err := p.Start(ctx, b)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	err = b.WaitHTTP(ctx, b.Client, p.Target)
	if err == nil {
		err = f()
	}
	// Also when ctx has ended, the next one needs the network as it was.
	if stopErr := stop(context.WithoutCancel(ctx)); stopErr != nil && err == nil {
		err = fmt.Errorf("stop %s: %w", p.Name, stopErr)
	}
	return err
}
