package afpacket

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"

	"lvsnat/dataplane/packet"
)

// The real kernel places requests on the VIP NIC and replies on the DIP NIC
// where packet.Owner says, whatever the number of workers and of virtual
// addresses.
func TestKernelPlacesRequestsAndRepliesOnTheirOwner(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 5} {
		for _, addresses := range []int{1, 40, 1200} {
			t.Run(fmt.Sprintf("%d workers, %d virtual addresses", workers, addresses), func(t *testing.T) {
				newPlacementLab(t, workers, addresses).check(t, 300)
			})
		}
	}
}

// A placementLab is a director with its two NICs, whose peers send requests and
// replies.
type placementLab struct {
	placement          Placement
	random             *rand.Rand
	clients, servers   *cable // far ends are the director's
	vipNIC, dipNIC     *Fanout
	toVIPNIC, toDIPNIC *Sender
}

func newPlacementLab(t *testing.T, workers, addresses int) *placementLab {
	l := &placementLab{
		placement: Placement{Workers: workers, Seed: 0x5eed},
		random:    rand.New(rand.NewPCG(uint64(workers), uint64(addresses))),
		clients:   newCable(t), servers: newCable(t),
	}
	l.placement.Virtual = l.addresses(addresses)
	l.vipNIC = l.clients.far.fanout(t, l.placement, Options{})
	l.dipNIC = l.servers.far.fanout(t, l.placement, Options{})
	l.toVIPNIC = l.clients.near.sender(t, Options{})
	l.toDIPNIC = l.servers.near.sender(t, Options{})
	return l
}

// addresses makes n virtual addresses, every fourth one a range.
func (l *placementLab) addresses(n int) []netip.Prefix {
	list := make([]netip.Prefix, n)
	for i := range list {
		bits := 32
		if i%4 == 0 {
			bits = 28
		}
		list[i] = range32(0x0b000000|l.random.Uint32()>>8, bits)
	}
	return list
}

// someVIP picks a virtual address, within a range any of it.
func (l *placementLab) someVIP() uint32 {
	prefix := l.placement.Virtual[l.random.IntN(len(l.placement.Virtual))]
	b := prefix.Addr().As4()
	return binary.BigEndian.Uint32(b[:]) | l.random.Uint32()&uint32(math.MaxUint32>>prefix.Bits())
}

// check sends a request and a reply of each of n connections and compares where
// they arrive.
func (l *placementLab) check(t *testing.T, n int) {
	t.Helper()
	owners := make([]int, n)
	for i := range owners {
		client, port := 0x0c000000|l.random.Uint32()>>8, uint16(l.random.Uint32())
		owners[i] = packet.Owner(client, port, l.placement.Seed, l.placement.Workers)
		vip := l.someVIP()
		request := udpFrame(l.clients.near.mac, l.clients.far.mac, client, vip, port, 80, 4, uint32(i))
		reply := udpFrame(l.servers.near.mac, l.servers.far.mac, 0x0a010102, client, 8000, port, 4, uint32(i))
		if i%3 == 0 {
			request, reply = withOptions(request), withOptions(reply)
		}
		send(t, l.toVIPNIC, request)
		send(t, l.toDIPNIC, reply)
	}
	for name, f := range map[string]*Fanout{"request": l.vipNIC, "reply": l.dipNIC} {
		arrived := arrivals(t, f, n)
		for i, owner := range owners {
			if arrived[uint32(i)] != owner {
				t.Fatalf("%s of connection %d arrives at worker %d, its owner is %d", name, i, arrived[uint32(i)], owner)
			}
		}
	}
}

// arrivals receives n frames and tells which worker has which.
func arrivals(t *testing.T, f *Fanout, n int) map[uint32]int {
	t.Helper()
	arrived := map[uint32]int{}
	eventually(t, func() string {
		for worker, r := range f.Receivers() {
			for _, frame := range take(r) {
				arrived[payloadNumber(frame)] = worker
			}
		}
		if len(arrived) < n {
			return fmt.Sprintf("%d frames arrive, want %d", len(arrived), n)
		}
		return ""
	})
	return arrived
}

