package interval

import (
	"cmp"
	"fmt"
	"slices"

	"golang.org/x/net/bpf"
)

// MaxInstructions is the kernel's limit for a program (BPF_MAXINSNS,
// linux/bpf_common.h).
const MaxInstructions = 4096

// A Program is a classic BPF program that is being written from its beginning
// to its end. Conditional jumps reach only 255 instructions far, so each one
// here skips a jump that reaches anywhere. The zero value is an empty program.
type Program struct {
	instructions []bpf.Instruction
	jumps        []jump
	places       []int // of the labels; 0: none yet, nothing can jump to the first instruction
}

// A Label is a place to jump to, of one program.
type Label int

// A jump's distance is known when its label has a place.
type jump struct {
	at int
	to Label
}

// Len is how many instructions there are so far.
func (p *Program) Len() int { return len(p.instructions) }

// Add appends instructions. Jumps among them must end among them.
func (p *Program) Add(instructions ...bpf.Instruction) {
	p.instructions = append(p.instructions, instructions...)
}

// Label makes a label, which needs a place further on.
func (p *Program) Label() Label {
	p.places = append(p.places, 0)
	return Label(len(p.places) - 1)
}

// Place gives a label its place: the instruction that is added next.
func (p *Program) Place(l Label) { p.places[l] = len(p.instructions) }

// Jump goes to a label.
func (p *Program) Jump(to Label) {
	p.jumps = append(p.jumps, jump{len(p.instructions), to})
	p.Add(bpf.Jump{})
}

// Unless goes to a label when the condition does not hold for A.
func (p *Program) Unless(cond bpf.JumpTest, val uint32, to Label) {
	p.Add(bpf.JumpIf{Cond: cond, Val: val, SkipTrue: 1})
	p.Jump(to)
}

// A Branch is where a program goes on with the numbers of an interval.
type Branch struct {
	Interval
	To Label
}

// To makes branches that lead to one label.
func To(to Label, intervals ...Interval) []Branch {
	branches := make([]Branch, len(intervals))
	for i, interval := range intervals {
		branches[i] = Branch{interval, to}
	}
	return branches
}

// leafSize is how many intervals are compared one by one.
const leafSize = 4

// Search goes on with A's branch, or at miss when A is in none. It searches by
// halves. The intervals must not overlap; Search sorts the slice.
func (p *Program) Search(branches []Branch, miss Label) {
	slices.SortFunc(branches, func(a, b Branch) int { return cmp.Compare(a.First, b.First) })
	p.search(branches, miss)
}

func (p *Program) search(sorted []Branch, miss Label) {
	if len(sorted) <= leafSize {
		p.compare(sorted, miss)
		return
	}
	middle, upper := len(sorted)/2, p.Label()
	p.Unless(bpf.JumpLessThan, sorted[middle].First, upper)
	p.search(sorted[:middle], miss)
	p.Place(upper)
	p.search(sorted[middle:], miss)
}

func (p *Program) compare(branches []Branch, miss Label) {
	for _, b := range branches {
		if b.First == b.Last {
			p.Unless(bpf.JumpNotEqual, b.First, b.To)
			continue
		}
		p.Add(bpf.JumpIf{Cond: bpf.JumpLessThan, Val: b.First, SkipTrue: 2})
		p.Unless(bpf.JumpGreaterThan, b.Last, b.To)
	}
	p.Jump(miss)
}

// Assemble returns the program as the kernel takes it. It fails when a label
// has no place, and when the program is too long.
func (p *Program) Assemble() ([]bpf.RawInstruction, error) {
	if len(p.instructions) > MaxInstructions {
		return nil, fmt.Errorf("a BPF program of %d instructions, the kernel allows %d", len(p.instructions), MaxInstructions)
	}
	for _, j := range p.jumps {
		place := p.places[j.to]
		if place <= j.at {
			return nil, fmt.Errorf("instruction %d of a BPF program jumps to a label without a place behind it", j.at)
		}
		p.instructions[j.at] = bpf.Jump{Skip: uint32(place - j.at - 1)}
	}
	return bpf.Assemble(p.instructions)
}
