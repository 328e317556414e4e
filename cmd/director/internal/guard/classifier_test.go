package guard

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket/layers"

	"lvsnat/cmd/director/internal/nstest"
	"lvsnat/scheduler"
)

// there reports whether the classifier is on a NIC.
func (b *box) there(t testing.TB, nic string) bool {
	t.Helper()
	return slices.ContainsFunc(b.filters(t, nic, atIngress), tcObject.ours)
}

// qdisc is the kind of the qdisc that holds a NIC's filters; empty: there is none.
func (b *box) qdisc(t testing.TB, nic string) (kind string) {
	t.Helper()
	b.Do(func() {
		list, err := qdiscs()
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range list {
			if q.index == b.Link(nic).Attrs().Index {
				kind = q.kind
			}
		}
	})
	return kind
}

func (b *box) remove(t testing.TB, g *Guard) {
	t.Helper()
	b.Do(func() {
		if err := g.Remove(); err != nil {
			t.Fatal(err)
		}
	})
}

// dropsARequest checks that a request to a service of an owned VIP is dropped,
// and by whom.
func (b *box) dropsARequest(t *testing.T, nic string, byClassifier bool) {
	t.Helper()
	before := b.shot(t, nic)
	if b.passes(t, nic, ethernet(b.mac(nic), layers.EthernetTypeIPv4, tcp(client, 1024, ownVIP, 80))) {
		t.Error("a request passes")
	}
	if by := b.shot(t, nic) > before; by != byClassifier {
		t.Errorf("dropped by the classifier: %v, want %v", by, byClassifier)
	}
}

func TestRequestsDoNotReachTheRules(t *testing.T) {
	box := newBox(t)
	g := box.guard(t)
	box.set(t, g, handled)
	if active, why := g.Classifier(); !active || why != "a tc filter on eth0" {
		t.Errorf("classifier %v, %q", active, why)
	}
	requests := [][]byte{
		tcp(client, 1024, ownVIP, 80), udp(client, 1024, ownVIP, 53), fragment(udp(client, 1024, ownVIP, 53), 0, true),
		withOptions(tcp(client, 1024, ownVIP, 5500)), tcp(client, 1024, wholeVIP, 4711),
		tcp(client, 1024, foreignVIP, 80), echo(client, foreignVIP), tcp(client, 1024, "192.0.2.33", 22),
	}
	for _, p := range requests {
		frame := ethernet(box.mac("eth0"), layers.EthernetTypeIPv4, p)
		for _, frame := range [][]byte{frame, tag(frame)} {
			if box.passes(t, "eth0", frame) {
				t.Errorf("%x passes", frame)
			}
		}
	}
	if n := box.shot(t, "eth0"); n != uint64(2*len(requests)) {
		t.Errorf("the classifier has dropped %d of %d requests", n, 2*len(requests))
	}
	for set, n := range box.dropCounters(t) {
		if n != 0 {
			t.Errorf("%d came to the rule of %s", n, set)
		}
	}
	// What is not dropped meets the rules: a realserver's reply is theirs.
	if box.passes(t, "eth0", ethernet(box.mac("eth0"), layers.EthernetTypeIPv4, tcp(realserver, 8000, "203.0.113.1", 1024))) {
		t.Error("a reply passes")
	}
}

func TestADeletedClassifierComesBackWithTheNextChange(t *testing.T) {
	box := newBox(t)
	g := box.guard(t)
	box.set(t, g, handled)
	box.Do(func() {
		if err := deleteClsact(box.Link("eth0").Attrs().Index); err != nil {
			t.Fatal(err)
		}
	})
	box.dropsARequest(t, "eth0", false)
	box.set(t, g, handled)
	box.dropsARequest(t, "eth0", false)
	less := handled
	less.Services = less.Services[:1]
	box.set(t, g, less)
	box.dropsARequest(t, "eth0", true)
}

func TestTheClassifierGoesWithTheGuard(t *testing.T) {
	box := newBox(t)
	g := box.guard(t)
	for _, end := range []func(){
		func() { box.set(t, g, State{Local: handled.Local}) },
		func() { box.remove(t, g) },
		func() { box.remove(t, box.guard(t)) }, // by another process
	} {
		box.set(t, g, handled)
		if !box.there(t, "eth0") || box.there(t, "eth1") {
			t.Error("the filter is not on the VIP NIC alone")
		}
		end()
		if kind := box.qdisc(t, "eth0"); kind != "" {
			t.Errorf("a qdisc %s is left", kind)
		}
		g = box.guard(t)
	}
}

func TestOthersFiltersStay(t *testing.T) {
	other := allProtocols(1)
	for _, tt := range []struct {
		name      string
		direction uint32
	}{{"at ingress", atIngress}, {"at egress", atEgress}} {
		t.Run(tt.name, func(t *testing.T) {
			box := newBox(t)
			box.addClsact(t, "eth0", nil)
			box.addFilter(t, "eth0", tt.direction, other)
			before := box.filters(t, "eth0", tt.direction)
			g := box.guard(t)
			box.set(t, g, handled)
			box.dropsARequest(t, "eth0", true)
			if list := box.filters(t, "eth0", atIngress); !list[len(list)-1].ours() {
				t.Errorf("the classifier is not the last of %v", list)
			}
			box.remove(t, g)
			if after := box.filters(t, "eth0", tt.direction); len(before) == 0 || !slices.Equal(before, after) {
				t.Errorf("left of filters %v: %v", before, after)
			}
			if box.there(t, "eth0") {
				t.Error("the classifier is left")
			}
		})
	}
}

