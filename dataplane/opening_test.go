package dataplane_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"lvsnat/dataplane/packet"
	"lvsnat/dataplane/packettest"
)

// handshakes are the measured times by realserver.
func (d *director) handshakes() map[uint32]time.Duration {
	d.t.Helper()
	times := make(map[uint32]time.Duration)
	for _, rs := range d.stats().Services[0].Realservers {
		times[rs.Addr] = rs.Handshake
	}
	return times
}

func (d *director) expectHandshake(rip string, want time.Duration) {
	d.t.Helper()
	if got := d.handshakes()[packettest.Addr(rip)]; got != want {
		d.t.Errorf("the handshake of %s is %v, want %v", rip, got, want)
	}
}

func fromRealserver(rip string, to string, flags uint8) packet.Frame {
	return packettest.TCP(rip+":8000", to, flags, packettest.MACs(macOf(packettest.Addr(rip)), dipMAC))
}

func TestAHandshakeIsTimedFromTheFirstSYNToTheFirstSYNACK(t *testing.T) {
	d := start(t, http)
	d.clientSends(syn(client+cport, vip+":80", fromVIP))
	d.toRealservers(1)
	d.expectHandshake(rip1, 0)
	d.advance(time.Second)
	d.clientSends(syn(client+cport, vip+":80", fromVIP)) // sent again
	d.toRealservers(1)
	d.advance(7 * time.Millisecond)
	d.realserverSends(fromRealserver(rip1, client+cport, packettest.SYN|packettest.ACK))
	d.toClients(1)
	d.expectHandshake(rip1, 1007*time.Millisecond)

	// What comes later is no handshake.
	d.advance(time.Minute)
	for _, flags := range []uint8{packettest.SYN | packettest.ACK, packettest.ACK, packettest.RST} {
		d.realserverSends(fromRealserver(rip1, client+cport, flags))
		d.toClients(1)
	}
	d.expectHandshake(rip1, 1007*time.Millisecond)
}

func TestARefusalIsNoHandshake(t *testing.T) {
	d := start(t, http)
	d.clientSends(syn(client+cport, vip+":80", fromVIP))
	d.toRealservers(1)
	d.advance(time.Millisecond)
	d.realserverSends(fromRealserver(rip1, client+cport, packettest.RST|packettest.ACK))
	d.toClients(1)
	d.expectHandshake(rip1, 0)
}

func TestAUDPServersFirstAnswerIsTimed(t *testing.T) {
	d := start(t, services(service("udp", vip+":53", "p2c", rip1+":53")))
	d.clientSends(packettest.UDP(client+cport, vip+":53", fromVIP))
	d.toRealservers(1)
	d.advance(3 * time.Millisecond)
	for range 2 {
		d.realserverSends(packettest.UDP(rip1+":53", client+cport, fromRIP))
		d.toClients(1)
		d.expectHandshake(rip1, 3*time.Millisecond)
		d.advance(time.Second)
	}
}

// The clock in the entry goes round between the SYN and the answer.
func TestAHandshakeAroundTheEndOfTheClock(t *testing.T) {
	d := start(t, http)
	d.advance(1<<32*time.Microsecond - time.Millisecond)
	d.clientSends(syn(client+cport, vip+":80", fromVIP))
	d.toRealservers(1)
	d.advance(5 * time.Millisecond)
	d.realserverSends(fromRealserver(rip1, client+cport, packettest.SYN|packettest.ACK))
	d.toClients(1)
	d.expectHandshake(rip1, 5*time.Millisecond)
}

// A realserver that answers each SYN after 50 ms is turned away from once both
// were measured, though it has no more connections than the other.
func TestP2CTurnsAwayFromASlowRealserver(t *testing.T) {
	d := start(t, services(service("tcp", vip+":80", "p2c", rip1+":8000", rip2+":8000")))
	slow := packettest.Addr(rip1)
	measured, toSlow := 0, 0
	for port := range 200 {
		from := fmt.Sprintf("%s:%d", client, 10000+port)
		d.clientSends(syn(from, vip+":80", fromVIP))
		var request packet.Packet
		if status := request.Parse(d.toRealservers(1)[0].Data); status != packet.OK {
			t.Fatal(status)
		}
		chosen := rip2
		took := time.Millisecond
		if request.Destination == slow {
			chosen, took = rip1, 50*time.Millisecond
		}
		if len(measuredOnly(d.handshakes())) == 2 {
			measured++
			if request.Destination == slow {
				toSlow++
			}
		}
		d.advance(took)
		d.realserverSends(fromRealserver(chosen, from, packettest.SYN|packettest.ACK))
		d.toClients(1)
		d.realserverSends(fromRealserver(chosen, from, packettest.RST)) // it is short
		d.toClients(1)
	}
	if measured < 150 || toSlow > 2 {
		t.Errorf("%d of %d connections went to the slow realserver after both were measured", toSlow, measured)
	}
}

func measuredOnly(times map[uint32]time.Duration) []time.Duration {
	var list []time.Duration
	for _, d := range times {
		if d != 0 {
			list = append(list, d)
		}
	}
	return list
}

func TestARealserverThatJoinsStartsSlowly(t *testing.T) {
	wanted := services(service("tcp", vip+":80", "wlc", rip1+":8000"))
	wanted[0].SlowStart = 100 * time.Second
	d := start(t, wanted)
	d.advance(time.Hour)
	wanted[0].Realservers = append(wanted[0].Realservers, service("tcp", vip+":80", "wlc", rip2+":8000").Realservers...)
	if err := d.SetServices(wanted); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		rip1, rip2 float64
		later      time.Duration
	}{{1, 0.1, 50 * time.Second}, {1, 0.55, 50 * time.Second}, {1, 1, 0}} {
		for _, rs := range d.stats().Services[0].Realservers {
			share := want.rip2
			if rs.Addr == packettest.Addr(rip1) {
				share = want.rip1
			}
			if math.Abs(rs.Share-share) > 0.01 {
				t.Errorf("realserver %d counts %v of its weight, want %v", rs.Addr&0xff, rs.Share, share)
			}
		}
		d.advance(want.later)
	}
}
