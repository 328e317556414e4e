package dataplane

import (
	"testing"
	"time"

	"lvsnat/dataplane/packettest"
)

// interval lets an admission see one interval of a flood and returns how many
// connections of it were admitted.
func interval(a *admission, now *int64, crowded bool, flood int) (admitted int) {
	for range flood {
		if a.admit(packettest.Addr("11.0.0.1")) {
			admitted++
		}
	}
	a.received(flood, crowded)
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

	if got := interval(a, &now, false, 5000); got != 5000 || a.limited {
		t.Fatalf("a worker that keeps up admits %d of 5000, limited: %v", got, a.limited)
	}
	interval(a, &now, true, 5000)
	if a.stage(now) != FloodShedding {
		t.Fatal("a crowded ring full of new connections sets no limit")
	}
	before := 5000
	for range 5 {
		got := interval(a, &now, true, 5000)
		if got >= before || got == 0 {
			t.Errorf("%d are admitted after %d, though the ring is crowded still", got, before)
		}
		before = got
	}
	for range 100 {
		interval(a, &now, true, 5000)
	}
	if want := int(admissionLeast * admissionInterval / 1e9); interval(a, &now, true, 5000) != want {
		t.Errorf("the limit does not stop falling at %d", want)
	}
	if !a.admit(friend) {
		t.Error("a known client is passed over")
	}
	for range 200 {
		interval(a, &now, false, 5000)
	}
	if got := interval(a, &now, false, 5000); got != 5000 || a.stage(now) != FloodNone {
		t.Errorf("two seconds with room in the ring: %d of 5000 are admitted, in stage %v", got, a.stage(now))
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
