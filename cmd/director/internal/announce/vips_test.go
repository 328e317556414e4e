package announce

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"lvsnat/cmd/director/internal/network"
	"lvsnat/dataplane"
	"lvsnat/dataplane/packet"
)

var (
	ours   = packet.MAC{2, 0, 0, 0, 0, 1}
	ours2  = packet.MAC{2, 0, 0, 0, 0, 2}
	theirs = packet.MAC{2, 0, 0, 0, 0, 9}

	vip1   = netip.MustParseAddr("192.0.2.10")
	vip2   = netip.MustParseAddr("192.0.2.20")
	asker  = netip.MustParseAddr("192.0.2.99")
	nobody = netip.IPv4Unspecified()

	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// state is a box whose VIP NIC has our address and whose own addresses are local.
func state(local ...netip.Addr) network.State {
	return network.State{
		NICs: []network.NIC{
			{Name: "eth0", Index: 2, Link: dataplane.Link{MAC: ours, Up: true}},
			{Name: "eth1", Index: 3, Link: dataplane.Link{MAC: ours2, Up: true}},
		},
		Local: local,
	}
}

func TestAnnouncementsAreMadeWhenTheyAreCalledFor(t *testing.T) {
	type step struct {
		name  string
		after time.Duration // since the step before
		set   func() (network.State, []netip.Addr)
		want  []netip.Addr // announced
	}
	set := func(s network.State, vips ...netip.Addr) func() (network.State, []netip.Addr) {
		return func() (network.State, []netip.Addr) { return s, vips }
	}
	with := func(change func(*network.NIC)) network.State {
		s := state()
		change(&s.NICs[0])
		return s
	}
	both := []netip.Addr{vip1, vip2}
	var v vips
	now := start
	for _, s := range []step{
		{"the start announces all", 0, set(state(), vip2, vip1), both},
		{"not again before a second has passed", 999 * time.Millisecond, nil, nil},
		{"a second time", time.Millisecond, nil, both},
		{"a third time", time.Second, nil, both},
		{"and no more", time.Hour, nil, nil},
		{"the same once more is nothing new", 0, set(state(), vip1, vip2), nil},
		{"a VIP is taken away", 0, set(state(), vip2), nil},
		{"a VIP is added", 0, set(state(), vip1, vip2), []netip.Addr{vip1}},
		{"its second time", time.Second, nil, []netip.Addr{vip1}},
		{"the box takes it over: silence", time.Second, set(state(vip1), vip1, vip2), nil},
		{"silence goes on", time.Hour, nil, nil},
		{"the box gives it up", 0, set(state(), vip1, vip2), []netip.Addr{vip1}},
		{"and lets the repeats pass", time.Hour, set(state(), vip1, vip2), []netip.Addr{vip1}},
		{"the last one", time.Hour, nil, []netip.Addr{vip1}},
		{"the Ethernet address changes", 0, set(with(func(n *network.NIC) { n.MAC = theirs }), vip1), []netip.Addr{vip1}},
		{"it changes back", 0, set(state(), vip1), []netip.Addr{vip1}},
		{"the link goes down", time.Hour, set(with(func(n *network.NIC) { n.Up = false }), vip1), []netip.Addr{vip1}},
		{"the repeats of that time are over", time.Hour, nil, []netip.Addr{vip1}},
		{"nothing while it is down", time.Hour, nil, nil},
		{"the link comes up", 0, set(state(), vip1), []netip.Addr{vip1}},
		{"the NIC is created again", 0, set(with(func(n *network.NIC) { n.Index = 7 }), vip1), []netip.Addr{vip1}},
		{"a link's MTU is nobody's business", time.Hour, set(with(func(n *network.NIC) { n.Index, n.MTU = 7, 9000 }), vip1), []netip.Addr{vip1}},
		{"the last repeat", time.Hour, nil, []netip.Addr{vip1}},
		{"all said", time.Hour, nil, nil},
	} {
		now = now.Add(s.after)
		if s.set != nil {
			state, wanted := s.set()
			v.set(now, state, wanted)
		}
		frames, _ := v.due(now)
		var got []netip.Addr
		for _, f := range frames {
			got = append(got, isAnnouncement(t, f, v.nic.MAC))
		}
		if !slices.Equal(got, s.want) {
			t.Errorf("%s: announced %v, want %v", s.name, got, s.want)
		}
	}
}

// isAnnouncement checks a frame against RFC 5227 section 2.3 and returns the
// address it announces.
func isAnnouncement(t *testing.T, frame []byte, mac packet.MAC) netip.Addr {
	t.Helper()
	m, ok := parse(frame)
	e := packet.Ethernet(frame)
	if !ok || e.Destination() != broadcast || e.Source() != mac || m.operation != request || m.sender.mac != mac ||
		m.sender.addr != m.target.addr || m.target.mac != (packet.MAC{}) {
		t.Errorf("not an announcement: %x", frame)
	}
	return m.sender.addr
}

func TestDueSaysWhenToComeBack(t *testing.T) {
	var v vips
	if _, again := v.due(start); !again.IsZero() {
		t.Errorf("with no VIPs: again at %v", again)
	}
	v.set(start, state(), []netip.Addr{vip1})
	if _, again := v.due(start); !again.Equal(start.Add(time.Second)) {
		t.Errorf("after the first: again at %v", again)
	}
	v.set(start.Add(time.Second/2), state(), []netip.Addr{vip1, vip2})
	if _, again := v.due(start.Add(time.Second / 2)); !again.Equal(start.Add(time.Second)) {
		t.Errorf("with one more in between: again at %v", again)
	}
}

func TestManyVIPsAreAnnouncedInPieces(t *testing.T) {
	var many []netip.Addr
	for i := range 1000 {
		many = append(many, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
	}
	var v vips
	v.set(start, state(), many)
	count := make(map[netip.Addr]int)
	now, turns := start, 0
	for again := now; !again.IsZero(); turns++ {
		now = again
		var frames [][]byte
		if frames, again = v.due(now); len(frames) > burst {
			t.Fatalf("%d frames at once", len(frames))
		}
		for _, f := range frames {
			count[isAnnouncement(t, f, ours)]++
		}
		if !again.IsZero() && !again.After(now) {
			t.Fatal("again at once")
		}
	}
	for _, addr := range many {
		if count[addr] != repeats {
			t.Errorf("%v was announced %d times", addr, count[addr])
		}
	}
	if took := now.Sub(start); took > 2*interval+20*burstPause {
		t.Errorf("it took %v", took)
	}
}

func TestRequestsAreAnswered(t *testing.T) {
	ask := func(sender netip.Addr, target netip.Addr, destination packet.MAC) []byte {
		return message{operation: request, sender: party{theirs, sender}, target: party{addr: target}}.marshal(destination)
	}
	for _, tt := range []struct {
		name  string
		frame []byte
		want  *message
	}{
		{"a request for a VIP", ask(asker, vip1, broadcast), &message{reply, party{ours, vip1}, party{theirs, asker}}},
		{"a request to us alone, as of a neighbour that is verified", ask(asker, vip1, ours), &message{reply, party{ours, vip1}, party{theirs, asker}}},
		{"a probe", ask(nobody, vip1, broadcast), &message{reply, party{ours, vip1}, party{theirs, nobody}}},
		{"a request with padding", append(ask(asker, vip1, broadcast), make([]byte, 18)...), &message{reply, party{ours, vip1}, party{theirs, asker}}},
		{"a request for an owned VIP", ask(asker, vip2, broadcast), nil},
		{"a request for another address", ask(asker, asker.Next(), broadcast), nil},
		{"another machine's announcement", ask(vip1, vip1, broadcast), nil},
		{"a reply", message{reply, party{theirs, asker}, party{ours, vip1}}.marshal(ours), nil},
		{"our own request", message{request, party{ours2, asker}, party{addr: vip1}}.marshal(broadcast), nil},
		{"a request from a group address", message{request, party{broadcast, asker}, party{addr: vip1}}.marshal(broadcast), nil},
		{"a frame that is too short", ask(asker, vip1, broadcast)[:frameLen-1], nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var v vips
			v.set(start, state(vip2), []netip.Addr{vip1, vip2})
			got := v.handle(start, tt.frame).reply
			switch {
			case tt.want == nil && got != nil:
				t.Errorf("answered by %x", got)
			case tt.want != nil:
				m, ok := parse(got)
				if !ok || m != *tt.want || packet.Ethernet(got).Destination() != theirs || packet.Ethernet(got).Source() != ours {
					t.Errorf("answered by %x, want %v", got, tt.want)
				}
			}
		})
	}
}

func TestClaimsOfOthersAreNoted(t *testing.T) {
	third := packet.MAC{2, 0, 0, 0, 0, 8}
	announced := func(mac packet.MAC, addr netip.Addr) []byte {
		return message{request, party{mac, addr}, party{addr: addr}}.marshal(broadcast)
	}
	answered := func(mac packet.MAC, addr netip.Addr) []byte {
		return message{reply, party{mac, addr}, party{theirs, asker}}.marshal(theirs)
	}
	var v vips
	v.set(start, state(vip2), []netip.Addr{vip1, vip2})
	v.due(start)
	now := start
	for _, s := range []struct {
		name         string
		after        time.Duration
		frame        []byte
		count        uint64
		warn, defend bool
	}{
		{"the first announcement", 0, announced(theirs, vip1), 1, true, true},
		{"a second one at once", time.Second, announced(theirs, vip1), 2, false, false},
		{"an answer to somebody else, of a third machine", 0, answered(third, vip1), 3, false, false},
		{"after the interval of defence", 9 * time.Second, announced(theirs, vip1), 4, false, true},
		{"after the interval of warnings", 50 * time.Second, announced(theirs, vip1), 5, true, true},
		{"an owned VIP is not defended by us", 0, announced(theirs, vip2), 1, true, false},
		{"our own announcement", time.Hour, announced(ours, vip1), 0, false, false},
		{"our other NIC's answer", 0, answered(ours2, vip2), 0, false, false},
		{"an address that is no VIP", 0, announced(theirs, asker), 0, false, false},
	} {
		now = now.Add(s.after)
		f := v.handle(now, s.frame)
		if f.conflict.Count != s.count || f.warn != s.warn || f.defend != s.defend || f.reply != nil {
			t.Errorf("%s: count %d warn %v defend %v reply %x, want %d %v %v", s.name,
				f.conflict.Count, f.warn, f.defend, f.reply, s.count, s.warn, s.defend)
		}
		if m, _ := parse(s.frame); s.count > 0 && (f.conflict.MAC != m.sender.mac || f.conflict.VIP != m.sender.addr || !f.conflict.Last.Equal(now)) {
			t.Errorf("%s: noted %+v", s.name, f.conflict)
		}
		if frames, _ := v.due(now); s.defend && (len(frames) == 0 || isAnnouncement(t, frames[0], ours) != vip1) {
			t.Errorf("%s: defended by %x", s.name, frames)
		}
	}
	if list := v.conflicts(); len(list) != 2 || list[0].VIP != vip1 || list[0].Count != 5 || list[1].VIP != vip2 || list[1].Count != 1 {
		t.Errorf("conflicts: %+v", list)
	}
}
