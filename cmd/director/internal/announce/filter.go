package announce

import (
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// filter is a socket filter that lets through what came to the NIC itself. A
// frame of a VLAN is delivered to the sockets of the NIC below, too: with the
// VLAN's link as its device, or, when there is no such link, without its tag
// and as one for another host (__netif_receive_skb_core in net/core/dev.c). A
// VLAN is another network, where a VIP may be somebody else's address.
func filter(index int) ([]bpf.RawInstruction, error) {
	const all = 0xffff_ffff
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(index), SkipTrue: 3},
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OTHERHOST, SkipTrue: 1},
		bpf.RetConstant{Val: all},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return nil, fmt.Errorf("announce: assemble the socket filter: %w", err)
	}
	return program, nil
}
