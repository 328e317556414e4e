package guard

import (
	"slices"
	"strconv"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"lvsnat/dataplane"
	"lvsnat/dataplane/packet"
)

// Table is the name of the guard's table, of family netdev. A network
// namespace holds one director.
const Table = "lvsnat"

// The guard's hooks come before software flow tables (nft "filter", 0), which
// would forward packets past it. A table that takes another's place goes one
// step further back, see priorityAfter.
const (
	firstPriority = nftables.ChainPriority(-300)
	lastPriority  = nftables.ChainPriority(-100)
)

// Registers of 32 bits (enum nft_registers, linux/netfilter/nf_tables.h). The
// fields of a concatenated key lie in consecutive ones.
const (
	reg0 = unix.NFT_REG32_00 + iota
	reg1
	reg2
	reg3
	reg4
	reg5
)

// A ruleset is the guard's table as the kernel has it:
//
//	table netdev lvsnat {
//		set vips { type ipv4_addr }
//		set vip_ranges { type ipv4_addr; flags interval }
//		set services { type ipv4_addr . inet_proto . inet_service }
//		set whole_services { type ipv4_addr . inet_proto }
//		set service_ranges { type ipv4_addr . inet_proto . inet_service; flags interval }
//		set realservers { type ipv4_addr . inet_proto . inet_service }
//		set whole_realservers { type ipv4_addr . inet_proto }
//		set realserver_ranges { type ipv4_addr . inet_proto . inet_service; flags interval }
//		set replying { type ipv4_addr . inet_proto }
//		set direct { type ipv4_addr . inet_proto . inet_service . ipv4_addr . inet_service; timeout 1h }
//		chain nic0 {
//			type filter hook ingress device eth0 priority -300
//			meta protocol != ip return
//			ip daddr @vips counter drop
//			ip daddr @vip_ranges counter drop
//			ip frag-off & 0x1fff != 0 goto later_fragments
//			ip daddr . ip protocol @whole_services counter drop
//			ip daddr . ip protocol . th dport @services counter drop
//			ip daddr . ip protocol . th dport @service_ranges counter drop
//			from @whole_realservers, fib daddr type != 2-5, not of @direct: counter drop
//			from @realservers, fib daddr type != 2-5, not of @direct: counter drop
//			from @realserver_ranges, fib daddr type != 2-5, not of @direct: counter drop
//			to @whole_realservers: update @direct
//			to @realservers: update @direct
//			to @realserver_ranges: update @direct
//			icmp error that quotes a packet to @whole_realservers, fib daddr type != 2-5, not of @direct: counter drop
//			icmp error that quotes a packet to @realservers, fib daddr type != 2-5, not of @direct: counter drop
//			icmp error that quotes a packet to @realserver_ranges, fib daddr type != 2-5, not of @direct: counter drop
//		}
//		chain nic1 { the same for eth1, but replies first, then requests, then the VIPs }
//		chain later_fragments {
//			ip daddr @vips counter drop
//			ip daddr @vip_ranges counter drop
//			ip saddr . ip protocol @replying fib daddr type != 2-5 counter drop
//		}
//	}
//
// Every packet of every connection passes through here, so the rules of sets
// that are empty are left out, and each NIC meets first what it has most of:
// with all rules in one order the guard took 7 % of the processor time of a
// director under short connections. The sets are hash tables, so a packet costs
// the same with one service and with ten thousand; but for those of ranges, in
// which the kernel searches.
type ruleset struct {
	table  *nftables.Table
	sets   [numSets]*nftables.Set
	direct *nftables.Set
}

// The sets, and what an element of each is.
const (
	vips             = iota // an address that is the director's alone
	vipRanges               // addresses that are the director's alone
	services                // address, protocol and port of a virtual service
	wholeServices           // address and protocol of a virtual service for all ports
	serviceRanges           // address, protocol and ports of a virtual service
	realservers             // address, protocol and port that replies come from
	wholeRealservers        // address and protocol that replies come from, at any port
	realserverRanges        // address, protocol and ports that replies come from
	replying                // address and protocol that replies come from
	numSets
)

