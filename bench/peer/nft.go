package peer

import (
	"context"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"

	"lvsnat/bench/testbed"
	"lvsnat/test/lab"
)

var nft = Peer{
	Name:        "nft",
	Description: "the kernel's DNAT by nftables, realservers in turn",
	Can:         testbed.Streams | testbed.Datagrams | testbed.Forged,
	Start:       startNFT,
}

func startNFT(ctx context.Context, b *testbed.Testbed) (*testbed.Carrier, error) {
	var inTurn, ports []string
	for i, rip := range testbed.RIPs {
		inTurn = append(inTurn, fmt.Sprintf("%d : %s", i, rip))
	}
	for _, port := range testbed.TCPPorts {
		ports = append(ports, fmt.Sprint(port))
	}
	dnat := fmt.Sprintf("dnat to numgen inc mod %d map { %s }", len(inTurn), strings.Join(inTurn, ", "))
	err := testbed.NFT(ctx, b.Director,
		"table ip lvsnat_bench {",
		"	chain prerouting {",
		"		type nat hook prerouting priority dstnat",
		fmt.Sprintf("		ip daddr %s tcp dport { %s } %s", lab.VIP, strings.Join(ports, ", "), dnat),
		fmt.Sprintf("		ip daddr %s udp dport %d %s", lab.VIP, testbed.UDPPort, dnat),
		"	}",
		"}")
	if err != nil {
		return nil, err
	}
	if err := forwarding(b, "1"); err != nil {
		return nil, err
	}
	c := testbed.NewCarrier(lab.VIP, func(ctx context.Context) error {
		if err := testbed.NFT(ctx, b.Director, "delete table ip lvsnat_bench"); err != nil {
			return err
		}
		if err := forgetConnections(b.Director); err != nil {
			return err
		}
		return forwarding(b, "0")
	})
	c.Memory = kernelMemory
	return c, nil
}

// forgetConnections empties the kernel's connection table of the host, so that
// the next measurement does not find connections of the last one.
func forgetConnections(host *lab.Host) error {
	return host.Do(func() error { return netlink.ConntrackTableFlush(netlink.ConntrackTable) })
}

func forwarding(b *testbed.Testbed, on string) error {
	return b.Director.Sysctl("net.ipv4.ip_forward", on)
}
