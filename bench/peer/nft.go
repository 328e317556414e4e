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
	Target:      lab.VIP,
	Start:       startNFT,
}

func startNFT(ctx context.Context, b *testbed.Testbed) (func(context.Context) error, error) {
	var inTurn []string
	for i, rip := range testbed.RIPs {
		inTurn = append(inTurn, fmt.Sprintf("%d : %s", i, rip))
	}
	err := testbed.NFT(ctx, b.Director,
		"table ip lvsnat_bench {",
		"	chain prerouting {",
		"		type nat hook prerouting priority dstnat",
		fmt.Sprintf("		ip daddr %s tcp dport { %d, %d } dnat to numgen inc mod %d map { %s }",
			lab.VIP, testbed.HTTPPort, testbed.IperfPort, len(inTurn), strings.Join(inTurn, ", ")),
		"	}",
		"}")
	if err != nil {
		return nil, err
	}
	if err := forwarding(b, "1"); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		if err := testbed.NFT(ctx, b.Director, "delete table ip lvsnat_bench"); err != nil {
			return err
		}
		if err := forgetConnections(b.Director); err != nil {
			return err
		}
		return forwarding(b, "0")
	}, nil
}

// forgetConnections empties the kernel's connection table of the host, so that
// the next measurement does not find connections of the last one.
func forgetConnections(host *lab.Host) error {
	return host.Do(func() error { return netlink.ConntrackTableFlush(netlink.ConntrackTable) })
}

func forwarding(b *testbed.Testbed, on string) error {
	return b.Director.Sysctl("net.ipv4.ip_forward", on)
}
