package guard

import (
	"net"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	mdpacket "github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"

	"lvsnat/cmd/director/internal/nstest"
)

// A box is the director's machine between two wires. Witnesses count, on each
// NIC, what comes to the guard and what gets past it.
type box struct {
	*nstest.Namespace
	far   *nstest.Namespace
	peers map[string]*mdpacket.Conn // the far ends of the NICs
}

func newBox(t testing.TB) *box {
	t.Helper()
	b := &box{Namespace: nstest.New(t), far: nstest.New(t), peers: make(map[string]*mdpacket.Conn)}
	// The witnesses count frames: IPv6 would add some of its own accord.
	for _, ns := range []*nstest.Namespace{b.Namespace, b.far} {
		ns.Sysctl("ipv6/conf/default/disable_ipv6", 1)
	}
	b.connect(t, "eth0", "192.0.2.1/24", ownVIP+"/24")
	b.connect(t, "eth1", dip+"/24")
	b.Sysctl("ipv4/ip_forward", 1)
	return b
}

// connect adds a NIC with its wire and witnesses.
func (b *box) connect(t testing.TB, nic string, addrs ...string) {
	t.Helper()
	far := "far-" + nic
	nstest.Veth(b.Namespace, nic, b.far, far)
	for _, a := range addrs {
		b.Addr(nic, a)
	}
	b.far.Do(func() {
		ifi, err := net.InterfaceByName(far)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := mdpacket.Listen(ifi, mdpacket.Raw, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		b.peers[nic] = conn
	})
	b.Do(func() { addWitness(t, nic) })
}

// marker is an EtherType for local experiments (IEEE 802). A frame of it is
// sent after each frame under test: when it has passed, so has that one.
const marker = 0x88b5

func addWitness(t testing.TB, nic string) {
	t.Helper()
	c := &nftables.Conn{}
	table := &nftables.Table{Name: "witness-" + nic, Family: nftables.TableFamilyNetdev}
	c.AddTable(table)
	c.DelTable(table)
	c.AddTable(table)
	chain := func(name string, priority int32) *nftables.Chain {
		return c.AddChain(&nftables.Chain{
			Name: name, Table: table, Type: nftables.ChainTypeFilter, Device: nic,
			Hooknum: nftables.ChainHookIngress, Priority: nftables.ChainPriorityRef(nftables.ChainPriority(priority)),
		})
	}
	count := func(chain *nftables.Chain, op expr.CmpOp) {
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1},
			&expr.Cmp{Op: op, Register: 1, Data: binaryutil.BigEndian.PutUint16(marker)},
			&expr.Counter{},
		}})
	}
	count(chain("before", -1000), expr.CmpOpNeq)
	after := chain("after", 1000)
	count(after, expr.CmpOpNeq)
	count(after, expr.CmpOpEq)
	if err := c.Flush(); err != nil {
		t.Fatalf("witness on %s: %v", nic, err)
	}
}

