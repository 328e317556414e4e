package checksum

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// naive is RFC 1071 word by word: what Sum is measured against.
func naive(b []byte, initial uint16) uint16 {
	sum := uint32(initial)
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
		sum = sum>>16 + sum&0xffff
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// randomBytes are the same at every run.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	source := rand.NewPCG(1071, 1624)
	for i := range b {
		b[i] = byte(source.Uint64())
	}
	return b
}

func TestSumIsThatOfThePublishedExamples(t *testing.T) {
	tests := []struct {
		name string
		b    []byte
		want uint16
	}{
		{"nothing", nil, 0},
		{"RFC 1071 section 3", []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}, 0xddf2},
		{"an odd byte is the high half of a word", []byte{0x12}, 0x1200},
		{"an IP header with its checksum", []byte{
			0x45, 0x00, 0x00, 0x28, 0x00, 0x01, 0x40, 0x00, 0x40, 0x06, 0xb6, 0x12, // 40 bytes, ID 1, DF, TTL 64, TCP
			0xc0, 0xa8, 0x01, 0xfe, 0xc0, 0xa8, 0x01, 0x6e, // 192.168.1.254 to 192.168.1.110
		}, 0xffff},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Sum(tt.b, 0); got != tt.want {
				t.Errorf("Sum = %#04x, want %#04x", got, tt.want)
			}
		})
	}
}

func TestSumIsTheNaiveSumAtEveryLengthAndAlignment(t *testing.T) {
	const longest, alignments = 2049, 8
	contents := []struct {
		name       string
		b          []byte
		alignments int
	}{
		{"random bytes", randomBytes(longest + alignments), alignments},
		{"all ones", bytes.Repeat([]byte{0xff}, longest), 1}, // every add carries
		{"few ones", bytes.Repeat([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0}, (longest+8)/9), 1},
	}
	for _, c := range contents {
		t.Run(c.name, func(t *testing.T) {
			for length := range longest + 1 {
				for alignment := range c.alignments {
					piece := c.b[alignment : alignment+length]
					initial := uint16(length * 0x1357) // all over the range
					if got, want := Sum(piece, initial), naive(piece, initial); got != want {
						t.Fatalf("Sum of %d bytes at alignment %d from %#04x = %#04x, want %#04x", length, alignment, initial, got, want)
					}
				}
			}
		})
	}
}

func TestSumOfALargestDatagramOfOnesKeepsEveryCarry(t *testing.T) {
	b := bytes.Repeat([]byte{0xff}, 65535)
	for _, initial := range []uint16{0, 1, 0xfffe, 0xffff} {
		if got, want := Sum(b, initial), naive(b, initial); got != want {
			t.Errorf("Sum from %#04x = %#04x, want %#04x", initial, got, want)
		}
	}
}

func TestAHeaderIsValidWhenItsNaiveSumIsAllOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.OneOf(rapid.Byte(), rapid.Just(byte(0xff)), rapid.Just(byte(0))), 20, 20).Draw(t, "header")
		if rapid.Bool().Draw(t, "right") {
			b[10], b[11] = 0, 0
			sum := ^naive(b, 0)
			b[10], b[11] = byte(sum>>8), byte(sum)
		}
		got := ValidHeader(binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint32(b[16:]))
		if want := naive(b, 0) == 0xffff; got != want {
			t.Fatalf("% x: valid %v, want %v", b, got, want)
		}
	})
}

func TestSumOfPiecesIsTheSumOfTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "first")
		first = first[:len(first)&^1] // only the last piece may be odd
		last := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "last")
		initial := rapid.Uint16().Draw(t, "initial")
		whole := append(bytes.Clone(first), last...)
		if got, want := Sum(last, Sum(first, initial)), Sum(whole, initial); got != want {
			t.Fatalf("pieces give %#04x, the whole %#04x", got, want)
		}
	})
}

func TestPseudoIsTheSumOfThePseudoHeader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source, destination := rapid.Uint32().Draw(t, "source"), rapid.Uint32().Draw(t, "destination")
		protocol, length := rapid.Byte().Draw(t, "protocol"), rapid.Uint16().Draw(t, "length")
		want := naive(pseudoHeader(source, destination, protocol, length), 0)
		if got := Pseudo(source, destination, protocol, length); got != want {
			t.Fatalf("Pseudo = %#04x, want %#04x", got, want)
		}
	})
}

// pseudoHeader is laid out as in RFC 793 section 3.1.
func pseudoHeader(source, destination uint32, protocol uint8, length uint16) []byte {
	var b []byte
	b = binary.BigEndian.AppendUint32(b, source)
	b = binary.BigEndian.AppendUint32(b, destination)
	b = append(b, 0, protocol)
	return binary.BigEndian.AppendUint16(b, length)
}

func TestPseudoKeepsTheCarriesOfTheHighestAddresses(t *testing.T) {
	const ones = 0xffff_ffff
	want := naive(pseudoHeader(ones, ones, 0xff, 0xffff), 0)
	if got := Pseudo(ones, ones, 0xff, 0xffff); got != want {
		t.Errorf("Pseudo = %#04x, want %#04x", got, want)
	}
}

func BenchmarkSum(b *testing.B) {
	for _, length := range []int{20, 60, 1500, 65535} {
		data := randomBytes(length)
		for _, f := range []struct {
			name string
			sum  func([]byte, uint16) uint16
		}{{"Sum", Sum}, {"naive", naive}} {
			b.Run(fmt.Sprintf("%d/%s", length, f.name), func(b *testing.B) {
				b.SetBytes(int64(length))
				b.ReportAllocs()
				for b.Loop() {
					f.sum(data, 0)
				}
			})
		}
	}
}
