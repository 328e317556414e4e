package scheduler

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// newSet is a set whose random choices are the same in each run.
func newSet() *Set {
	random := rand.New(rand.NewPCG(1, 2))
	return &Set{Random: random.Uint32}
}

// The first servers that each algorithm chooses when every connection becomes
// active and stays. Servers are added in the order listed.
func TestFirstChoices(t *testing.T) {
	tests := []struct {
		scheduler string
		servers   []string
		want      []byte
	}{
		{"wrr", []string{"10.1.1.2*1", "10.1.1.3*2", "10.1.1.4*3"}, []byte{4, 4, 3, 4, 3, 2, 4, 4, 3, 4, 3, 2}},
		{"wrr", []string{"10.1.1.2*2", "10.1.1.3*4"}, []byte{3, 3, 2, 3, 3, 2}},
		{"wrr", []string{"10.1.1.2*100", "10.1.1.3"}, []byte{2, 2, 2, 2}},
		{"wrr", []string{"10.1.1.2*0"}, []byte{0, 0}},
		{"wrr", nil, []byte{0}},
		{"lc", []string{"10.1.1.2*9", "10.1.1.3*1", "10.1.1.4*0"}, []byte{3, 2, 3, 2}},
		{"sed", []string{"10.1.1.2*1", "10.1.1.3*3"}, []byte{3, 3, 3, 2, 3}},
		{"nq", []string{"10.1.1.2*1", "10.1.1.3*3"}, []byte{3, 2, 3, 3, 3, 3}},
		{"fo", []string{"10.1.1.2*5", "10.1.1.3*7", "10.1.1.4*7"}, []byte{4, 4, 4}},
		{"ovf", []string{"10.1.1.2*1", "10.1.1.3*2"}, []byte{3, 3, 3, 2, 2, 0}},
		{"dh", []string{"10.1.1.2*0"}, []byte{0}},
		{"sh", nil, []byte{0}},
		{"mh", nil, []byte{0}},
		{"mh", []string{"10.1.1.2*0"}, []byte{0}},
		{"lblc", []string{"10.1.1.2*2", "10.1.1.3*2"}, []byte{3, 3, 3, 2, 2, 2, 2}},
		{"lblc", []string{"10.1.1.2*0"}, []byte{0}},
		{"lblcr", []string{"10.1.1.2*2", "10.1.1.3*2"}, []byte{3, 3, 3, 2, 2, 2, 2}},
		{"twos", []string{"10.1.1.2*0"}, []byte{0}},
		{"twos", []string{"10.1.1.2"}, []byte{2, 2}},
		{"swrr", []string{"10.1.1.2*1", "10.1.1.3*1", "10.1.1.4*5"}, []byte{4, 4, 3, 4, 2, 4, 4, 4, 4, 3}},
		{"swrr", []string{"10.1.1.2*0"}, []byte{0, 0}},
		{"swrr", nil, []byte{0}},
		{"p2c", []string{"10.1.1.2*0"}, []byte{0}},
		{"p2c", nil, []byte{0}},
		{"p2c", []string{"10.1.1.2"}, []byte{2, 2}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.scheduler, tt.servers), func(t *testing.T) {
			service := apply(t, newSet(), spec(tt.scheduler, tt.servers...))
			if got := picks(service, len(tt.want)); !slices.Equal(got, tt.want) {
				t.Errorf("chose %v, want %v", got, tt.want)
			}
		})
	}
}

func TestEveryAlgorithmLeavesOutWhatIsNotAvailable(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			set := newSet()
			wanted := spec(name, "10.1.1.2", "10.1.1.3*0", "10.1.1.4")
			wanted.Realservers[0].Upper = 1
			wanted.Flags = Flags{SHFallback: true, MHFallback: true}
			service := apply(t, set, wanted)
			for _, rs := range service.Realservers() {
				if rs.Addr&0xff == 2 {
					rs.Opened() // reaches its upper threshold
				}
			}
			for i := range 50 {
				client := Client{Addr: uint32(i) * 7919, VirtualAddr: uint32(i)}
				rs := choose(service, client)
				if rs == nil && name == "dh" {
					continue // has no other server for an address
				}
				if rs == nil || rs.Addr&0xff != 4 {
					t.Fatalf("connection %d got %v, only 10.1.1.4 is available", i, rs)
				}
			}
		})
	}
}