func newRuleset(table string) *ruleset {
	t := &nftables.Table{Name: table, Family: nftables.TableFamilyNetdev}
	endpoint := nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService)
	host := nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto)
	return &ruleset{table: t, sets: [numSets]*nftables.Set{
		vips:             {Table: t, Name: "vips", KeyType: nftables.TypeIPAddr},
		vipRanges:        {Table: t, Name: "vip_ranges", KeyType: nftables.TypeIPAddr, Interval: true},
		services:         {Table: t, Name: "services", KeyType: endpoint, Concatenation: true},
		wholeServices:    {Table: t, Name: "whole_services", KeyType: host, Concatenation: true},
		serviceRanges:    {Table: t, Name: "service_ranges", KeyType: endpoint, Concatenation: true, Interval: true},
		realservers:      {Table: t, Name: "realservers", KeyType: endpoint, Concatenation: true},
		wholeRealservers: {Table: t, Name: "whole_realservers", KeyType: host, Concatenation: true},
		realserverRanges: {Table: t, Name: "realserver_ranges", KeyType: endpoint, Concatenation: true, Interval: true},
		replying:         {Table: t, Name: "replying", KeyType: host, Concatenation: true},
	}, direct: newDirect(t)}
}

// replace queues the commands that put this table, with empty sets and the
// rules of the filled ones, in the place of any that has its name.
func (r *ruleset) replace(c *nftables.Conn, nics []hook, filled shape, priority nftables.ChainPriority) error {
	r.remove(c)
	c.AddTable(r.table)
	for _, s := range append(r.sets[:], r.direct) {
		s.ID = 0 // an ID names a set within one batch only
		if err := c.AddSet(s, nil); err != nil {
			return err
		}
	}
	c.AddChain(r.laterFragments())
	for _, nic := range nics {
		c.AddChain(&nftables.Chain{
			Name:     chainName(nic.port),
			Table:    r.table,
			Type:     nftables.ChainTypeFilter,
			Hooknum:  nftables.ChainHookIngress,
			Priority: nftables.ChainPriorityRef(priority),
			Device:   nic.name,
		})
	}
	r.fill(c, nics, filled)
	return nil
}

// A hook is one of the guard's base chains: that of a NIC by its port number.
type hook struct {
	port int
	name string
}

// A shape says which sets have elements.
type shape [numSets]bool

// fill queues the rules of all chains, which are empty.
func (r *ruleset) fill(c *nftables.Conn, nics []hook, filled shape) {
	add := func(chain *nftables.Chain, rules [][]expr.Any) {
		for _, rule := range rules {
			c.AddRule(&nftables.Rule{Table: r.table, Chain: chain, Exprs: rule})
		}
	}
	for _, nic := range nics {
		add(&nftables.Chain{Name: chainName(nic.port), Table: r.table}, r.rules(nic.port, filled))
	}
	add(r.laterFragments(), filled.keep(r.toVIP(), r.fragments()))
}

// laterFragments is the chain that all NICs share.
func (r *ruleset) laterFragments() *nftables.Chain {
	return &nftables.Chain{Name: "later_fragments", Table: r.table}
}

// refill queues the commands that put the rules of another shape in the place
// of those there.
func (r *ruleset) refill(c *nftables.Conn, nics []hook, filled shape) {
	for _, nic := range nics {
		c.FlushChain(&nftables.Chain{Name: chainName(nic.port), Table: r.table})
	}
	c.FlushChain(r.laterFragments())
	r.fill(c, nics, filled)
}

// chainName names the base chain of a port.
func chainName(port int) string { return "nic" + strconv.Itoa(port) }

// remove queues the removal of the table. To delete what is not there is an
// error, so it is added first; both happen in one transaction.
func (r *ruleset) remove(c *nftables.Conn) {
	c.AddTable(r.table)
	c.DelTable(r.table)
}

