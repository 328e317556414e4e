package packet

// Multipliers of Owner. The first is 2^32 divided by the golden ratio, the
// others are those of murmur3's 32-bit finalizer.
const (
	OwnerMultiplier1 = 0x9e3779b1
	OwnerMultiplier2 = 0x85ebca6b
	OwnerMultiplier3 = 0xc2b2ae35
)

// Owner is the worker, from 0 to workers-1, that keeps the connections of a
// client end: its address and port, in host order. Both are the same in
// requests and replies, so that every packet of a connection has one owner.
//
// The fanout program of package afpacket computes the same in the kernel, so
// Owner uses only what classic BPF has: 32-bit arithmetic. The address is
// mixed with the secret seed before the port is added. Otherwise a flood could
// be made of pairs of address and port that cancel each other out whatever the
// seed is, and would fall on one worker.
func Owner(clientAddr uint32, clientPort uint16, seed uint32, workers int) int {
	h := (clientAddr ^ seed) * OwnerMultiplier1
	h ^= h >> 16
	h += uint32(clientPort) * OwnerMultiplier2
	h ^= h >> 13
	h *= OwnerMultiplier3
	h ^= h >> 16
	return int(h % uint32(workers))
}