func TestHashingKeepsAClientOnItsServer(t *testing.T) {
	for _, name := range []string{"sh", "mh"} {
		t.Run(name, func(t *testing.T) {
			service := apply(t, newSet(), spec(name, "10.1.1.2", "10.1.1.3", "10.1.1.4"))
			counts := make(map[uint32]int)
			for addr := range uint32(3000) {
				first := choose(service, Client{Addr: addr, Port: 1})
				counts[first.Addr&0xff]++
				if again := choose(service, Client{Addr: addr, Port: 2}); again != first {
					t.Fatalf("client %d went to two servers", addr)
				}
			}
			for server, n := range counts {
				if n < 700 || n > 1300 {
					t.Errorf("server %d has %d of 3000 clients", server, n)
				}
			}
		})
	}
}

func TestHashingByPort(t *testing.T) {
	for name, flags := range map[string]Flags{"sh": {SHPort: true}, "mh": {MHPort: true}} {
		wanted := spec(name, "10.1.1.2", "10.1.1.3")
		wanted.Flags = flags
		service := apply(t, newSet(), wanted)
		first := choose(service, Client{Addr: 1, Port: 1})
		differs := false
		for port := range uint16(64) {
			differs = differs || choose(service, Client{Addr: 1, Port: port}) != first
		}
		if !differs {
			t.Errorf("%s: 64 ports of one client all have one server", name)
		}
	}
}

func TestAQuiescedServerKeepsItsPlacesInMaglevsTable(t *testing.T) {
	set := newSet()
	service := apply(t, set, spec("mh", "10.1.1.2", "10.1.1.3", "10.1.1.4"))
	before := make(map[uint32]uint32)
	for addr := range uint32(1000) {
		before[addr] = choose(service, Client{Addr: addr}).Addr
	}
	apply(t, set, spec("mh", "10.1.1.2", "10.1.1.3*0", "10.1.1.4"))
	for addr, server := range before {
		rs := choose(service, Client{Addr: addr})
		if server&0xff == 3 {
			if rs != nil {
				t.Fatalf("client %d of the quiesced server went to %v without mh-fallback", addr, rs.Addr)
			}
			continue
		}
		if rs == nil || rs.Addr != server {
			t.Fatalf("client %d lost its server because another one was quiesced", addr)
		}
	}
}

func TestMaglevMovesFewClientsWhenAServerGoes(t *testing.T) {
	set := newSet()
	service := apply(t, set, spec("mh", "10.1.1.2", "10.1.1.3", "10.1.1.4", "10.1.1.5"))
	const clients = 4000
	before := make([]uint32, clients)
	for addr := range before {
		before[addr] = choose(service, Client{Addr: uint32(addr)}).Addr
	}
	apply(t, set, spec("mh", "10.1.1.2", "10.1.1.3", "10.1.1.4"))
	moved := 0
	for addr, server := range before {
		if server&0xff != 5 && choose(service, Client{Addr: uint32(addr)}).Addr != server {
			moved++
		}
	}
	if moved > clients/10 {
		t.Errorf("%d of %d clients moved though their server stayed", moved, clients)
	}
}

// The vector is that of the kernel's own test (lib/test_siphash.c,
// test_vectors_hsiphash for 4 bytes, key 00 01 .. 0f, data 00 01 02 03), which
// runs HSipHash-1-3 on 64-bit machines.
func TestHSipHash(t *testing.T) {
	if got, want := hsiphash(0x03020100, 0x0706050403020100, 0x0f0e0d0c0b0a0908), uint32(0x88d38328); got != want {
		t.Errorf("hsiphash is %#x, want %#x", got, want)
	}
}

