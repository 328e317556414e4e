package guard

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"lvsnat/dataplane"
	"lvsnat/scheduler"
)

// An Endpoint is one side of a service: a virtual service's address, or where
// a realserver's replies come from.
type Endpoint struct {
	Protocol uint8             // IANA number: 6 TCP, 17 UDP
	Addr     scheduler.Address // a realserver has one address
}

// A State says what the director handles.
type State struct {
	Services    []Endpoint
	Realservers []Endpoint   // those included that only finish their connections
	Local       []netip.Addr // the box's own addresses; a VIP among them is the kernel's
}

// A Guard is the director's table in the kernel. All methods may be called
// concurrently. They act on the network namespace of the calling thread.
type Guard struct {
	nics []string
	conn *nftables.Conn

	mu         sync.Mutex
	ruleset    *ruleset   // guarded by mu
	installed  contents   // guarded by mu; what the kernel has
	indexes    []int      // guarded by mu; of the NICs that the kernel's hooks are on
	classifier classifier // guarded by mu
}

// writeBuffer is room for a transaction with about 100,000 elements. The
// kernel takes a transaction as one message (nfnetlink_rcv_batch) and refuses
// what is larger than the socket's buffer.
const writeBuffer = 4 << 20

// New prepares a guard for the NICs, by name and in order of their port
// numbers. A name that comes twice counts once. The kernel is not changed yet.
func New(nics ...string) (*Guard, error) {
	conn, err := nftables.New(nftables.WithSockOptions(growWriteBuffer))
	if err != nil {
		return nil, fmt.Errorf("guard: netlink: %w", err)
	}
	g := &Guard{conn: conn, ruleset: newRuleset(Table)}
	for _, nic := range nics {
		if !slices.Contains(g.nics, nic) {
			g.nics = append(g.nics, nic)
		}
	}
	return g, nil
}

// Set makes the kernel drop what s says and nothing else. It may be called as
// often as one likes, and must be when the services, the box's addresses or a
// NIC's index have changed: the hook goes away with its NIC. When somebody else
// has removed the table (`nft flush ruleset`), Set puts it back. On an error
// the kernel has what it had, or the classifier is late.
func (g *Guard) Set(s State) error {
	wanted, err := contentsOf(s)
	if err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	nics, indexes := present(g.nics)
	if err := g.setRulesLocked(wanted, nics, indexes); err != nil {
		return err
	}
	return g.classifier.set(g.nics[dataplane.VIPPort], indexes[dataplane.VIPPort], wanted)
}

// setRulesLocked makes the rules those of wanted.
func (g *Guard) setRulesLocked(wanted contents, nics []hook, indexes []int) error {
	hooks, err := g.hooksLocked()
	if err != nil {
		return err
	}
	if len(hooks) == len(nics) && g.indexes != nil && slices.Equal(g.indexes, indexes) {
		if g.updateLocked(wanted, nics) == nil {
			return nil
		}
		// Somebody else has changed the sets since they were filled.
	}
	return g.installLocked(wanted, nics, indexes, priorityAfter(hooks))
}

// present returns the NICs that exist, and the indexes of all with 0 for those
// that do not.
func present(names []string) (nics []hook, indexes []int) {
	for port, name := range names {
		index := 0
		if i, err := net.InterfaceByName(name); err == nil {
			nics = append(nics, hook{port, name})
			index = i.Index
		}
		indexes = append(indexes, index)
	}
	return nics, indexes
}

// hooksLocked lists the base chains of the guard's table in the kernel.
func (g *Guard) hooksLocked() ([]*nftables.Chain, error) {
	chains, err := g.conn.ListChainsOfTableFamily(nftables.TableFamilyNetdev)
	if err != nil {
		return nil, fmt.Errorf("guard: list chains: %w", explain(err))
	}
	return slices.DeleteFunc(chains, func(c *nftables.Chain) bool {
		return c.Table.Name != g.ruleset.table.Name || c.Hooknum == nil
	}), nil
}

