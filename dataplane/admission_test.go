package dataplane

import (
	"fmt"
	"testing"
	"time"

	"lvsnat/conntrack"
	"lvsnat/dataplane/packet"
	"lvsnat/dataplane/packettest"
)

// interval lets an admission see one interval of a flood, and other frames, and
// returns how many connections of it were admitted.
func interval(a *admission, now *int64, crowded bool, flood, others int) (admitted int) {
	for range flood {
		if a.admit(packettest.Addr("11.0.0.1")) {
			admitted++
		}
	}
	a.received(flood+others, crowded)
	*now += admissionInterval
	a.review(*now, 0)
	return admitted
}

func TestAdmissionFollowsTheRing(t *testing.T) {
	a := &admission{clients: newClients(1, 0)}
	friend := packettest.Addr("10.9.8.7")
	a.clients.learn(friend)
	now := int64(time.Hour)
	a.review(now, 0)

	if got := interval(a, &now, false, 5000, 1); got != 5000 || a.limited {
		t.Fatalf("a worker that keeps up admits %d of 5000, limited: %v", got, a.limited)
	}
	interval(a, &now, true, 5000, 1)
	if a.stage(now) != FloodShedding {
		t.Fatal("a crowded ring full of new connections sets no limit")
	}
	interval(a, &now, true, 5000, 1)
	before := 5000
	for range 5 {
		got := interval(a, &now, true, 5000, 1)
		if got >= before || got == 0 {
			t.Errorf("%d are admitted after %d, though the ring is crowded still", got, before)
		}
		before = got
	}
	for range 100 {
		interval(a, &now, true, 5000, 1)
	}
	if want := int(admissionLeast * admissionInterval / 1e9); interval(a, &now, true, 5000, 1) != want {
		t.Errorf("the limit does not stop falling at %d", want)
	}
	if !a.admit(friend) {
		t.Error("a known client is passed over")
	}
	for range 200 {
		interval(a, &now, false, 5000, 1)
	}
	if got := interval(a, &now, false, 5000, 1); got != 5000 || a.stage(now) != FloodNone {
		t.Errorf("two seconds with room in the ring: %d of 5000 are admitted, in stage %v", got, a.stage(now))
	}
}

func TestAWorkerThatWasOnlyLateSetsNoLimit(t *testing.T) {
	a := &admission{clients: newClients(1, 0)}
	now := int64(0)
	a.rested()
	interval(a, &now, true, 5000, 1)
	if a.limited {
		t.Error("new connections are limited, though the worker had time")
	}
}

func TestWithNobodyToProtectThereIsNoLimit(t *testing.T) {
	a := &admission{clients: newClients(1, 0)}
	now := int64(time.Hour)
	for range 10 {
		interval(a, &now, true, 5000, 0)
	}
	if a.limited {
		t.Error("new connections are limited, but nothing else has come")
	}
	interval(a, &now, true, 5000, 1)
	if !a.limited {
		t.Error("new connections are not limited, though something else has come")
	}
	for range admissionOthers/admissionInterval - 1 {
		interval(a, &now, true, 5000, 0)
	}
	if !a.limited {
		t.Error("the limit ends before a second has passed")
	}
	if interval(a, &now, true, 5000, 0); a.limited {
		t.Error("new connections are limited, a second after the last other frame")
	}
}

func TestTrafficThatIsNotNewSetsNoLimit(t *testing.T) {
	a := &admission{clients: newClients(1, 0)}
	a.received(1000, true)
	a.admit(1)
	a.review(admissionInterval, 0)
	if a.limited {
		t.Error("new connections are limited, but they are one in a thousand frames")
	}
}

func TestEvictionIsAStageOfItsOwn(t *testing.T) {
	a := &admission{clients: newClients(1, 0)}
	now := int64(time.Hour)
	a.review(now, 7)
	if a.stage(now) != FloodEvicting {
		t.Errorf("with evictions the stage is %v", a.stage(now))
	}
	now += admissionCalm * admissionInterval
	a.review(now, 7)
	if a.stage(now) != FloodNone {
		t.Errorf("a second after the last eviction the stage is %v", a.stage(now))
	}
}

