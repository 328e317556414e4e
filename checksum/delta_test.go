package checksum

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// same reports whether a and b are the same number: in one's complement zero
// has two forms, 0 and 0xffff.
func same(a, b uint16) bool { return a%0xffff == b%0xffff }

func TestApplyIsTheNewerEquationOfRFC1624(t *testing.T) {
	// RFC 1624 section 4: with RFC 1141's equation the result is 0xffff.
	if got := Delta16(0x5555, 0x3285).Apply(0xdd2f); got != 0 {
		t.Errorf("Apply = %#04x, want 0", got)
	}
}

// TestApplyIsTheFullSumForEveryValueOfOneWord changes one word of a header to
// every value, with the rest of the header chosen so that every checksum
// occurs.
func TestApplyIsTheFullSumForEveryValueOfOneWord(t *testing.T) {
	for _, before := range []uint16{0, 1, 0x5555, 0x7fff, 0x8000, 0xfffe, 0xffff} {
		for value := range 1 << 16 {
			for _, c := range []struct{ after, rest uint16 }{
				{uint16(value), 0x1234}, // every new value of the word
				{0x3285, uint16(value)}, // every sum of the other words
			} {
				if before == 0 && c.rest == 0 || c.after == 0 && c.rest == 0 {
					continue // a header of nothing but zeros, the only one that sums to 0
				}
				old := ^naive(binary.BigEndian.AppendUint16(nil, before), c.rest)
				want := ^naive(binary.BigEndian.AppendUint16(nil, c.after), c.rest)
				if got := Delta16(before, c.after).Apply(old); got != want {
					t.Fatalf("%#04x to %#04x beside %#04x: Apply(%#04x) = %#04x, want %#04x", before, c.after, c.rest, old, got, want)
				}
			}
		}
	}
}

func TestTheZeroDeltaChangesNothing(t *testing.T) {
	for sum := range 1 << 16 {
		if got := Delta(0).Apply(uint16(sum)); got != uint16(sum) {
			t.Fatalf("Apply(%#04x) = %#04x", sum, got)
		}
		if got := Delta(0).ApplyPartial(uint16(sum)); got != uint16(sum) {
			t.Fatalf("ApplyPartial(%#04x) = %#04x", sum, got)
		}
	}
}

func TestDeltasAddUpInAnyOrder(t *testing.T) {
	delta := rapid.Custom(func(t *rapid.T) Delta { return Delta(rapid.Uint16().Draw(t, "delta")) })
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := delta.Draw(t, "a"), delta.Draw(t, "b"), delta.Draw(t, "c")
		sum := rapid.Uint16().Draw(t, "sum")
		if a.Add(b) != b.Add(a) {
			t.Fatal("a+b is not b+a")
		}
		if a.Add(b).Add(c) != a.Add(b.Add(c)) {
			t.Fatal("(a+b)+c is not a+(b+c)")
		}
		if got, want := a.Add(b).Apply(sum), b.Apply(a.Apply(sum)); got != want {
			t.Fatalf("a+b at once gives %#04x, one after the other %#04x", got, want)
		}
	})
}

func TestDelta32IsTheDeltaOfBothHalves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := rapid.Uint32().Draw(t, "before"), rapid.Uint32().Draw(t, "after")
		want := Delta16(uint16(before>>16), uint16(after>>16)).Add(Delta16(uint16(before), uint16(after)))
		if got := Delta32(before, after); got != want {
			t.Fatalf("Delta32 = %#04x, want %#04x", got, want)
		}
	})
}

func TestTheInverseUndoesAChange(t *testing.T) {
	for sum := range 1 << 16 {
		for _, d := range []Delta{0, 1, 0x1234, 0x8000, 0xfffe, 0xffff} {
			if got := d.Inverse().Apply(d.Apply(uint16(sum))); !same(got, uint16(sum)) {
				t.Fatalf("delta %#04x to and fro: %#04x became %#04x", d, sum, got)
			}
			if sum == 0 {
				continue // not the same zero: of no UDP checksum
			}
			if got := d.Inverse().ApplyUDP(d.ApplyUDP(uint16(sum))); got != uint16(sum) {
				t.Fatalf("delta %#04x to and fro: UDP's %#04x became %#04x", d, sum, got)
			}
		}
	}
	if got, want := Delta32(1, 2).Inverse(), Delta32(2, 1); !same(uint16(got), uint16(want)) {
		t.Errorf("the inverse of 1 to 2 is %#04x, 2 to 1 is %#04x", got, want)
	}
}

