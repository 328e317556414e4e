package scheduler

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// share chooses n times without opening a connection and returns how often
// each server, by the last byte of its address, was chosen.
func share(service *Service, n int, now int64) map[byte]int {
	counts := make(map[byte]int)
	for range n {
		if rs := choose(service, Client{Now: now}); rs != nil {
			counts[byte(rs.Addr)]++
		}
	}
	return counts
}

// server is the service's server with that last byte of its address.
func server(service *Service, last byte) *Realserver {
	for _, rs := range service.Realservers() {
		if byte(rs.Addr) == last {
			return rs
		}
	}
	panic("no such server")
}

func occupy(rs *Realserver, connections int) {
	for range connections {
		rs.Opened()
		rs.Activated()
	}
}

func TestTwoChoicesFollowTheWeightsOfEquals(t *testing.T) {
	service := apply(t, newSet(), spec("p2c", "10.1.1.2*1", "10.1.1.3*3", "10.1.1.4*0"))
	counts := share(service, 4000, 0)
	if counts[4] != 0 || counts[2] < 800 || counts[2] > 1200 {
		t.Errorf("4000 choices: %v, want about 1000 for 2, 3000 for 3 and none for 4", counts)
	}
}

// Of two servers both are drawn, so the better one is certain.
func TestTwoChoicesTakeTheBetter(t *testing.T) {
	tests := []struct {
		name  string
		two   func(*Realserver)
		three func(*Realserver)
		want  byte // 0: both
	}{
		{"fewer connections", func(rs *Realserver) { occupy(rs, 3) }, func(rs *Realserver) { occupy(rs, 2) }, 3},
		{"a shorter handshake of idle servers",
			func(rs *Realserver) { rs.Answered(time.Millisecond, 0) },
			func(rs *Realserver) { rs.Answered(20*time.Millisecond, 0) }, 2},
		{"a handshake that is a little shorter is none",
			func(rs *Realserver) { rs.Answered(1000*time.Microsecond, 0) },
			func(rs *Realserver) { rs.Answered(1200*time.Microsecond, 0) }, 0},
		{"nor one in the noise",
			func(rs *Realserver) { rs.Answered(20*time.Microsecond, 0) },
			func(rs *Realserver) { rs.Answered(60*time.Microsecond, 0) }, 0},
		{"nothing is known of one: the load decides",
			func(rs *Realserver) { rs.Answered(time.Second, 0); occupy(rs, 1) },
			func(rs *Realserver) { occupy(rs, 2) }, 2},
		{"ten times the time weighs more than five connections",
			func(rs *Realserver) { rs.Answered(100*time.Millisecond, 0) },
			func(rs *Realserver) { rs.Answered(10*time.Millisecond, 0); occupy(rs, 5) }, 3},
		{"but not more than fifteen",
			func(rs *Realserver) { rs.Answered(100*time.Millisecond, 0) },
			func(rs *Realserver) { rs.Answered(10*time.Millisecond, 0); occupy(rs, 15) }, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			service := apply(t, newSet(), spec("p2c", "10.1.1.2", "10.1.1.3"))
			tt.two(server(service, 2))
			tt.three(server(service, 3))
			counts := share(service, 200, 0)
			switch {
			case tt.want == 0 && (counts[2] < 60 || counts[3] < 60):
				t.Errorf("200 choices: %v, want about as many for each", counts)
			case tt.want != 0 && counts[tt.want] != 200:
				t.Errorf("200 choices: %v, want all for %d", counts, tt.want)
			}
		})
	}
}

func TestASlowServerIsTriedAgain(t *testing.T) {
	service := apply(t, newSet(), spec("p2c", "10.1.1.2", "10.1.1.3"))
	server(service, 2).Answered(100*time.Millisecond, 0)
	for now := int64(0); ; now += int64(time.Second) {
		server(service, 3).Answered(time.Millisecond, now)
		if counts := share(service, 10, now); counts[2] > 0 {
			if now < int64(20*time.Second) || now > int64(5*time.Minute) {
				t.Errorf("a hundred times slower server is tried again after %v", time.Duration(now))
			}
			return
		}
		if now > int64(time.Hour) {
			t.Fatal("a server that was slow once is never tried again")
		}
	}
}

func TestUDPConnectionsCountAmongTwoChoices(t *testing.T) {
	wanted := spec("p2c", "10.1.1.2", "10.1.1.3")
	wanted.Protocol = 17
	service := apply(t, newSet(), wanted)
	server(service, 2).Opened()
	if counts := share(service, 50, 0); counts[3] != 50 {
		t.Errorf("50 choices: %v, want all for the server without connections", counts)
	}
	for range 15 {
		server(service, 2).Opened()
	}
	server(service, 2).Answered(10*time.Millisecond, 0)
	server(service, 3).Answered(100*time.Millisecond, 0)
	if counts := share(service, 50, 0); counts[3] != 50 {
		t.Errorf("50 choices: %v, want all for the server that is ten times slower, for the other has 16 connections", counts)
	}
}

// Whatever the weights and whatever is overloaded: the server is eligible, and
// no eligible server that was drawn beside it would have been better. Without
// any eligible one there is no choice.
func TestTwoChoicesAreEligible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := newSet()
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		set.Random = random.Uint32
		if err := set.Apply([]ServiceSpec{spec("p2c", drawServers(t, 65535)...)}); err != nil {
			t.Fatal(err)
		}
		service := set.Snapshot().Services()[0]
		eligible := 0
		for _, rs := range service.Realservers() {
			rs.overload.Store(rapid.Bool().Draw(t, "overloaded"))
			occupy(rs, rapid.IntRange(0, 5).Draw(t, "connections"))
			if rs.eligible() {
				eligible++
			}
		}
		for range 20 {
			rs := choose(service, Client{})
			if (rs == nil) != (eligible == 0) || rs != nil && !rs.eligible() {
				t.Fatalf("chose %+v of %d eligible servers", rs, eligible)
			}
			for _, other := range service.Realservers() {
				if eligible == 2 && other.eligible() && other != rs && waitsLess(other, rs, 0) {
					t.Fatalf("of two eligible servers the worse one was chosen")
				}
			}
		}
	})
}
