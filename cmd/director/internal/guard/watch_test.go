package guard

import (
	"context"
	"sync"
	"testing"

	"github.com/google/gopacket/layers"
	"github.com/google/nftables"

	"lvsnat/cmd/director/internal/nstest"
)

func TestAGuardThatSomebodyRemovesIsPutBack(t *testing.T) {
	box := newBox(t)
	g := box.guard(t)
	box.set(t, g, handled)
	calls := box.watch(t, g, func() { box.set(t, g, handled) })
	toOwn := ethernet(box.mac("eth0"), layers.EthernetTypeIPv4, tcp(client, 1024, ownVIP, 80))
	for _, tt := range []struct {
		name   string
		remove func(*nftables.Conn)
	}{
		{"the table", func(c *nftables.Conn) { c.DelTable(&nftables.Table{Name: Table, Family: nftables.TableFamilyNetdev}) }},
		{"all tables", func(c *nftables.Conn) {
			c.FlushRuleset()
		}},
		{"a chain", func(c *nftables.Conn) {
			chain := &nftables.Chain{Name: chainName(0), Table: &nftables.Table{Name: Table, Family: nftables.TableFamilyNetdev}}
			c.FlushChain(chain)
			c.DelChain(chain)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := calls()
			box.change(t, tt.remove)
			nstest.Eventually(t, "the watcher calls", func() bool { return calls() > before })
			nstest.Eventually(t, "the guard is there", func() bool {
				hooks := 0
				box.Do(func() {
					list, err := g.hooksLocked()
					if err != nil {
						t.Fatal(err)
					}
					hooks = len(list)
				})
				return hooks == 2
			})
			box.Do(func() { addWitness(t, "eth0") }) // they may be gone with the guard
			if box.passes(t, "eth0", toOwn) {
				t.Error("not dropped")
			}
		})
	}
}

func TestTheWatcherKeepsQuietAboutWhatIsNotAmiss(t *testing.T) {
	box := newBox(t)
	g := box.guard(t)
	box.set(t, g, handled)
	calls := box.watch(t, g, func() {})
	other := &nftables.Table{Name: "other", Family: nftables.TableFamilyNetdev}
	box.change(t, func(c *nftables.Conn) { c.AddTable(other) })
	box.change(t, func(c *nftables.Conn) { c.DelTable(other) })
	box.set(t, g, State{})
	box.Do(func() {
		if err := g.Remove(); err != nil {
			t.Error(err)
		}
	})
	if n := calls(); n != 1 {
		t.Errorf("%d calls, want the first only", n)
	}
}

// watch runs the guard's watcher and counts its calls.
func (b *box) watch(t *testing.T, g *Guard, removed func()) (calls func() int) {
	t.Helper()
	var mu sync.Mutex
	n := 0
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		b.Do(func() {
			err := g.Watch(ctx, func() {
				removed()
				mu.Lock()
				defer mu.Unlock()
				n++
			})
			if err != nil {
				t.Errorf("the watcher ended with %v", err)
			}
		})
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	calls = func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
	nstest.Eventually(t, "the watcher's first call", func() bool { return calls() == 1 })
	return calls
}

// change is what somebody else does to nftables.
func (b *box) change(t *testing.T, queue func(*nftables.Conn)) {
	t.Helper()
	b.Do(func() {
		c := &nftables.Conn{}
		queue(c)
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
	})
}