func (b *box) guard(t testing.TB) *Guard {
	t.Helper()
	g, err := New("eth0", "eth1")
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (b *box) set(t testing.TB, g *Guard, s State) {
	t.Helper()
	b.Do(func() {
		if err := g.Set(s); err != nil {
			t.Fatal(err)
		}
	})
}

func (b *box) mac(nic string) net.HardwareAddr { return b.MAC(nic) }

// passes sends a frame to a NIC and reports whether it gets past the guard.
func (b *box) passes(t *testing.T, nic string, frame []byte) bool {
	t.Helper()
	arrivedBefore, passedBefore := b.counts(t, nic)
	b.send(t, nic, frame)
	nstest.Eventually(t, "the frame arrives", func() bool {
		arrived, _ := b.counts(t, nic)
		return arrived == arrivedBefore+1
	})
	b.mark(t, nic)
	_, passed := b.counts(t, nic)
	return passed != passedBefore
}

// mark returns when all frames sent to the NIC so far have gone their way.
func (b *box) mark(t *testing.T, nic string) {
	t.Helper()
	before := b.counter(t, nic, "after", 1)
	b.send(t, nic, ethernet(b.mac(nic), marker, make([]byte, 46)))
	nstest.Eventually(t, "the marker passes", func() bool { return b.counter(t, nic, "after", 1) > before })
}

func (b *box) send(t *testing.T, nic string, frame []byte) {
	t.Helper()
	if _, err := b.peers[nic].WriteTo(frame, &mdpacket.Addr{HardwareAddr: b.mac(nic)}); err != nil {
		t.Fatal(err)
	}
}

// counts says how many frames came to the guard on a NIC, and how many got past
// it. What the classifier drops the first witness does not see.
func (b *box) counts(t *testing.T, nic string) (arrived, passed uint64) {
	t.Helper()
	return b.counter(t, nic, "before", 0) + b.shot(t, nic), b.counter(t, nic, "after", 0)
}

// shot is how many frames filters have dropped on a NIC.
func (b *box) shot(t testing.TB, nic string) (drops uint64) {
	t.Helper()
	qdiscs, err := b.QdiscList(b.Link(nic))
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range qdiscs {
		if q.Type() == clsact || q.Type() == "ingress" {
			drops += uint64(q.Attrs().Statistics.Queue.Drops)
		}
	}
	return drops
}

// hinder takes the place of the classifier, so that the rules are alone.
func (b *box) hinder(t testing.TB, nic string) {
	t.Helper()
	b.addClsact(t, nic, nil)
	b.addFilter(t, nic, atIngress, allProtocols(filterPriority)+1) // another protocol
}

// addClsact adds a qdisc of somebody else's. A block is one that NICs share.
func (b *box) addClsact(t testing.TB, nic string, block *uint32) {
	t.Helper()
	q := clsactOf(b.Link(nic).Attrs().Index)
	attrs := netlink.QdiscAttrs{LinkIndex: q.index, Handle: q.handle, Parent: q.parent, IngressBlock: block}
	if err := b.QdiscAdd(&netlink.Clsact{QdiscAttrs: attrs}); err != nil {
		t.Fatal(err)
	}
}

// addFilter adds a filter of somebody else's, which lets all go on.
func (b *box) addFilter(t testing.TB, nic string, direction, info uint32) {
	t.Helper()
	raw, err := bpf.Assemble([]bpf.Instruction{bpf.RetConstant{Val: actionPass}})
	if err != nil {
		t.Fatal(err)
	}
	filter := tcObject{index: b.Link(nic).Attrs().Index, kind: filterKind, handle: 1, parent: direction, info: info}
	b.Do(func() {
		if err := replaceFilter(filter, raw); err != nil {
			t.Fatal(err)
		}
	})
}

// filters lists the filters on a NIC in one direction.
func (b *box) filters(t testing.TB, nic string, direction uint32) (list []tcObject) {
	t.Helper()
	b.Do(func() {
		var err error
		if list, err = filters(b.Link(nic).Attrs().Index, direction); err != nil {
			t.Fatal(err)
		}
	})
	return list
}

func (b *box) counter(t *testing.T, nic, chain string, rule int) uint64 {
	t.Helper()
	return b.counters(t, "witness-"+nic, chain)[rule]
}

func (b *box) counters(t *testing.T, table, chain string) (packets []uint64) {
	t.Helper()
	nt := &nftables.Table{Name: table, Family: nftables.TableFamilyNetdev}
	b.Do(func() {
		rules, err := (&nftables.Conn{}).GetRules(nt, &nftables.Chain{Name: chain, Table: nt})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rules {
			for _, e := range r.Exprs {
				if c, ok := e.(*expr.Counter); ok {
					packets = append(packets, c.Packets)
				}
			}
		}
	})
	return packets
}

// dropCounters reads how many packets the guard has dropped, by the set they
// were found in.
func (b *box) dropCounters(t *testing.T) map[string]uint64 {
	t.Helper()
	drops := make(map[string]uint64)
	nt := &nftables.Table{Name: Table, Family: nftables.TableFamilyNetdev}
	b.Do(func() {
		rules, err := (&nftables.Conn{}).GetRules(nt, &nftables.Chain{Name: chainName(0), Table: nt})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rules {
			set := ""
			for _, e := range r.Exprs {
				switch e := e.(type) {
				case *expr.Lookup:
					set = e.SetName
				case *expr.Counter:
					drops[set] += e.Packets
				}
			}
		}
	})
	return drops
}