// A rule holds a packet's key against a set.
type rule struct {
	set   int
	exprs []expr.Any
}

// keep returns the rules whose sets have elements.
func (filled shape) keep(lists ...[]rule) (kept [][]expr.Any) {
	for _, rule := range slices.Concat(lists...) {
		if filled[rule.set] {
			kept = append(kept, rule.exprs)
		}
	}
	return kept
}

// toVIP are the rules for what is sent to an address that is the director's
// alone.
func (r *ruleset) toVIP() []rule {
	return []rule{
		{vips, r.drop(vips, network(daddrOffset, 4, reg0))},
		{vipRanges, r.drop(vipRanges, network(daddrOffset, 4, reg0))},
	}
}

// fragments are the rules for what a realserver sends without ports.
func (r *ruleset) fragments() []rule {
	return []rule{
		{replying, r.dropForwarded(replying, slices.Concat(network(saddrOffset, 4, reg0), protocol(reg1)), nil)},
	}
}

// rules are those of a port's chain, in order.
func (r *ruleset) rules(port int, filled shape) [][]expr.Any {
	requests := []rule{
		{wholeServices, r.drop(wholeServices, network(daddrOffset, 4, reg0), protocol(reg1))},
		{services, r.drop(services, network(daddrOffset, 4, reg0), protocol(reg1), transport(dportOffset, 2, reg2))},
		{serviceRanges, r.drop(serviceRanges, network(daddrOffset, 4, reg0), protocol(reg1), transport(dportOffset, 2, reg2))},
	}
	replies := []rule{
		{wholeRealservers, r.dropForwarded(wholeRealservers, fromRealserver(), r.notDirect())},
		{realservers, r.dropForwarded(realservers, fromRealserver(), r.notDirect())},
		{realserverRanges, r.dropForwarded(realserverRanges, fromRealserver(), r.notDirect())},
	}
	others := []rule{
		{wholeRealservers, r.remember(wholeRealservers, toRealserver())},
		{realservers, r.remember(realservers, toRealserver())},
		{realserverRanges, r.remember(realserverRanges, toRealserver())},
		{wholeRealservers, r.dropForwarded(wholeRealservers, icmpQuote(), r.notDirect())},
		{realservers, r.dropForwarded(realservers, icmpQuote(), r.notDirect())},
		{realserverRanges, r.dropForwarded(realserverRanges, icmpQuote(), r.notDirect())},
	}
	onlyIPv4 := append(notIPv4(), &expr.Verdict{Kind: expr.VerdictReturn})
	onlyPorts := append(laterFragment(), &expr.Verdict{Kind: expr.VerdictGoto, Chain: r.laterFragments().Name})
	if port == dataplane.VIPPort {
		return slices.Concat([][]expr.Any{onlyIPv4}, filled.keep(r.toVIP()),
			[][]expr.Any{onlyPorts}, filled.keep(requests, replies, others))
	}
	return slices.Concat([][]expr.Any{onlyIPv4, onlyPorts}, filled.keep(replies, requests, r.toVIP(), others))
}

// Offsets of header fields (RFC 791, 792, 793, 768), bytes.
const (
	idOffset       = 4
	protocolOffset = 9
	saddrOffset    = 12
	daddrOffset    = 16
	sportOffset    = 0
	dportOffset    = 2
)

// drop makes the rule that drops what has a key in the set.
func (r *ruleset) drop(set int, key ...[]expr.Any) []expr.Any {
	return slices.Concat(slices.Concat(key...), r.in(set), dropped())
}

// dropForwarded is drop for what the kernel would forward and for which besides
// holds. What a realserver sends to the box itself is the answer to a health
// check, and stays.
func (r *ruleset) dropForwarded(set int, key, besides []expr.Any) []expr.Any {
	return slices.Concat(key, r.in(set), forwarded(), besides, dropped())
}

// in matches when the key in the registers from reg0 on is in the set.
func (r *ruleset) in(set int) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: reg0, SetName: r.sets[set].Name, SetID: r.sets[set].ID}}
}

