package afpacket

import (
	"fmt"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"lvsnat/dataplane/packet"
)

// A NIC that is slower than the director refuses frames, or keeps them in
// flight until the ring has no room. None of this may upset the ring.
func TestWhatASlowNICDoesNotTakeIsCountedAndTheRestGoesOn(t *testing.T) {
	for name, o := range map[string]Options{"its queue is full": {}, "the ring is full": {Slots: 4}} {
		t.Run(name, func(t *testing.T) {
			c := newCable(t)
			s, r := c.near.sender(t, o), c.far.receiver(t, Options{})
			c.near.set(t, slow)
			const batches, batch = 20, 30
			number := uint32(0)
			for range batches {
				for range batch {
					if s.Reserve(new(c.udp(c.near, c.far, 1, 2, 958, number))) != nil {
						s.Commit()
					}
					number++
				}
				s.Flush()
			}
			stats := s.Stats()
			if stats.Sent+stats.Dropped != batches*batch || stats.Sent == 0 || stats.Dropped == 0 {
				t.Errorf("stats %+v, want some sent and some dropped of %d", stats, batches*batch)
			}
			// All that count as sent arrive, and so does what comes later.
			arrived := collect(t, r, int(stats.Sent))
			send(t, s, c.udp(c.near, c.far, 1, 2, 958, number))
			arrived = append(arrived, collect(t, r, 1)...)
			if len(arrived) != int(stats.Sent)+1 || numberOf(arrived[len(arrived)-1]) != number {
				t.Errorf("%d frames arrive, want %d and one more", len(arrived), stats.Sent)
			}
			for i := range arrived[1:] {
				if numberOf(arrived[i+1]) <= numberOf(arrived[i]) {
					t.Errorf("frame %d arrives after frame %d", numberOf(arrived[i+1]), numberOf(arrived[i]))
				}
			}
		})
	}
}

// slow gives a NIC a queue of ten frames of 1,000 bytes that are sent at a
// thousand a second.
func slow(h *netlink.Handle, l netlink.Link) error {
	const bytesPerSecond = 1_000_000
	return h.QdiscAdd(&netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		Rate:       bytesPerSecond,
		Buffer:     netlink.Xmittime(bytesPerSecond, 4000),
		Limit:      10_000,
	})
}

func TestALinkThatGoesDownAndUpGoesOn(t *testing.T) {
	c := newCable(t)
	s, r := c.near.sender(t, Options{}), c.far.receiver(t, Options{})
	far := c.far.sender(t, Options{})
	waiter := must(NewWaiter(r))
	defer waiter.Close()
	for round := range uint32(3) {
		send(t, s, c.udp(c.near, c.far, 1, 2, 50, round))
		if got := collect(t, r, 1)[0]; numberOf(got) != round {
			t.Fatalf("frame %d arrives, want %d", numberOf(got), round)
		}
		c.far.set(t, down)
		// The first Wait may be ended by the error of the link. It must be
		// gone then: the next one has to sleep until it is woken.
		waiter.Wait(time.Millisecond)
		assertSleeps(t, waiter)
		send(t, far, c.udp(c.far, c.near, 1, 2, 50, 0))
		if got, want := far.Stats(), (packet.SenderStats{Dropped: uint64(round) + 1}); got != want {
			t.Errorf("sender on a link that is down: %+v, want %+v", got, want)
		}
		c.far.set(t, up)
		c.waitForCarrier(t)
	}
	if r.Stats().Truncated != 0 {
		t.Errorf("stats %+v, want nothing truncated", r.Stats())
	}
}

// waitForCarrier waits until both ends can send.
func (c *cable) waitForCarrier(t testing.TB) {
	t.Helper()
	eventually(t, func() string {
		for _, e := range []end{c.near, c.far} {
			link, err := e.link.LinkByName(e.nic)
			if err != nil || link.Attrs().OperState != netlink.OperUp {
				return fmt.Sprintf("%s is not up: %v", e.nic, err)
			}
		}
		return ""
	})
}

func TestADeletedNICIsDeadAndANewOneOfItsNameCanBeOpened(t *testing.T) {
	c := newCable(t)
	f, s := c.far.fanout(t, Placement{Workers: 2}, Options{}), c.far.sender(t, Options{})
	if f.Dead() || s.Dead() {
		t.Error("dead while the NIC is there")
	}
	c.far.set(t, down)
	if f.Dead() || s.Dead() {
		t.Error("dead while the NIC is only down")
	}
	c.far.set(t, del)
	if !f.Dead() || !s.Dead() {
		t.Errorf("receivers dead: %v, sender dead: %v after the NIC was deleted", f.Dead(), s.Dead())
	}
	waiter := must(NewWaiter(f.Receivers()...))
	defer waiter.Close()
	waiter.Wait(time.Millisecond)
	assertSleeps(t, waiter)
	send(t, s, c.udp(c.far, c.near, 1, 2, 50, 0))
	if got, want := s.Stats(), (packet.SenderStats{Dropped: 1}); got != want {
		t.Errorf("sender on a deleted NIC: %+v, want %+v", got, want)
	}

	c.plug(t)
	near, r := c.near.sender(t, Options{}), c.far.receiver(t, Options{})
	send(t, near, c.udp(c.near, c.far, 1, 2, 50, 5))
	if got := collect(t, r, 1)[0]; numberOf(got) != 5 {
		t.Errorf("frame %d arrives on the new NIC, want 5", numberOf(got))
	}
	if !f.Dead() {
		t.Error("the old rings live again")
	}
}