// priorityAfter returns a priority for hooks that are to take the place of
// others. A transaction's rules change over in one instant, but a packet that
// is at the hooks in that instant meets one after the other: met first, the new
// one could let it pass because it does not count yet, and the old one because
// it does no longer.
func priorityAfter(hooks []*nftables.Chain) nftables.ChainPriority {
	p := firstPriority
	for _, h := range hooks {
		if h.Priority != nil {
			p = max(p, *h.Priority+1)
		}
	}
	if p > lastPriority {
		return firstPriority
	}
	return p
}

// updateLocked brings the sets from what they hold to wanted in one
// transaction. What stays is not touched.
func (g *Guard) updateLocked(wanted contents, nics []hook) error {
	if filled := wanted.shape(); filled != g.installed.shape() {
		g.ruleset.refill(g.conn, nics, filled)
	}
	for set, elements := range wanted {
		gone, added := difference(g.installed[set], elements)
		if err := change(g.conn.SetDeleteElements, g.ruleset.sets[set], gone); err != nil {
			return err
		}
		if err := change(g.conn.SetAddElements, g.ruleset.sets[set], added); err != nil {
			return err
		}
	}
	if err := g.conn.Flush(); err != nil {
		return err
	}
	g.installed = wanted
	return nil
}

// installLocked builds the table anew in one transaction, whatever was there.
func (g *Guard) installLocked(wanted contents, nics []hook, indexes []int, priority nftables.ChainPriority) error {
	if err := g.ruleset.replace(g.conn, nics, wanted.shape(), priority); err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	for set, elements := range wanted {
		if err := change(g.conn.SetAddElements, g.ruleset.sets[set], elements.keys()); err != nil {
			return fmt.Errorf("guard: %w", err)
		}
	}
	if err := g.conn.Flush(); err != nil {
		return fmt.Errorf("guard: install on %v: %w", g.nics, explain(err))
	}
	g.installed, g.indexes = wanted, indexes
	return nil
}

// Remove takes the guard away, its classifier from whatever NIC it is on. It is
// no error when there is none.
func (g *Guard) Remove() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.classifier = classifier{}
	return errors.Join(sweep(0), g.removeRulesLocked())
}

func (g *Guard) removeRulesLocked() error {
	g.ruleset.remove(g.conn)
	if err := g.conn.Flush(); err != nil {
		return fmt.Errorf("guard: remove table netdev %s: %w", g.ruleset.table.Name, explain(err))
	}
	g.installed, g.indexes = contents{}, nil
	return nil
}

// Supported tries the guard out on the NICs without leaving anything behind,
// and says what is missing when the kernel or the caller's rights are not
// enough.
func (g *Guard) Supported() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	nics, _ := present(g.nics)
	probe := newRuleset(Table + "-probe")
	var all shape
	for set := range all {
		all[set] = true
	}
	if err := probe.replace(g.conn, nics, all, firstPriority); err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	g.conn.DelTable(probe.table) // in the same transaction
	if err := g.conn.Flush(); err != nil {
		return explain(err)
	}
	return nil
}

// explain adds to an error of the kernel's what an operator can do about it.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("no right to change nftables, CAP_NET_ADMIN is missing: %w", err)
	case errors.Is(err, unix.EPROTONOSUPPORT):
		return fmt.Errorf("the kernel has no nftables, load module nf_tables: %w", err)
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EAFNOSUPPORT):
		return fmt.Errorf("the kernel's nftables has no family netdev, CONFIG_NF_TABLES_NETDEV is missing: %w", err)
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("the kernel's nftables lacks a part, load modules nft_fib_netdev and nft_fib_ipv4: %w", err)
	case errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.EMSGSIZE):
		return fmt.Errorf("too many services for one transaction, raise net.core.wmem_max to %d: %w", writeBuffer, err)
	}
	return err
}