func TestUDPHasAChecksumAfterwardsIfItHadOneBefore(t *testing.T) {
	for sum := range 1 << 16 {
		for _, d := range []Delta{0, 1, 0x1234, ^Delta(sum), Delta(sum), 0xffff} {
			got := d.ApplyUDP(uint16(sum))
			if (got == 0) != (sum == 0) {
				t.Fatalf("delta %#04x: %#04x became %#04x", d, sum, got)
			}
			if sum != 0 && !same(got, d.Apply(uint16(sum))) {
				t.Fatalf("delta %#04x: ApplyUDP(%#04x) = %#04x, Apply gives %#04x", d, sum, got, d.Apply(uint16(sum)))
			}
		}
	}
}

func TestApplyPartialIsTheSumOfTheChangedPseudoHeader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		addr := rapid.Uint32()
		source, destination := addr.Draw(t, "source"), addr.Draw(t, "destination")
		newSource, newDestination := addr.Draw(t, "new source"), addr.Draw(t, "new destination")
		length := rapid.Uint16().Draw(t, "length")
		d := Delta32(source, newSource).Add(Delta32(destination, newDestination))
		got := d.ApplyPartial(Pseudo(source, destination, 6, length))
		if want := Pseudo(newSource, newDestination, 6, length); !same(got, want) {
			t.Fatalf("ApplyPartial = %#04x, want %#04x", got, want)
		}
	})
}

// FuzzApply changes a datagram wherever it likes and compares the checksum
// that was updated all the way with that of the whole result.
func FuzzApply(f *testing.F) {
	header := []byte{
		0x45, 0x00, 0x00, 0x28, 0x00, 0x01, 0x40, 0x00, 0x40, 0x06, 0xb6, 0x12,
		0xc0, 0xa8, 0x01, 0xfe, 0xc0, 0xa8, 0x01, 0x6e,
	}
	f.Add(header, []byte{16, 0x0a, 0x01, 0x01, 0x02, 8, 0x3f, 0x06, 0, 0}) // destination 10.1.1.2, TTL 63
	f.Add([]byte{0x55, 0x55, 0, 0}, []byte{0, 0x32, 0x85, 0, 0})
	f.Add([]byte{0xff, 0xff}, []byte{0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, input, edits []byte) {
		data := bytes.Clone(input) // the fuzzer keeps its own
		before := ^Sum(data, 0)
		sum, whole := before, Delta(0)
		wasZero := zero(data)
		for ; len(edits) >= 5; edits = edits[5:] {
			d := edit(data, int(edits[0])&^1, edits[1:5])
			whole = whole.Add(d)
			sum = d.Apply(sum)
			wasZero = wasZero || zero(data)
		}
		after := ^naive(data, 0)
		if wasZero { // only then does a sum have two forms
			if !same(sum, after) {
				t.Fatalf("updated to %#04x, the sum is %#04x", sum, after)
			}
			return
		}
		if sum != after {
			t.Fatalf("updated to %#04x, the sum is %#04x", sum, after)
		}
		if got := whole.Apply(before); got != after {
			t.Fatalf("all changes at once give %#04x, the sum is %#04x", got, after)
		}
		if got := whole.ApplyPartial(^before); !same(got, ^after) {
			t.Fatalf("un-complemented %#04x, the sum is %#04x", got, ^after)
		}
	})
}

// edit writes value at offset at of data, 4 bytes if they fit in or else 2,
// and returns the change.
func edit(data []byte, at int, value []byte) Delta {
	switch {
	case at+4 <= len(data):
		before := binary.BigEndian.Uint32(data[at:])
		copy(data[at:], value)
		return Delta32(before, binary.BigEndian.Uint32(value))
	case at+2 <= len(data):
		before := binary.BigEndian.Uint16(data[at:])
		copy(data[at:], value[:2])
		return Delta16(before, binary.BigEndian.Uint16(value))
	}
	return 0
}

// zero reports whether b is nothing but zeros.
func zero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// BenchmarkUpdate is what a translation does to the checksums of a packet of
// 1,500 bytes, against summing anew.
func BenchmarkUpdate(b *testing.B) {
	data := randomBytes(1480)
	addresses := Delta32(0xc0a8016e, 0x0a010102)
	transport := addresses.Add(Delta16(80, 8000))
	b.Run("delta", func(b *testing.B) {
		b.ReportAllocs()
		var ip, tcp uint16 = 0x1234, 0x5678
		for b.Loop() {
			ip, tcp = addresses.Apply(ip), transport.Apply(tcp)
		}
	})
	b.Run("full sum", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Sum(data[:20], 0)
			Sum(data, Pseudo(0xc0a801fe, 0x0a010102, 6, 1480))
		}
	})
}

func TestNothingAllocates(t *testing.T) {
	data := randomBytes(1480)
	allocs := testing.AllocsPerRun(10, func() {
		d := Delta32(1, 2).Add(Delta16(3, 4)).Inverse()
		_ = d.ApplyPartial(d.ApplyUDP(d.Apply(Sum(data, Pseudo(1, 2, 6, 1480)))))
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
