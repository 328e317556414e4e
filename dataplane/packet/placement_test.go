package packet_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"lvsnat/dataplane/packet"
)

// Each way of choosing client ends that a real network or a flood has must
// load all workers alike.
func TestOwnerSpreadsClientEndsEvenly(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	sources := map[string]func(i int) (uint32, uint16){
		"one address, rising ports":            func(i int) (uint32, uint16) { return 0xc0a80101, uint16(1024 + i) },
		"one address, every second port":       func(i int) (uint32, uint16) { return 0xc0a80101, uint16(1024 + 2*i) },
		"rising addresses, one port":           func(i int) (uint32, uint16) { return 0x0a000000 + uint32(i), 1024 },
		"addresses of different /24, one port": func(i int) (uint32, uint16) { return uint32(i) << 8, 53 },
		"random addresses and ports":           func(int) (uint32, uint16) { return random.Uint32(), uint16(random.Uint32()) },
		"pairs that cancel out without a seed": func(i int) (uint32, uint16) {
			port := uint16(i)
			return 0 - uint32(port)*packet.OwnerMultiplier2, port
		},
	}
	const ends = 1 << 15
	for name, end := range sources {
		t.Run(name, func(t *testing.T) {
			for _, workers := range []int{1, 2, 3, 4, 7, 16} {
				counts := make([]int, workers)
				for i := range ends {
					addr, port := end(i)
					counts[packet.Owner(addr, port, 0x5eed1234, workers)]++
				}
				// Six standard deviations of a fair draw.
				mean := float64(ends) / float64(workers)
				slack := 6 * math.Sqrt(mean)
				for w, n := range counts {
					if math.Abs(float64(n)-mean) > slack {
						t.Errorf("worker %d of %d owns %d of %d client ends, want %.0f±%.0f", w, workers, n, ends, mean, slack)
					}
				}
			}
		})
	}
}

func TestOwnerDependsOnTheSeed(t *testing.T) {
	const ends = 4096
	same := 0
	for i := range ends {
		addr := uint32(i) * 2654435761
		if packet.Owner(addr, 80, 1, 2) == packet.Owner(addr, 80, 2, 2) {
			same++
		}
	}
	if same < ends*2/5 || same > ends*3/5 {
		t.Errorf("%d of %d client ends keep their worker when the seed changes, want about half", same, ends)
	}
}

func BenchmarkOwner(b *testing.B) {
	total, i := 0, uint32(0)
	for b.Loop() {
		i++
		total += packet.Owner(i, 80, 0x5eed, 2)
	}
	if total < 0 {
		b.Fatal("negative owner")
	}
}