// withOptions gives a frame's IPv4 header 8 bytes of options.
func withOptions(f packet.Frame) packet.Frame {
	const end = packet.EthernetLen + packet.IPv4Len
	b := append([]byte(nil), f.Data[:end]...)
	b = append(b, 1, 1, 1, 1, 1, 1, 1, 1)
	b = append(b, f.Data[end:]...)
	ip := b[packet.EthernetLen:]
	ip[0] = 0x47
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	return packet.Frame{Data: b}
}

// payloadNumber is numberOf for a header with or without options.
func payloadNumber(f packet.Frame) uint32 {
	ip := packet.IPv4(f.Data[packet.EthernetLen:])
	return binary.BigEndian.Uint32(ip[ip.HeaderLen()+packet.UDPLen:])
}

func TestANewPlacementIsInForceAtOnce(t *testing.T) {
	l := newPlacementLab(t, 3, 10)
	l.check(t, 100)
	l.placement.Virtual = l.addresses(500)
	for _, f := range []*Fanout{l.vipNIC, l.dipNIC} {
		if err := f.SetPlacement(l.placement); err != nil {
			t.Fatal(err)
		}
	}
	l.check(t, 100)

	l.placement.Workers = 4
	if err := l.vipNIC.SetPlacement(l.placement); err == nil {
		t.Error("a placement on 4 workers is accepted for 3")
	}
}

// The kernel takes the members out of the group while the link is down, and
// must put them back in the order of the workers.
func TestPlacementSurvivesTheLinkGoingDownAndUp(t *testing.T) {
	l := newPlacementLab(t, 3, 10)
	for range 3 {
		l.check(t, 100)
		for _, c := range []*cable{l.clients, l.servers} {
			c.far.set(t, down)
			c.far.set(t, up)
			c.waitForCarrier(t)
		}
	}
	l.check(t, 100)
}

func TestAFanoutOpenedWhileTheLinkIsDownReceivesWhenItIsUp(t *testing.T) {
	c := newCable(t)
	c.far.set(t, down)
	p := Placement{Workers: 2, Seed: 1}
	f, s := c.far.fanout(t, p, Options{}), c.near.sender(t, Options{})
	c.far.set(t, up)
	c.waitForCarrier(t)
	const frames = 40
	for i := range uint32(frames) {
		send(t, s, c.udp(c.near, c.far, 1, uint16(i), 4, i))
	}
	for i, worker := range arrivals(t, f, frames) {
		if owner := packet.Owner(addrOf(c.far.addr), uint16(i), p.Seed, p.Workers); worker != owner {
			t.Errorf("frame %d arrives at worker %d, its owner is %d", i, worker, owner)
		}
	}
}

// A sender that leaves the headers in a page fragment, as a transmit ring does
// by default, must not defeat the program.
func TestFramesWithHeadersInAPageArePlacedToo(t *testing.T) {
	c := newCable(t)
	p := Placement{Workers: 4, Seed: 1}
	f, s := c.far.fanout(t, p, Options{}), c.near.sender(t, Options{})
	const frames = 40
	for i := range uint32(frames) {
		if s.Reserve(new(c.udp(c.near, c.far, 1, uint16(i), 1000, i))) == nil {
			t.Fatal("no room")
		}
		writeOffload(s.ring.slot(s.head)[transmitOffset:], packet.Offload{}, 0)
		s.Commit()
	}
	s.Flush()
	for i, worker := range arrivals(t, f, frames) {
		if owner := packet.Owner(addrOf(c.far.addr), uint16(i), p.Seed, p.Workers); worker != owner {
			t.Errorf("frame %d arrives at worker %d, its owner is %d", i, worker, owner)
		}
	}
}