// dropped counts the packet, so that `nft list ruleset` shows what the guard
// does, and drops it.
func dropped() []expr.Any {
	return []expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}}
}

func notIPv4() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: reg0},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg0, Data: binaryutil.BigEndian.PutUint16(packet.TypeIPv4)},
	}
}

// network loads a field of the IP header.
func network(offset, length, register uint32) []expr.Any {
	return []expr.Any{&expr.Payload{Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length, DestRegister: register}}
}

// transport loads a field of the transport header. A later fragment has none,
// but the kernel reads its payload in that place (nft_payload_fast_eval in
// net/netfilter/nf_tables_core.c, seen with 6.18), so none may come this far.
func transport(offset, length, register uint32) []expr.Any {
	return []expr.Any{&expr.Payload{Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: length, DestRegister: register}}
}

// protocol loads the IP header's protocol. It is the same as meta l4proto, but
// what is read from the packet takes no call in the kernel
// (nft_payload_fast_eval).
func protocol(register uint32) []expr.Any {
	return network(protocolOffset, 1, register)
}

// forwarded matches unless the destination is the box's own, a broadcast or a
// multicast address. The kernel's own answer is asked for, because a copy of
// its address list is late for a moment after each change. The address types
// lie side by side: RTN_LOCAL 2, RTN_BROADCAST 3, RTN_ANYCAST 4, RTN_MULTICAST
// 5 (linux/rtnetlink.h).
func forwarded() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: reg5, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Range{
			Op:       expr.CmpOpNeq,
			Register: reg5,
			FromData: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL),
			ToData:   binaryutil.NativeEndian.PutUint32(unix.RTN_MULTICAST),
		},
	}
}

// laterFragment matches all fragments but the first. They carry no ports, so
// all that a replying realserver sends by the service's protocol is held back:
// forwarded without the first, which is dropped, they are of no use to anyone.
// Towards a VIP that the kernel owns no such rule is needed: the kernel keeps
// the fragments for its reassembly and drops them silently, because the first
// one never comes (ip_expire in net/ipv4/ip_fragment.c).
//
// The identification before the offset is read with it, because masking four
// bytes takes no call in the kernel and masking two does (nft_bitwise_fast_ops).
func laterFragment() []expr.Any {
	zero := []byte{0, 0, 0, 0}
	return append(network(idOffset, 4, reg0),
		&expr.Bitwise{SourceRegister: reg0, DestRegister: reg0, Len: 4, Mask: []byte{0, 0, 0x1f, 0xff}, Xor: zero},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg0, Data: zero},
	)
}

// icmpQuote matches ICMP errors and loads what toRealserver does of the packet
// they quote, which begins after the eight bytes of the
// ICMP header (RFC 792). Of a quote with IP options nothing is known.
func icmpQuote() []expr.Any {
	const quote = packet.ICMPLen
	return slices.Concat(
		protocol(reg0),
		[]expr.Any{&expr.Cmp{Op: expr.CmpOpEq, Register: reg0, Data: []byte{packet.ICMPProtocol}}},
		// Errors are types 3, 4, 5, 11 and 12; of those between, only an echo
		// request (8) carries bytes of somebody's choice there.
		transport(0, 1, reg0),
		[]expr.Any{
			&expr.Range{Op: expr.CmpOpEq, Register: reg0, FromData: []byte{3}, ToData: []byte{12}},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: reg0, Data: []byte{8}},
		},
		transport(quote, 1, reg0),
		[]expr.Any{&expr.Cmp{Op: expr.CmpOpEq, Register: reg0, Data: []byte{0x45}}},
		transport(quote+daddrOffset, 4, reg0),
		transport(quote+protocolOffset, 1, reg1),
		transport(quote+packet.IPv4Len+dportOffset, 2, reg2),
		transport(quote+saddrOffset, 4, reg3),
		transport(quote+packet.IPv4Len+sportOffset, 2, reg4),
	)
}