func TestClientsAreRememberedForAWhile(t *testing.T) {
	c := newClients(1, 0)
	for addr := range uint32(10_000) {
		c.learn(addr)
	}
	for addr := range uint32(10_000) {
		if !c.known(addr) {
			t.Fatalf("client %d is forgotten at once", addr)
		}
	}
	strangers := 0
	for addr := uint32(1 << 20); addr < 1<<20+100_000; addr++ {
		if c.known(addr) {
			strangers++
		}
	}
	if strangers > 20 {
		t.Errorf("%d of 100,000 strangers pass for known", strangers)
	}
	c.age(clientsKept)
	c.learn(1)
	if !c.known(1) || !c.known(2) {
		t.Error("a client is forgotten with the first change of generations")
	}
	c.age(2 * clientsKept)
	if !c.known(1) || c.known(2) {
		t.Errorf("after two changes: the one that came again is known %v, the other %v", c.known(1), c.known(2))
	}
}

// crowdedFlows are flows from a ring that is always more than half full.
type crowdedFlows struct{ *packettest.Flows }

// Crowded says yes.
func (crowdedFlows) Crowded() bool { return true }

// take hands a worker one frame and returns what became of it.
func take(w *worker, port int, frame packet.Frame) Verdict {
	direction := conntrack.Request
	if port == DIPPort {
		direction = conntrack.Reply
	}
	w.admission.received(1, false)
	w.frames[0] = frame
	w.stage(1, direction)
	defer w.flush()
	return w.handle(0, port, direction)
}

// meet opens a connection of a client, up to its ACK, and has the realserver
// answer with a segment of these flags.
func meet(t *testing.T, w *worker, client string, answer uint8) {
	t.Helper()
	take(w, VIPPort, packettest.TCP(client, "192.168.1.110:80", packettest.SYN))
	p := packet.Packet{}
	f := packettest.TCP(client, "192.168.1.110:80", packettest.ACK)
	p.Parse(f.Data)
	e := w.find(w.table.Hash(p.Source, p.SourcePort, p.Protocol), &p, conntrack.Request)
	if e == nil {
		t.Fatalf("%s has no connection", client)
	}
	server := fmt.Sprintf("10.1.1.%d:8000", byte(e.RealAddr))
	take(w, DIPPort, packettest.TCP(server, client, packettest.SYN|packettest.ACK))
	take(w, VIPPort, f)
	if v := take(w, DIPPort, packettest.TCP(server, client, answer)); v != ForwardedReply {
		t.Fatalf("the realserver's answer to %s: %v", client, v)
	}
}

func TestInAFloodThatIsTooMuchKnownClientsAreAdmitted(t *testing.T) {
	w, clock := pipeline(t, 100_000, flowFrames(1, packettest.SYN))
	meet(t, w, "192.168.1.254:1000", packettest.ACK)
	// A forged client can send the ACK of a handshake too, but not one that the
	// realserver takes.
	meet(t, w, "192.168.1.66:1000", packettest.RST)

	w.ports[VIPPort].Receiver = crowdedFlows{packettest.NewFlows(segment(packettest.SYN), 1<<20, false)}
	for range 3000 {
		clock.ns += 20_000
		take(w, VIPPort, packettest.TCP("192.168.1.254:1000", "192.168.1.110:80", packettest.ACK))
		w.turn()
	}
	if s := w.stats(); s.Verdicts[Shed] == 0 || s.Flood != FloodShedding || s.Admitted == 0 {
		t.Fatalf("%d connections were passed over, in stage %v, %d a second admitted", s.Verdicts[Shed], s.Flood, s.Admitted)
	}
	w.admission.credit = 0
	for _, f := range []struct {
		client string
		flags  uint8
		want   Verdict
	}{
		{"192.168.1.254:1000", packettest.ACK, ForwardedRequest},
		{"192.168.1.254:1001", packettest.SYN, ForwardedRequest},
		{"192.168.1.66:1001", packettest.SYN, Shed},
	} {
		if got := take(w, VIPPort, packettest.TCP(f.client, "192.168.1.110:80", f.flags)); got != f.want {
			t.Errorf("%s: %v, want %v", f.client, got, f.want)
		}
	}

	w.ports[VIPPort].Receiver = empty{}
	for range 100 {
		clock.ns += admissionInterval
		w.turn()
	}
	if got := take(w, VIPPort, packettest.TCP("192.168.1.66:1002", "192.168.1.110:80", packettest.SYN)); got != ForwardedRequest {
		t.Errorf("two seconds after the flood a new client's SYN: %v", got)
	}
}
