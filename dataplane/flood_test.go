package dataplane_test

import (
	"fmt"
	"testing"
	"time"

	"lvsnat/dataplane"
	"lvsnat/dataplane/packet"
	"lvsnat/dataplane/packettest"
)

// floodOf are SYNs of as many forged clients, the first of which is number
// first. All at once they fill a receive ring.
func floodOf(n, first int) []packet.Frame {
	var frames []packet.Frame
	for i := first; i < first+n; i++ {
		frames = append(frames, syn(fmt.Sprintf("11.0.%d.%d:5000", i/250, 1+i%250), vip+":80", fromVIP))
	}
	return frames
}

func TestInAFloodThatFillsTheRingKnownClientsAreAdmitted(t *testing.T) {
	d := start(t, http, connections(100_000))
	const forger = "192.168.1.66"
	d.handshake(client+":1000", vip+":80", rip1+":8000")
	d.realserverSends(packettest.TCP(rip1+":8000", client+":1000", packettest.ACK, fromRIP))
	d.toClients(1)
	// A forged client can send the ACK of a handshake too, but not one that
	// the realserver takes.
	d.handshake(forger+":1000", vip+":80", rip1+":8000")
	d.realserverSends(packettest.TCP(rip1+":8000", forger+":1000", packettest.RST, fromRIP))
	d.toClients(1)

	d.advance(time.Second)
	const flood = 3000
	for i := range 4 {
		d.clientSends(floodOf(flood, i*flood)...)
		d.advance(10 * time.Millisecond)
	}
	d.clientSends(floodOf(flood, 4*flood)...)
	d.settle()
	w := d.stats().Workers[0]
	if shed := w.Verdicts[dataplane.Shed]; shed == 0 || w.Flood != dataplane.FloodShedding || w.Admitted == 0 {
		t.Fatalf("%d connections were passed over, in stage %v, %d a second admitted; verdicts %v", shed, w.Flood, w.Admitted, d.verdicts())
	}

	before := d.verdicts()
	d.clientSends(ack(client+":1000", vip+":80", fromVIP), syn(client+":1001", vip+":80", fromVIP), syn(forger+":1001", vip+":80", fromVIP))
	d.settle()
	after := d.verdicts()
	if got := after[dataplane.ForwardedRequest] - before[dataplane.ForwardedRequest]; got != 2 {
		t.Errorf("%d packets of the known client were forwarded, want 2", got)
	}
	if got := after[dataplane.Shed] - before[dataplane.Shed]; got != 1 {
		t.Errorf("%d of the forger were passed over, want 1", got)
	}

	for range 300 {
		d.clock.Advance(10 * time.Millisecond)
		d.clientSends(ack(client+":1000", vip+":80", fromVIP))
		d.settle()
	}
	if stage := d.stats().Workers[0].Flood; stage != dataplane.FloodNone {
		t.Errorf("three seconds after the flood its stage is %v", stage)
	}
	d.clientSends(syn(forger+":1002", vip+":80", fromVIP))
	d.expectVerdict(dataplane.Shed, after[dataplane.Shed])
}
