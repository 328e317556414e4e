package scheduler

import "math/bits"

// A cost is what an algorithm seeks the least of: a load for a share. Costs are
// compared by cross-multiplication, as the kernel does, so that no division
// rounds a difference away.
type cost struct{ load, share int64 }

// unavailable is the cost of a server that may have no new connection: more
// than that of all others.
var unavailable = cost{load: 1, share: 0}

func (c cost) above(other cost) bool { return c.load*other.share > other.load*c.share }

// A tournament knows the place with the least cost of many, the first of equals.
// Neighbours play each other, the winners play each other, and so on; when one
// cost changes, only the games of that place are played again, one in each
// round. (Knuth, The Art of Computer Programming, volume 3, section 5.2.3, where
// it is a tree of losers.)
type tournament struct {
	costs   []cost  // by place, and beyond the last one up to a power of two
	winners []int32 // of the games: 1 is the final, the players of game i come from the games 2i and 2i+1
}

// newTournament has n places that are all unavailable.
func newTournament(n int) tournament {
	size := 1 << bits.Len(uint(max(n, 1)-1))
	t := tournament{make([]cost, size), make([]int32, size)}
	for at := range t.costs {
		t.costs[at] = unavailable
	}
	for game := size - 1; game > 0; game-- {
		t.winners[game] = int32(t.winner(2 * game))
	}
	return t
}

// winner is the place that won a game. Behind the games come the places
// themselves.
func (t *tournament) winner(game int) int {
	if game >= len(t.winners) {
		return game - len(t.winners)
	}
	return int(t.winners[game])
}

// enter gives a place its cost.
func (t *tournament) enter(at int, c cost) {
	if t.costs[at] == c {
		return
	}
	t.costs[at] = c
	for game := (len(t.winners) + at) / 2; game > 0; game /= 2 {
		won := t.winner(2 * game)
		if other := t.winner(2*game + 1); t.costs[won].above(t.costs[other]) {
			won = other
		}
		if before := t.winner(game); before == won && won != at {
			return // whoever it has won against, further games know the same winner
		}
		t.winners[game] = int32(won)
	}
}

// least is the place with the least cost and that cost: of equals the first at
// or behind begin, or else the first.
func (t *tournament) least(begin int) (at int, least cost) {
	at, least = begin, t.costs[begin]
	for game := len(t.winners) + begin; game > 1; game /= 2 {
		if game%2 != 0 {
			continue // its neighbour comes before begin
		}
		if other := t.winner(game + 1); least.above(t.costs[other]) {
			at, least = other, t.costs[other]
		}
	}
	if first := t.winner(1); least.above(t.costs[first]) {
		return first, t.costs[first]
	}
	return at, least
}
