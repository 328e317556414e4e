package guard

import (
	"testing"

	"github.com/google/gopacket/layers"
	"github.com/google/nftables"

	"lvsnat/scheduler"
)

func TestGuardDropsRangesAndNothingBesideThem(t *testing.T) {
	checkDrops(t, []dropTest{
		{"the first port of a range", "eth0", tcp(client, 1024, ownVIP, 5000), true},
		{"a port of two ranges", "eth0", tcp(client, 1024, ownVIP, 5150), true},
		{"the last port of a range", "eth0", tcp(client, 1024, ownVIP, 5999), true},
		{"the port below a range", "eth0", tcp(client, 1024, ownVIP, 4999), false},
		{"the port above a range", "eth0", tcp(client, 1024, ownVIP, 6000), false},
		{"another protocol to a range of ports", "eth0", udp(client, 1024, ownVIP, 5500), false},
		{"a range of ports of another address", "eth0", tcp(client, 1024, "192.0.2.1", 5500), false},

		{"the first address of a range", "eth0", tcp(client, 1024, "192.0.2.32", 80), true},
		{"another port of an address of a range", "eth0", tcp(client, 1024, "192.0.2.33", 22), true},
		{"an echo request to an address of a range", "eth0", echo(client, "192.0.2.47"), true},
		{"the last address of two ranges", "eth0", tcp(client, 1024, "192.0.2.63", 80), true},
		{"the address below a range", "eth0", tcp(client, 1024, "192.0.2.31", 80), false},
		{"the address above a range", "eth0", tcp(client, 1024, "192.0.2.64", 80), false},
		{"an address of a range that the kernel owns", "eth0", tcp(client, 1024, "192.0.2.40", 80), true},
		{"another port of that address", "eth0", tcp(client, 1024, "192.0.2.40", 22), false},
		{"an echo request to that address", "eth0", echo(client, "192.0.2.40"), false},
		{"both ranges at an address that the kernel owns", "eth0", tcp(client, 1024, "192.0.2.50", 5500), true},
		{"a port beside the range there", "eth0", tcp(client, 1024, "192.0.2.50", 6000), false},
		{"all ports of a range there", "eth0", udp(client, 1024, "192.0.2.50", 6000), true},

		{"a reply from the first port of a range", "eth1", tcp(rangeServer, 5000, client, 1024), true},
		{"a reply from a port of the second range", "eth1", tcp(rangeServer, 6500, client, 1024), true},
		{"what comes from the port below a range", "eth1", tcp(rangeServer, 4999, client, 1024), false},
		{"what comes from the port above a range", "eth1", tcp(rangeServer, 6501, client, 1024), false},
		{"a health check's answer from a range of ports", "eth1", tcp(rangeServer, 5000, dip, 1024), false},
		{"another protocol from a range of ports", "eth1", udp(rangeServer, 5000, client, 1024), false},
		{"a later fragment of a reply from a range of ports", "eth1", fragment(tcp(rangeServer, 5000, client, 1024), 185, true), true},
		{"an ICMP error about a request to a range of ports", "eth1", icmpError(rangeServer, client, tcp(client, 1024, rangeServer, 5999)), true},
		{"an ICMP error about a request beside it", "eth1", icmpError(rangeServer, client, tcp(client, 1024, rangeServer, 4999)), false},
	})
}

func TestRangesGrowShrinkAndMove(t *testing.T) {
	box := newBox(t)
	g := box.guard(t)
	expect := func(p aim, dropped bool) {
		t.Helper()
		frame := ethernet(box.mac("eth0"), layers.EthernetTypeIPv4, tcp(client, 1024, p.to, p.port))
		if got := !box.passes(t, "eth0", frame); got != dropped {
			t.Errorf("%v: dropped %v, want %v", p, got, dropped)
		}
	}
	state := func(addresses ...string) State {
		s := State{Local: handled.Local}
		for _, a := range addresses {
			s.Services = append(s.Services, Endpoint{6, scheduler.MustParseAddress(a)})
		}
		return s
	}
	box.set(t, g, handled)
	before := box.priority(t, g)
	for _, tt := range []struct {
		state           State
		dropped, passed []aim
	}{
		{state(ownVIP + ":5000-5999"), []aim{{ownVIP, 5000}, {ownVIP, 5999}}, []aim{{ownVIP, 6000}}},
		{state(ownVIP + ":5500-6500"), []aim{{ownVIP, 5500}, {ownVIP, 6500}}, []aim{{ownVIP, 5499}}},
		{state(ownVIP+":5000-6999", ownVIP+":5500-6500"), []aim{{ownVIP, 5000}, {ownVIP, 6999}}, []aim{{ownVIP, 4999}}},
		{state("192.0.2.32/28:80"), []aim{{"192.0.2.32", 80}, {"192.0.2.47", 80}}, []aim{{"192.0.2.48", 80}, {ownVIP, 5500}}},
		{state("192.0.2.32/27:80"), []aim{{"192.0.2.32", 80}, {"192.0.2.63", 80}}, []aim{{"192.0.2.64", 80}}},
		{state("192.0.2.36/30:80"), []aim{{"192.0.2.36", 80}, {"192.0.2.39", 80}}, []aim{{"192.0.2.35", 80}, {"192.0.2.40", 80}}},
		{state("192.0.2.36/30:80", "192.0.2.44/30:80"), []aim{{"192.0.2.36", 80}, {"192.0.2.47", 80}}, []aim{{"192.0.2.43", 80}}},
	} {
		box.set(t, g, tt.state)
		for _, p := range tt.dropped {
			expect(p, true)
		}
		for _, p := range tt.passed {
			expect(p, false)
		}
	}
	if after := box.priority(t, g); after != before {
		t.Errorf("the table was built anew, at priority %d instead of %d", after, before)
	}
}

// priority is that of the guard's hooks, which a table that is built anew
// changes.
func (b *box) priority(t *testing.T, g *Guard) (p nftables.ChainPriority) {
	t.Helper()
	b.Do(func() {
		hooks, err := g.hooksLocked()
		if err != nil || len(hooks) == 0 {
			t.Fatalf("%d hooks, %v", len(hooks), err)
		}
		p = *hooks[0].Priority
	})
	return p
}

// An aim is where a packet goes to.
type aim struct {
	to   string
	port uint16
}
