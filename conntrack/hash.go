package conntrack

import "math/bits"

// A Hash is what the index knows a client end by. It is the table's own and
// means nothing in another one.
type Hash uint64

// tag returns the part of the hash that is kept in the bucket; never 0, which
// marks a free slot.
func (h Hash) tag() uint64 {
	if tag := uint64(h & 0xffff); tag != 0 {
		return tag
	}
	return 1
}

// A secret keys the hash, so that nobody outside can choose client ends that
// share a bucket.
type secret [4]uint64

// newSecret derives a secret from a seed with splitmix64 (Steele, Lea and
// Flood, 2014), which turns similar seeds into unrelated numbers.
func newSecret(seed uint64) (s secret) {
	for i := range s {
		seed += 0x9e3779b97f4a7c15
		z := seed
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		s[i] = z ^ z>>31
	}
	// An even factor would throw bits away.
	s[1] |= 1
	s[3] |= 1
	return s
}

// Hash returns the hash of a client end, to be used with the other methods.
// Address and port are in host order.
func (t *Table) Hash(clientAddr uint32, clientPort uint16, protocol uint8) Hash {
	// The whole client end fits one word. Two rounds of multiply and fold, as
	// in wyhash; the secret goes in before each, so that no input is known
	// that makes a product zero.
	x := uint64(clientAddr)<<32 | uint64(clientPort)<<16 | uint64(protocol)
	high, low := bits.Mul64(x^t.secret[0], t.secret[1])
	high, low = bits.Mul64(high^low^t.secret[2], t.secret[3])
	return Hash(high ^ low)
}
