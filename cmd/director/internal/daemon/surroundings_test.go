package daemon

import (
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/google/nftables"
	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"

	"lvsnat/cmd/director/internal/guard"
	"lvsnat/dataplane/packettest"
	"lvsnat/scheduler"
)

func TestTheGuardsModeChangesAtRunTime(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		r := start(t, oneService, nil)
		for _, step := range []struct {
			mode   string
			active bool
		}{{"none", false}, {"nft", true}, {"none", false}, {"auto", true}} {
			r.write(oneService + "guard: " + step.mode + "\n")
			_, err := r.Reload(t.Context())
			must(t, err)
			if g := r.status().Guard; g.Mode != step.mode || g.Active != step.active || guarded(t) != step.active {
				t.Errorf("guard: %s gives %+v", step.mode, g)
			}
			wanted := 0
			if step.active {
				wanted = 2
			}
			if left, err := guard.Left(); err != nil || len(left) != wanted {
				t.Errorf("guard: %s: %v, %v, want %d things", step.mode, left, err, wanted)
			}
		}
		r.end()
	})
}

func TestAGuardThatACrashLeftGoesWhenNoneIsWanted(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		leaveGuard(t)
		r := start(t, oneService+"guard: none\n", nil)
		if left, err := guard.Left(); err != nil || len(left) > 0 {
			t.Errorf("left of the guard: %v, %v", left, err)
		}
		r.end()
	})
}

func leaveGuard(t *testing.T) {
	t.Helper()
	g, err := guard.New("eth0", "eth1")
	must(t, err)
	must(t, g.Set(guard.State{Services: []guard.Endpoint{{Protocol: 6, Addr: scheduler.MustParseAddress("192.168.1.110:80")}}}))
}

func TestAGuardThatSomebodyRemovesComesBack(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		r := start(t, oneService, nil)
		conn, err := nftables.New()
		must(t, err)
		conn.FlushRuleset()
		must(t, conn.Flush())
		eventually(t, "the guard is back", func() bool { return guarded(t) })
		r.end()
	})
}

func TestANICThatIsDeletedAndMadeAgainReceives(t *testing.T) {
	for _, nic := range []string{"eth0", "eth1"} {
		t.Run(nic, func(t *testing.T) {
			namespaced(t, func(t *testing.T) {
				box(t)
				r := start(t, oneService, nil)
				port := map[string]int{"eth0": 0, "eth1": 1}[nic]
				reopened := func() int { return strings.Count(r.log.String(), "its rings are open again") }
				for round := range 3 { // the waiters of the time before last are closed the third time
					link, err := netlink.LinkByName(nic)
					must(t, err)
					must(t, netlink.LinkDel(link))
					eventually(t, "the NIC is seen to be gone", func() bool { return r.status().NICs[port].MAC == "" })
					cable(t, nic, map[string]string{"eth0": "192.168.1.9/24", "eth1": "10.1.1.1/24"}[nic])
					eventually(t, "the NIC is seen to be up", func() bool { return r.status().NICs[port].Up })
					eventually(t, "its rings are open", func() bool { return reopened() == round+1 })
					eventually(t, "it receives", func() bool {
						knock(t, nic)
						return r.status().NICs[port].Received > 0
					})
				}
				r.end()
				if n := reopened(); n != 3 {
					t.Errorf("reopened %d times, want 3", n)
				}
			})
		})
	}
}

// knock sends a frame to a NIC from the far end of its cable.
func knock(t *testing.T, nic string) {
	t.Helper()
	to, err := net.InterfaceByName(nic)
	must(t, err)
	from, err := net.InterfaceByName("far-" + nic)
	must(t, err)
	conn, err := packet.Listen(from, packet.Raw, syscall.ETH_P_IP, nil)
	must(t, err)
	defer conn.Close()
	frame := packettest.TCP("192.168.1.254:40000", "192.168.1.110:80", packettest.SYN).Data
	copy(frame, to.HardwareAddr)
	_, err = conn.WriteTo(frame, &packet.Addr{HardwareAddr: to.HardwareAddr})
	must(t, err)
}

func TestAnAddressThatBecomesTheBoxsIsTheKernelsToAnswer(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		r := start(t, oneService, nil)
		lo, err := netlink.LinkByName("lo")
		must(t, err)
		vip, err := netlink.ParseAddr("192.168.1.110/32")
		must(t, err)
		must(t, netlink.AddrAdd(lo, vip))
		eventually(t, "the kernel owns the VIP", func() bool { return r.status().VIPs[0].ARP == "kernel" })
		must(t, netlink.AddrDel(lo, vip))
		eventually(t, "the director owns the VIP", func() bool { return r.status().VIPs[0].ARP == "director" })
		r.end()
	})
}
