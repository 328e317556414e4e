// Package peer starts what is measured: the director, and those it is compared
// with. Each peer has a file of its own; a new one is a file and a line in All.
package peer

import (
	"context"
	"fmt"
	"strings"

	"lvsnat/bench/testbed"
)

// A Peer carries the traffic between client and realservers.
type Peer struct {
	Name        string // on the command line and in results
	Description string

	// Can is what kinds of traffic it carries.
	Can testbed.Ability

	// Start has the peer carry traffic until the carrier is stopped.
	Start func(ctx context.Context, b *testbed.Testbed) (*testbed.Carrier, error)
}

// All is every peer.
var All = []Peer{director, nft, haproxy, nginx, testpmd, null, routing, wire}

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

// warmUps is how many requests a peer carries before it is measured, so that
// each of its workers knows the link addresses of all realservers: no
// measurement is about that.
const warmUps = 24

// Run starts the peer, calls f once traffic goes through it, and stops it.
func (p *Peer) Run(ctx context.Context, b *testbed.Testbed, f func(*testbed.Carrier) error) error {
	c, err := p.Start(ctx, b)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	for range warmUps {
		if err == nil && p.Can.Includes(testbed.Streams) {
			err = b.WaitHTTP(ctx, b.Client, c.Target)
		}
	}
	if err == nil {
		err = f(c)
	}
	// Also when ctx has ended, the next one needs the network as it was.
	if stopErr := c.Stop(context.WithoutCancel(ctx)); stopErr != nil && err == nil {
		err = fmt.Errorf("stop %s: %w", p.Name, stopErr)
	}
	return err
}

// undo collects what has to be done backwards to take a peer away again.
type undo []func(context.Context) error

func (u *undo) add(f func(context.Context) error) { *u = append(*u, f) }

// all does everything, whatever fails, and returns the first error.
func (u *undo) all(ctx context.Context) error {
	var first error
	for i := len(*u) - 1; i >= 0; i-- {
		if err := (*u)[i](ctx); err != nil && first == nil {
			first = err
		}
	}
	return first
}