func TestAnotherNICsClassifierGoes(t *testing.T) {
	box := newBox(t)
	box.Do(func() {
		g, err := New("eth1", "eth0")
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Set(handled); err != nil {
			t.Fatal(err)
		}
	})
	box.dropsARequest(t, "eth1", true)
	g := box.guard(t)
	box.set(t, g, handled)
	if !box.there(t, "eth0") || box.there(t, "eth1") {
		t.Error("the filter is not on the VIP NIC alone")
	}
	// A NIC that takes the VIP NIC's name: the old one is not the director's.
	box.Down("eth0")
	if err := box.LinkSetName(box.Link("eth0"), "old"); err != nil {
		t.Fatal(err)
	}
	nstest.Veth(box.Namespace, "eth0", box.far, "far-new")
	box.set(t, g, handled)
	if !box.there(t, "eth0") || box.there(t, "old") {
		t.Error("the filter is not on the NIC with the VIP NIC's name alone")
	}
}

func TestTheClassifierReturnsWithItsNIC(t *testing.T) {
	box := newBox(t)
	g := box.guard(t)
	box.set(t, g, handled)
	box.Delete("eth0")
	box.set(t, g, handled)
	if active, why := g.Classifier(); active || why != "eth0 is not there" {
		t.Errorf("classifier %v, %q", active, why)
	}
	box.connect(t, "eth0", "192.0.2.1/24", ownVIP+"/24")
	box.set(t, g, handled)
	box.dropsARequest(t, "eth0", true)
}

// Where no filter can be, the rules do it all, and nothing is left of the trial.
func TestWithoutAClassifierTheRulesDoItAll(t *testing.T) {
	block := uint32(7)
	for _, tt := range []struct {
		name  string
		spoil func(*box)
	}{
		{"the NIC shares its filters", func(b *box) { b.addClsact(t, "eth0", &block) }},
		{"somebody has the last priority", func(b *box) { b.hinder(t, "eth0") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			box := newBox(t)
			tt.spoil(box)
			before := box.filters(t, "eth0", atIngress)
			g := box.guard(t)
			box.set(t, g, handled)
			box.dropsARequest(t, "eth0", false)
			if active, why := g.Classifier(); active || !strings.HasPrefix(why, "no tc filter on eth0") {
				t.Errorf("classifier %v, %q", active, why)
			}
			box.remove(t, g)
			if after := box.filters(t, "eth0", atIngress); !slices.Equal(before, after) || box.qdisc(t, "eth0") == "" {
				t.Errorf("left of filters %v: %v", before, after)
			}
		})
	}
}

func TestARefusedProgramLeavesNoQdisc(t *testing.T) {
	box := newBox(t)
	box.Do(func() {
		if err := install("eth0", box.Link("eth0").Attrs().Index, nil); err == nil || !strings.Contains(err.Error(), "eth0") {
			t.Errorf("a filter without a program: %v", err)
		}
	})
	if kind := box.qdisc(t, "eth0"); kind != "" {
		t.Errorf("a qdisc %s is left", kind)
	}
}

func TestTheClassifierSaysWhatItLeavesOut(t *testing.T) {
	box := newBox(t)
	g := box.guard(t)
	if active, why := g.Classifier(); active || why != "" {
		t.Errorf("before it is set: %v, %q", active, why)
	}
	for _, tt := range []struct {
		state  State
		active bool
		why    string
	}{
		{State{}, false, "there is nothing to drop"},
		{scattered(5000, 1), true, "not for the VIPs that the box owns"},
		{scattered(1, 5000), true, "only for the VIPs that the box owns"},
		{scattered(5000, 5000), false, "too many"},
	} {
		box.set(t, g, tt.state)
		if active, why := g.Classifier(); active != tt.active || !strings.Contains(why, tt.why) {
			t.Errorf("classifier %v, %q, want %v, %q", active, why, tt.active, tt.why)
		}
		if box.there(t, "eth0") != tt.active {
			t.Errorf("the filter is there: %v", !tt.active)
		}
	}
}

func TestLeftNamesWhatThereIs(t *testing.T) {
	box := newBox(t)
	g := box.guard(t)
	left := func() (list []string) {
		box.Do(func() {
			var err error
			if list, err = Left(); err != nil {
				t.Fatal(err)
			}
		})
		return list
	}
	box.addClsact(t, "eth1", nil)
	if l := left(); len(l) != 0 {
		t.Errorf("left %q", l)
	}
	box.set(t, g, State{Services: []Endpoint{{6, scheduler.MustParseAddress(foreignVIP + ":80")}}})
	if l := left(); !slices.Equal(l, []string{"nft table netdev lvsnat", "tc filter on eth0"}) {
		t.Errorf("left %q", l)
	}
}