func TestThresholds(t *testing.T) {
	open := func(rs *Realserver, n int) {
		for range n {
			rs.Opened()
		}
	}
	closeSome := func(rs *Realserver, n int) {
		for range n {
			rs.Closed(false)
		}
	}
	tests := []struct {
		name         string
		upper, lower int
		play         func(*Realserver)
		available    bool
	}{
		{"below the upper threshold", 4, 0, func(rs *Realserver) { open(rs, 3) }, true},
		{"at the upper threshold", 4, 0, func(rs *Realserver) { open(rs, 4) }, false},
		{"without a lower one, three quarters are still too many", 4, 0, func(rs *Realserver) { open(rs, 4); closeSome(rs, 1) }, false},
		{"and less are few enough", 4, 0, func(rs *Realserver) { open(rs, 4); closeSome(rs, 2) }, true},
		{"at the lower threshold", 4, 2, func(rs *Realserver) { open(rs, 4); closeSome(rs, 2) }, false},
		{"below the lower threshold", 4, 2, func(rs *Realserver) { open(rs, 4); closeSome(rs, 3) }, true},
		{"no threshold", 0, 0, func(rs *Realserver) { open(rs, 1000) }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wanted := spec("rr", "10.1.1.2")
			wanted.Realservers[0].Upper, wanted.Realservers[0].Lower = tt.upper, tt.lower
			service := apply(t, newSet(), wanted)
			tt.play(service.Realservers()[0])
			if got := choose(service, Client{}) != nil; got != tt.available {
				t.Errorf("available: %v, want %v", got, tt.available)
			}
		})
	}
	t.Run("a higher upper threshold opens the server", func(t *testing.T) {
		set := newSet()
		wanted := spec("rr", "10.1.1.2")
		wanted.Realservers[0].Upper = 2
		service := apply(t, set, wanted)
		open(service.Realservers()[0], 2)
		wanted.Realservers[0].Upper = 3
		apply(t, set, wanted)
		if choose(service, Client{}) == nil {
			t.Error("still closed")
		}
	})
}

func TestLocalityFollowsTheVirtualAddress(t *testing.T) {
	service := apply(t, newSet(), spec("lblc", "10.1.1.2*9", "10.1.1.3*9"))
	first := choose(service, Client{VirtualAddr: 1})
	first.Opened()
	second := choose(service, Client{VirtualAddr: 2})
	if second == first {
		t.Fatal("a second address should go to the server with less load")
	}
	for range 5 {
		rs := choose(service, Client{VirtualAddr: 1})
		if rs != first {
			t.Fatal("an address changed its server without need")
		}
		rs.Opened()
	}
}

func TestLocalityForgetsAfterADay(t *testing.T) {
	for _, name := range []string{"lblc", "lblcr"} {
		service := apply(t, newSet(), spec(name, "10.1.1.2*9", "10.1.1.3*9"))
		first := choose(service, Client{VirtualAddr: 1, Now: 1})
		first.Opened()
		if rs := choose(service, Client{VirtualAddr: 1, Now: int64(23 * time.Hour)}); rs != first {
			t.Errorf("%s: another server within a day", name)
		}
		if rs := choose(service, Client{VirtualAddr: 1, Now: int64(48 * time.Hour)}); rs == first {
			t.Errorf("%s: the same, more loaded server after more than a day without use", name)
		}
	}
}

func TestReplicatedLocalityShrinksAfterADay(t *testing.T) {
	service := apply(t, newSet(), spec("lblcr", "10.1.1.2*2", "10.1.1.3*2"))
	hour := int64(time.Hour)
	first := choose(service, Client{Now: 1})
	for range 3 {
		first.Opened()
		first.Activated()
	}
	second := choose(service, Client{Now: 2})
	if second == first {
		t.Fatal("a crowded server should be joined by an idle one")
	}
	for h := int64(1); h < 26; h++ {
		choose(service, Client{Now: h * hour}) // keeps the set in use
	}
	for range 3 {
		first.Closed(true)
	}
	second.Opened()
	if rs := choose(service, Client{Now: 26 * hour}); rs != second {
		t.Error("the most loaded server should have left the set after a day")
	}
}
