package testbed

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"

	"lvsnat/test/lab"
)

// Arrived is the number of packets that have reached a host's NIC, those that
// a rule drops at its ingress included.
func Arrived(host *lab.Host, nic string) (packets uint64, err error) {
	err = onLink(host, nic, func(s *netlink.LinkStatistics) { packets = s.RxPackets })
	return packets, err
}

// Drops are the frames that the cables and the kernel's input queues have lost
// so far, by where it was. A veth counts as dropped what its other end did not
// take.
func (b *Testbed) Drops() (map[string]float64, error) {
	drops := make(map[string]float64)
	for _, host := range []*lab.Host{b.Client, b.Director, b.Realserver} {
		for _, nic := range []string{"eth0", "eth1"} {
			err := onLink(host, nic, func(s *netlink.LinkStatistics) {
				drops[host.Name+"_"+nic+"_tx_dropped"] = float64(s.TxDropped)
				drops[host.Name+"_"+nic+"_rx_dropped"] = float64(s.RxDropped)
			})
			if err != nil {
				return nil, err
			}
		}
	}
	text, err := os.ReadFile("/proc/net/softnet_stat")
	if err != nil {
		return nil, fmt.Errorf("read the drops of the input queues: %w", err)
	}
	backlog, err := parseSoftnet(string(text))
	if err != nil {
		return nil, err
	}
	drops["backlog_dropped"] = float64(backlog)
	return drops, nil
}

// parseSoftnet adds up what the queues between an interrupt and the stack have
// dropped: the second column of each processor's line, in hexadecimal
// (softnet_seq_show in net/core/net-procfs.c).
func parseSoftnet(text string) (dropped uint64, err error) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			return 0, fmt.Errorf("read the drops of the input queues: line %q of softnet_stat is too short", line)
		}
		n, err := strconv.ParseUint(fields[1], 16, 64)
		if err != nil {
			return 0, fmt.Errorf("read the drops of the input queues: %w", err)
		}
		dropped += n
	}
	return dropped, nil
}

func onLink(host *lab.Host, nic string, f func(*netlink.LinkStatistics)) error {
	return host.Do(func() error {
		link, err := netlink.LinkByName(nic)
		if err != nil {
			return fmt.Errorf("%s: counters of %s: %w", host.Name, nic, err)
		}
		f(link.Attrs().Statistics)
		return nil
	})
}
