package main

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func addrOf(a uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, a)))
}

func addrPort(addr netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(addr, port) }

func TestSourcesTakeTurnsAndThenThePorts(t *testing.T) {
	all := newFlows(netip.MustParseAddr("10.0.0.255"), 2, portRange{5000, 5001})
	s := sequence{flows: &all, step: 1}
	var got []flow
	for range 5 {
		got = append(got, s.take())
	}
	want := []flow{{0x0a0000ff, 5000}, {0x0a000100, 5000}, {0x0a0000ff, 5001}, {0x0a000100, 5001}, {0x0a0000ff, 5000}}
	if !slices.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

func TestWorkersTogetherSendWhatOneWouldSend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Uint16Range(1, 60000).Draw(t, "port")
		ports := portRange{first, first + rapid.Uint16Range(0, 20).Draw(t, "more ports")}
		all := newFlows(netip.MustParseAddr("10.0.0.1"), rapid.IntRange(1, 50).Draw(t, "sources"), ports)
		packets := rapid.Uint64Range(0, 3000).Draw(t, "packets")
		workers := rapid.IntRange(1, 8).Draw(t, "workers")

		one := sequence{flows: &all, step: 1}
		want := make(map[flow]int)
		for range packets {
			want[one.take()]++
		}
		got := make(map[flow]int)
		for i := range workers {
			s := sequence{flows: &all, next: uint64(i) % all.total, step: uint64(workers)}
			for range share(packets, i, workers) {
				got[s.take()]++
			}
		}
		for f, n := range want {
			if got[f] != n {
				t.Fatalf("flow %x: %d workers sent it %d times, one %d times", f, workers, got[f], n)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d flows instead of %d", len(got), len(want))
		}
	})
}

func TestRandomSourcesStayInRangeAndReachItsEnds(t *testing.T) {
	all := newFlows(netip.MustParseAddr("10.0.0.1"), 10, portRange{5000, 5001})
	s := sequence{flows: &all, step: 1, random: rand.New(rand.NewPCG(1, 2))}
	seen := make(map[flow]bool)
	for range 1000 {
		f := s.take()
		if f.source < 0x0a000001 || f.source > 0x0a00000a || f.port < 5000 || f.port > 5001 {
			t.Fatalf("flow %x is out of range", f)
		}
		seen[f] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d of 20 flows seen", len(seen))
	}
}
