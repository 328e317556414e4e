package scheduler

import (
	"math/bits"
	"sort"
)

const (
	// unseenHandshake is added to every handshake time before two are compared,
	// in ns. Below it a difference says more about the moment at which a
	// packet was picked up than about the server.
	unseenHandshake = 200_000

	// alikeHandshakes is by what factor two may differ and still count as
	// equal: measurements waver, and an idle service would otherwise give
	// everything to the server that is ahead by a hair.
	alikeHandshakes = 1.25

	// drawAttempts is how often a server is drawn from all before those that
	// may be taken are looked for one by one.
	drawAttempts = 8
)

// twoByHandshake draws two different servers at random, by weight, and takes
// the one on which a new connection is likely to wait less: by the connections
// it has for its weight and by the time it takes to answer a handshake, which
// the dataplane measures. It is not of IPVS. Two choices do nearly as well as
// looking at all servers, without sending everybody to the one that looks best
// for the moment (Mitzenmacher, The Power of Two Choices in Randomized Load
// Balancing, 2001); and they cost the same with a thousand servers.
type twoByHandshake struct {
	random func() uint32
	sums   []uint64 // of the weights up to and including each server's
}

// Update adds up the weights anew.
func (s *twoByHandshake) Update(servers []*Realserver) {
	s.sums = s.sums[:0]
	sum := uint64(0)
	for _, rs := range servers {
		sum += uint64(rs.Weight())
		s.sums = append(s.sums, sum)
	}
}

// Pick returns the better of two eligible servers drawn at random, or the only
// one that there is.
func (s *twoByHandshake) Pick(servers []*Realserver, client Client) *Realserver {
	first := s.draw(servers, nil, client.Now)
	if first == nil {
		return nil
	}
	second := s.draw(servers, first, client.Now)
	if second != nil && waitsLess(second, first, client.Now) {
		return second
	}
	return first
}

// draw returns an eligible server other than not, each with the probability
// that its share has of all.
func (s *twoByHandshake) draw(servers []*Realserver, not *Realserver, now int64) *Realserver {
	if len(s.sums) == 0 || s.sums[len(s.sums)-1] == 0 {
		return nil
	}
	for range drawAttempts {
		place := s.below(s.sums[len(s.sums)-1])
		rs := servers[sort.Search(len(s.sums), func(i int) bool { return s.sums[i] > place })]
		if rs == not || !rs.eligible() {
			continue
		}
		// Drawn by its whole weight, a server that starts slowly steps back as
		// often as its share falls short of it.
		if whole := int64(rs.Weight()) * shareUnit; !rs.warming(now) || int64(s.below(uint64(whole))) < rs.share(now) {
			return rs
		}
	}
	return s.drawOneByOne(servers, not, now)
}

// drawOneByOne is as draw, for when most servers may not be taken.
func (s *twoByHandshake) drawOneByOne(servers []*Realserver, not *Realserver, now int64) *Realserver {
	total := int64(0)
	for _, rs := range servers {
		if rs != not && rs.eligible() {
			total += rs.share(now)
		}
	}
	if total == 0 {
		return nil
	}
	place := int64(s.below(uint64(total)))
	var last *Realserver
	for _, rs := range servers {
		if rs == not || !rs.eligible() {
			continue
		}
		last = rs // the one to take if another worker closes one meanwhile
		if place -= rs.share(now); place < 0 {
			break
		}
	}
	return last
}

// below returns a uniform number below n.
func (s *twoByHandshake) below(n uint64) uint64 {
	high, _ := bits.Mul64(uint64(s.random())<<32|uint64(s.random()), n)
	return high
}

// waitsLess reports whether a new connection is likely to wait less on a than
// on b.
func waitsLess(a, b *Realserver, now int64) bool {
	costA, costB := a.load(now), b.load(now)
	if a.Handshake() == 0 || b.Handshake() == 0 {
		return costA < costB // nothing is known of one of them
	}
	slowA := a.handshake.expected(now) + unseenHandshake
	slowB := b.handshake.expected(now) + unseenHandshake
	if slowA > alikeHandshakes*slowB || slowB > alikeHandshakes*slowA {
		costA, costB = costA*slowA, costB*slowB
	}
	return costA < costB
}

// load is how many connections the server has for each unit of its share, and
// one for the connection to come, so that of two idle servers the handshakes
// decide. TCP's connections count as in overhead; UDP's are all inactive and
// count in full.
func (r *Realserver) load(now int64) float64 {
	connections := float64(r.overhead()) / 256
	if r.Service.Protocol != protocolTCP {
		connections = float64(r.connections())
	}
	return 1 + connections*shareUnit/float64(max(r.share(now), 1))
}
