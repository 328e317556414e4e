package afpacket

import (
	"golang.org/x/net/bpf"

	"lvsnat/dataplane/packet"
)

// A filter is a socket filter: what it returns is how many bytes of a frame the
// ring gets, 0 for none of it.
type filter []bpf.RawInstruction

// Filters of receive rings.
var (
	// nothing is in force until all of a NIC's rings are set up, so that no
	// frame lands in a ring that is not its own.
	nothing = assemble(bpf.RetConstant{Val: 0})

	// requestsAndReplies keeps out of the rings what the dataplane has no use
	// for: other protocols and what is not for this host's link address. It
	// asks the kernel instead of reading the frame, because the kernel has
	// taken a VLAN tag out. With two tags the inner one is still in the frame.
	requestsAndReplies = assemble(
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: packetHost, SkipTrue: 4},
		bpf.LoadExtension{Num: bpf.ExtProto},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: packet.TypeIPv4, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: packet.TypeVLAN, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: packet.TypeSVLAN, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: 1 << 18}, // more than any frame has
	)
)

// packetHost is PACKET_HOST (linux/if_packet.h): addressed to this host.
const packetHost = 0

// assemble is for programs that are known to be well-formed.
func assemble(program ...bpf.Instruction) filter {
	raw, err := bpf.Assemble(program)
	if err != nil {
		panic(err)
	}
	return raw
}
