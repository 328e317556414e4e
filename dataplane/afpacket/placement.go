package afpacket

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"golang.org/x/net/bpf"

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

// maxInstructions is the kernel's limit for a program (BPF_MAXINSNS,
// linux/bpf_common.h).
const maxInstructions = 4096

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
	search := p.searchProgram()
	var program []bpf.Instruction
	program = append(program, onlyWithPorts...)
	program = append(program, search...)
	program = append(program, loadClientEnd...)
	program = append(program, ownerProgram(p.Seed, p.Workers)...)
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, fmt.Errorf("placement of %d virtual addresses: assemble the fanout program: %w", len(p.Virtual), err)
	}
	return raw, nil
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

// loadClientEnd has two entries, for a reply at its beginning and for a request
// at requestEntry. It loads the client's address and leaves its port in the
// first scratch word.
var loadClientEnd = []bpf.Instruction{
	bpf.LoadMemShift{Off: versionOffset}, // X: length of the IPv4 header
	bpf.LoadIndirect{Off: 2, Size: 2},
	bpf.StoreScratch{Src: bpf.RegA, N: 0},
	bpf.LoadAbsolute{Off: destinationOffset, Size: 4},
	bpf.Jump{Skip: 4},

	bpf.LoadMemShift{Off: versionOffset},
	bpf.LoadIndirect{Off: 0, Size: 2},
	bpf.StoreScratch{Src: bpf.RegA, N: 0},
	bpf.LoadAbsolute{Off: sourceOffset, Size: 4},
}

const (
	replyEntry   = 0
	requestEntry = 5
)

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

// searchProgram goes on at one of loadClientEnd's entries, which must follow
// it: the one for a request when the packet is for a virtual address.
func (p Placement) searchProgram() []bpf.Instruction {
	var t tree
	t.add(bpf.LoadAbsolute{Off: destinationOffset, Size: 4})
	t.search(intervalsOf(p.Virtual))
	rest := len(onlyWithPorts) + len(loadClientEnd) + len(ownerProgram(0, 1))
	if len(t.program)+rest <= maxInstructions {
		return t.link()
	}
	if p.FacesClients {
		return []bpf.Instruction{bpf.Jump{Skip: requestEntry}}
	}
	return []bpf.Instruction{bpf.Jump{Skip: replyEntry}}
}

// An interval is addresses in host order, both ends included.
type interval struct{ first, last uint32 }

// intervalsOf are the addresses of the prefixes in order, with what touches put
// together.
func intervalsOf(prefixes []netip.Prefix) []interval {
	all := make([]interval, len(prefixes))
	for i, prefix := range prefixes {
		b := prefix.Masked().Addr().As4()
		first := binary.BigEndian.Uint32(b[:])
		all[i] = interval{first, first | uint32(math.MaxUint32>>prefix.Bits())}
	}
	slices.SortFunc(all, func(a, b interval) int { return cmp.Compare(a.first, b.first) })
	var joined []interval
	for _, next := range all {
		n := len(joined)
		if n == 0 || uint64(next.first) > uint64(joined[n-1].last)+1 {
			joined = append(joined, next)
			continue
		}
		joined[n-1].last = max(joined[n-1].last, next.last)
	}
	return joined
}

// A tree is a program that searches sorted intervals for A by halves.
// Conditional jumps reach only 255 instructions far, so each one skips a jump
// that reaches anywhere.
type tree struct {
	program []bpf.Instruction
	hits    []int // jumps to the request entry, to be linked
	misses  []int // jumps to the reply entry
}

func (t *tree) add(in bpf.Instruction) { t.program = append(t.program, in) }

// leafSize is how many intervals are compared one by one.
const leafSize = 4

func (t *tree) search(sorted []interval) {
	if len(sorted) <= leafSize {
		t.leaf(sorted)
		return
	}
	middle := len(sorted) / 2
	t.add(bpf.JumpIf{Cond: bpf.JumpLessThan, Val: sorted[middle].first, SkipTrue: 1})
	upper := len(t.program)
	t.add(bpf.Jump{})
	t.search(sorted[:middle])
	t.program[upper] = bpf.Jump{Skip: uint32(len(t.program) - upper - 1)}
	t.search(sorted[middle:])
}

func (t *tree) leaf(sorted []interval) {
	for _, i := range sorted {
		if i.first == i.last {
			t.add(bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: i.first, SkipTrue: 1})
		} else {
			t.add(bpf.JumpIf{Cond: bpf.JumpLessThan, Val: i.first, SkipTrue: 2})
			t.add(bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: i.last, SkipTrue: 1})
		}
		t.hits = append(t.hits, len(t.program))
		t.add(bpf.Jump{})
	}
	t.misses = append(t.misses, len(t.program))
	t.add(bpf.Jump{})
}

// link fills in the jumps out of the tree.
func (t *tree) link() []bpf.Instruction {
	end := len(t.program)
	for _, i := range t.hits {
		t.program[i] = bpf.Jump{Skip: uint32(end + requestEntry - i - 1)}
	}
	for _, i := range t.misses {
		t.program[i] = bpf.Jump{Skip: uint32(end + replyEntry - i - 1)}
	}
	return t.program
}
