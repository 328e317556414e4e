package network

import (
	"errors"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lvsnat/cmd/director/internal/nstest"
	"lvsnat/dataplane"
	"lvsnat/dataplane/packet"
)

// hasten makes the kernel's neighbour table quick on a NIC: a question has
// three tries of 50 ms, and after about half a second an answer is doubted.
func (b *box) hasten(nic string) {
	for name, value := range map[string]int{
		"retrans_time_ms": 50, "base_reachable_time_ms": 500, "delay_first_probe_time": 0, "locktime": 0,
	} {
		b.Sysctl("ipv4/neigh/"+nic+"/"+name, value)
	}
}

func TestANeighbourIsResolved(t *testing.T) {
	box := newBox(t)
	w := box.watch(t)
	w.Resolve(neighbour2)
	w.eventuallyAnswer(t, neighbour2, box.servers.MAC("far1"))
}

func TestAKnownNeighbourIsAnsweredEachTime(t *testing.T) {
	box := newBox(t)
	w := box.watch(t)
	for i := range 3 {
		w.Resolve(neighbour2)
		nstest.Eventually(t, "an answer for each question", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return len(w.answers[neighbour2]) > i
		})
	}
}

func TestANeighbourThatIsInTheTableAtTheStartIsKnown(t *testing.T) {
	box := newBox(t)
	must(t, box.NeighSet(&netlink.Neigh{LinkIndex: box.Link("eth1").Attrs().Index, IP: []byte{10, 1, 1, 9},
		State: netlink.NUD_PERMANENT, HardwareAddr: []byte{2, 0, 0, 0, 0, 9}}))
	w := box.watch(t)
	w.eventuallyAnswer(t, dataplane.Neighbour{Port: 1, Addr: host("10.1.1.9")}, []byte{2, 0, 0, 0, 0, 9})
}

func TestANeighbourThatDoesNotAnswerIsReportedEachTime(t *testing.T) {
	box := newBox(t)
	box.hasten("eth1")
	w := box.watch(t)
	n := dataplane.Neighbour{Port: 1, Addr: host("10.1.1.66")}
	for i := range 2 {
		w.Resolve(n)
		nstest.Eventually(t, "it is reported", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return len(w.answers[n]) > i && !w.neighbour[n].ok
		})
	}
	box.servers.Addr("far1", "10.1.1.66/24")
	w.Resolve(n)
	w.eventuallyAnswer(t, n, box.servers.MAC("far1"))
}

func TestANeighbourOfALinkThatIsDownFails(t *testing.T) {
	box := newBox(t)
	w := box.watch(t)
	box.Down("eth1")
	nstest.Eventually(t, "the link is down", func() bool { return !w.network().Links[1].Up })
	w.Resolve(neighbour2)
	nstest.Eventually(t, "it is reported", func() bool { a, told := w.answer(neighbour2); return told && !a.ok })
}

func TestANeighbourOfANICThatIsGoneFails(t *testing.T) {
	box := newBox(t)
	w := box.watch(t)
	box.Delete("eth1")
	nstest.Eventually(t, "the NIC is gone", func() bool { return w.state().NICs[1].Index == 0 })
	w.Resolve(neighbour2)
	nstest.Eventually(t, "it is reported", func() bool { a, told := w.answer(neighbour2); return told && !a.ok })
	outOfRange := dataplane.Neighbour{Port: 7, Addr: 1}
	w.Resolve(outOfRange)
	nstest.Eventually(t, "a port that is none is reported", func() bool { a, told := w.answer(outOfRange); return told && !a.ok })
}

// The realserver's machine is replaced, and nothing announces the new one.
func TestAnAddressThatChangesWithoutAWordIsNoticed(t *testing.T) {
	box := newBox(t)
	box.hasten("eth1")
	w := box.watch(t)
	w.Resolve(neighbour2)
	w.eventuallyAnswer(t, neighbour2, box.servers.MAC("far1"))
	nstest.Eventually(t, "the kernel has lost interest", func() bool {
		list, err := box.NeighList(box.Link("eth1").Attrs().Index, unix.AF_INET)
		must(t, err)
		return len(list) == 1 && list[0].State == netlink.NUD_STALE
	})
	box.servers.SetMAC("far1", "02:00:00:00:00:55")
	nstest.Eventually(t, "the new address is told while the neighbour is in use", func() bool {
		w.Resolve(neighbour2)
		a, _ := w.answer(neighbour2)
		return a == answer{packet.MAC{2, 0, 0, 0, 0, 0x55}, true}
	})
}

// The kernel learns from announcements without being asked.
func TestAnAddressThatIsReplacedInTheTableIsToldAtOnce(t *testing.T) {
	box := newBox(t)
	w := box.watch(t)
	w.Resolve(neighbour2)
	w.eventuallyAnswer(t, neighbour2, box.servers.MAC("far1"))
	must(t, box.NeighSet(&netlink.Neigh{LinkIndex: box.Link("eth1").Attrs().Index, IP: []byte{10, 1, 1, 2},
		State: netlink.NUD_REACHABLE, HardwareAddr: []byte{2, 0, 0, 0, 0, 0x66}}))
	w.eventuallyAnswer(t, neighbour2, []byte{2, 0, 0, 0, 0, 0x66})
}

func TestANeighbourIsResolvedOnALinkWithoutAddress(t *testing.T) {
	box := newBox(t)
	box.DelAddr("eth1", "10.1.1.1/24")
	box.DelAddr("eth0", "192.0.2.1/24")
	must(t, box.RouteAdd(&netlink.Route{Dst: nstest.IPNet("10.1.1.0/24"), LinkIndex: box.Link("eth1").Attrs().Index, Scope: netlink.SCOPE_LINK}))
	w := box.watch(t)
	w.Resolve(neighbour2)
	w.eventuallyAnswer(t, neighbour2, box.servers.MAC("far1"))
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for err, want := range map[error]string{unix.ENOBUFS: "gc_thresh3", unix.EPERM: "CAP_NET_ADMIN"} {
		if got := explain(err); !strings.Contains(got.Error(), want) || !errors.Is(got, err) {
			t.Errorf("%v becomes %q, want a word on %s", err, got, want)
		}
	}
}
