package afpacket

import (
	"fmt"
	"net/netip"

	"golang.org/x/net/bpf"

	"lvsnat/dataplane/interval"
	"lvsnat/dataplane/packet"
)

// A Placement decides which worker gets a frame: the owner of its client end,
// as packet.Owner has it. The client end of a packet to one of the virtual
// addresses is its source, that of any other packet its destination.
//
// A frame without ports (another protocol, a fragment, not IPv4) goes to worker
// 0, and the dataplane hands it on.
type Placement struct {
	Workers int    // at least 1
	Seed    uint32 // of packet.Owner; a secret, the same on all NICs

	// Virtual are the IPv4 addresses that clients send to, in any order and
	// overlapping or not: the VIPs, ranges of VIPs, and addresses that
	// connections are masqueraded with.
	Virtual []netip.Prefix

	// FacesClients says what to take for the client end when there are more
	// virtual addresses than a program can tell apart, which is about 1,200,
	// or 1,000 ranges: the source of all packets on a NIC that faces clients,
	// the destination on another.
	FacesClients bool
}

// Offsets of fields from the IPv4 header, where the data of a fanout program
// begins. They are loaded relative to the data and not by SKF_NET_OFF, because
// that fails on kernels before 6.16 when the headers lie in a page fragment.
const (
	versionOffset     = 0
	fragmentOffset    = 6
	protocolOffset    = 9
	sourceOffset      = 12
	destinationOffset = 16
)

// Program is the placement as a classic BPF program for PACKET_FANOUT_CBPF. It
// returns the worker's number. A load past the end of the packet ends the
// program with 0.
func (p Placement) Program() ([]bpf.RawInstruction, error) {
	if p.Workers < 1 {
		return nil, fmt.Errorf("placement on %d workers, need at least 1", p.Workers)
	}
	program := p.write(true)
	if program.Len() > interval.MaxInstructions {
		program = p.write(false)
	}
	raw, err := program.Assemble()
	if err != nil {
		return nil, fmt.Errorf("placement of %d virtual addresses: assemble the fanout program: %w", len(p.Virtual), err)
	}
	return raw, nil
}

// write writes the program, with a search for the virtual addresses or without.
func (p Placement) write(search bool) *interval.Program {
	var to interval.Program
	request, reply, owner := to.Label(), to.Label(), to.Label()
	to.Add(onlyWithPorts...)
	switch {
	case search:
		to.Add(bpf.LoadAbsolute{Off: destinationOffset, Size: 4})
		to.Search(interval.To(request, intervalsOf(p.Virtual)...), reply)
	case p.FacesClients:
		to.Jump(request)
	}
	to.Place(reply)
	to.Add(loadClientEnd(2, destinationOffset)...)
	to.Jump(owner)
	to.Place(request)
	to.Add(loadClientEnd(0, sourceOffset)...)
	to.Place(owner)
	to.Add(ownerProgram(p.Seed, p.Workers)...)
	return &to
}

// intervalsOf are the addresses of the prefixes.
func intervalsOf(prefixes []netip.Prefix) []interval.Interval {
	all := make([]interval.Interval, len(prefixes))
	for i, prefix := range prefixes {
		all[i] = interval.OfPrefix(prefix)
	}
	return interval.Join(all)
}

// onlyWithPorts returns 0 for all but unfragmented TCP and UDP over IPv4.
var onlyWithPorts = []bpf.Instruction{
	bpf.LoadAbsolute{Off: versionOffset, Size: 1},
	bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf0},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x40, SkipTrue: 5},
	bpf.LoadAbsolute{Off: fragmentOffset, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x3fff, SkipTrue: 3}, // MF or an offset
	bpf.LoadAbsolute{Off: protocolOffset, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: packet.TCPProtocol, SkipTrue: 2},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: packet.UDPProtocol, SkipTrue: 1},
	bpf.RetConstant{Val: 0},
}

// loadClientEnd loads the client's address and leaves its port in the first
// scratch word.
func loadClientEnd(portOffset, addressOffset uint32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadMemShift{Off: versionOffset}, // X: length of the IPv4 header
		bpf.LoadIndirect{Off: portOffset, Size: 2},
		bpf.StoreScratch{Src: bpf.RegA, N: 0},
		bpf.LoadAbsolute{Off: addressOffset, Size: 4},
	}
}

// ownerProgram is packet.Owner, with the address in A and the port in the first
// scratch word.
func ownerProgram(seed uint32, workers int) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.ALUOpConstant{Op: bpf.ALUOpXor, Val: seed},
		bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: packet.OwnerMultiplier1},
		bpf.TAX{},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 16},
		bpf.ALUOpX{Op: bpf.ALUOpXor},
		bpf.TAX{},
		bpf.LoadScratch{Dst: bpf.RegA, N: 0},
		bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: packet.OwnerMultiplier2},
		bpf.ALUOpX{Op: bpf.ALUOpAdd},
		bpf.TAX{},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 13},
		bpf.ALUOpX{Op: bpf.ALUOpXor},
		bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: packet.OwnerMultiplier3},
		bpf.TAX{},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 16},
		bpf.ALUOpX{Op: bpf.ALUOpXor},
		bpf.ALUOpConstant{Op: bpf.ALUOpMod, Val: uint32(workers)},
		bpf.RetA{},
	}
}
