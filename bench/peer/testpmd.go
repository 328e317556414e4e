package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"lvsnat/bench/testbed"
	"lvsnat/test/lab"
)

var testpmd = Peer{
	Name:        "testpmd",
	Description: "dpdk-testpmd on AF_PACKET rings, io forwarding: each frame goes on as it is",
	// Its rings cut super-packets and lose what the offloads have left to do.
	Can:   testbed.Datagrams | testbed.Forged,
	Start: startTestpmd,
}

// testpmdTimeout is how long testpmd may take to come up.
const testpmdTimeout = 20 * time.Second

func startTestpmd(ctx context.Context, b *testbed.Testbed) (_ *testbed.Carrier, err error) {
	var u undo
	defer func() {
		if err != nil {
			err = errors.Join(err, u.all(context.WithoutCancel(ctx)))
		}
	}()
	open, err := testbed.Drop(ctx, b.Director, "meta protocol ip", b.VIPNIC, b.DIPNIC)
	if err != nil {
		return nil, err
	}
	u.add(open)
	// A frame that is not rewritten has to have its receiver's link address.
	for _, far := range []struct {
		host *lab.Host
		addr netip.Addr
	}{{b.Client, testbed.RIPs[0]}, {b.Realserver, lab.CIP}} {
		forget, err := onLink(far.host, testbed.ThroughDirector, far.addr)
		if err != nil {
			return nil, err
		}
		u.add(forget)
	}
	// Otherwise its output comes when it ends.
	p, err := b.Director.Start(lab.Command{Path: "stdbuf", Args: append([]string{"-oL", "dpdk-testpmd"}, testpmdArgs(b)...)})
	if err != nil {
		return nil, err
	}
	u.add(func(context.Context) error { return p.Kill() })
	ctx, cancel := context.WithTimeout(ctx, testpmdTimeout)
	defer cancel()
	forwards := func(line string) bool { return strings.HasPrefix(line, "io packet forwarding - ports") }
	if _, err := p.Stdout().WaitLine(ctx, forwards); err != nil {
		return nil, fmt.Errorf("wait for dpdk-testpmd: %w", err)
	}
	return testbed.NewCarrier(testbed.RIPs[0], u.all), nil
}

// testpmdArgs has one core forward and another one wait for commands, without
// huge pages or a real NIC.
func testpmdArgs(b *testbed.Testbed) []string {
	device := func(i int, nic string) string {
		return fmt.Sprintf("--vdev=net_af_packet%d,iface=%s,blocksz=65536,framesz=2048,framecnt=2048,qdisc_bypass=1", i, nic)
	}
	return []string{
		"-l", "0,1", "--no-pci", "--no-huge", "-m", "512", "--no-telemetry", "--file-prefix", b.Director.Namespace,
		device(0, b.VIPNIC), device(1, b.DIPNIC),
		"--", "--forward-mode=io", "--burst=64", "--nb-cores=1", "--auto-start", "--total-num-mbufs=32768",
		"--stats-period=3600", // without it the end of stdin ends testpmd
	}
}

// onLink has a host take an address for one on the same cable as NIC, with the
// link address that the lab gives it. The returned function ends that.
func onLink(host *lab.Host, nic string, addr netip.Addr) (func(context.Context) error, error) {
	var index int
	if err := host.Do(func() error {
		link, err := netlink.LinkByName(nic)
		if err != nil {
			return err
		}
		index = link.Attrs().Index
		return netlink.NeighSet(&netlink.Neigh{
			LinkIndex: index, State: netlink.NUD_PERMANENT, IP: addr.AsSlice(), HardwareAddr: lab.MACOf(addr),
		})
	}); err != nil {
		return nil, fmt.Errorf("%s: make %s a neighbour: %w", host.Name, addr, err)
	}
	route := lab.Route{To: netip.PrefixFrom(addr, addr.BitLen()), NIC: nic}
	if err := host.AddRoute(route); err != nil {
		return nil, err
	}
	return func(context.Context) error {
		err := host.RemoveRoute(route)
		return errors.Join(err, host.Do(func() error {
			return netlink.NeighDel(&netlink.Neigh{LinkIndex: index, IP: net.IP(addr.AsSlice())})
		}))
	}, nil
}
