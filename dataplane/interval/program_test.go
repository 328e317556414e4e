package interval

import (
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
	"pgregory.net/rapid"
)

// Each branch of these programs returns a number of its own.
const missed = 1 << 20

// searching is a program that searches the packet's first four bytes. The
// branch of a number returns its place in branches.
func searching(t interface{ Fatal(...any) }, intervals []Interval) *bpf.VM {
	var p Program
	p.Add(bpf.LoadAbsolute{Off: 0, Size: 4})
	var branches []Branch
	for _, i := range intervals {
		branches = append(branches, To(p.Label(), i)...)
	}
	miss := p.Label()
	p.Search(append([]Branch(nil), branches...), miss)
	for i, b := range branches {
		p.Place(b.To)
		p.Add(bpf.RetConstant{Val: uint32(i)})
	}
	p.Place(miss)
	p.Add(bpf.RetConstant{Val: missed})
	if p.Len() > MaxInstructions {
		t.Fatal("too long")
	}
	raw, err := p.Assemble()
	if err != nil {
		t.Fatal(err)
	}
	program, _ := bpf.Disassemble(raw)
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

func TestSearchFindsTheIntervalOfANumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// So many that jumps reach further than 255 instructions.
		gaps := rapid.SliceOfN(rapid.Uint32Range(1, 3), 0, 300).Draw(t, "gaps")
		var intervals []Interval
		next := uint32(0)
		for _, gap := range gaps {
			first := next + gap
			next = first + gap%2*2
			intervals = append(intervals, Interval{first, next})
		}
		vm := searching(t, intervals)
		for _, n := range rapid.SliceOfN(rapid.Uint32Range(0, next+3), 1, 30).Draw(t, "numbers") {
			want := missed
			for at, i := range intervals {
				if i.First <= n && n <= i.Last {
					want = at
					break
				}
			}
			if got, err := vm.Run(binary.BigEndian.AppendUint32(nil, n)); err != nil || got != want {
				t.Fatalf("%d leads to %d, %v, want %d", n, got, err, want)
			}
		}
	})
}

func TestBadProgramsAreRefused(t *testing.T) {
	for _, tt := range []struct {
		want  string
		write func(*Program)
	}{
		{"without a place", func(p *Program) { p.Jump(p.Label()) }},
		{"without a place", func(p *Program) {
			l := p.Label()
			p.Place(l)
			p.Jump(l) // backwards
		}},
		{"4096", func(p *Program) { p.Add(make([]bpf.Instruction, MaxInstructions)...) }},
	} {
		var p Program
		tt.write(&p)
		p.Add(bpf.RetConstant{})
		if _, err := p.Assemble(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want a word on %q", err, tt.want)
		}
	}
}
