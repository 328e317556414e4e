package dataplane_test

import (
	"testing"

	"lvsnat/dataplane"
	"lvsnat/dataplane/packet"
	"lvsnat/dataplane/packettest"
)

// ownsVIP is a box on which the kernel has the VIP.
func ownsVIP(n *dataplane.Network) {
	n.Local = append(n.Local, packettest.Addr(vip))
}

func TestWhatIsNotCarriedIsAnsweredOrLeftToTheKernel(t *testing.T) {
	quiesced := services(service("tcp", vip+":80", "wlc", rip1+":8000"), service("udp", vip+":53", "wlc"))
	quiesced[0].Realservers[0].Weight = 0
	toClient := []packettest.Checker{
		packettest.MACs(vipMAC, clientMAC), packettest.Source(vip), packettest.Destination(client),
		packettest.TTL(64), packettest.ChecksumsRight(),
	}
	tests := []struct {
		name    string
		frame   packet.Frame
		kernel  bool // owns the VIP
		verdict dataplane.Verdict
		answer  []packettest.Checker // nil: none
	}{
		{
			"a SYN to an unknown port is reset",
			syn(client+cport, vip+":81", fromVIP, packettest.Sequence(77), packettest.Payload([]byte("abc"))), false,
			dataplane.Refused,
			[]packettest.Checker{
				packettest.Source(vip + ":81"), packettest.Destination(client + cport),
				packettest.Flags(packettest.RST | packettest.ACK), packettest.Sequence(0), packettest.Acknowledgment(77 + 3 + 1),
			},
		},
		{
			"a segment of no connection is reset with the sequence number it expects",
			ack(client+cport, vip+":80", fromVIP, packettest.Acknowledgment(4711)), false,
			dataplane.Refused,
			[]packettest.Checker{packettest.Flags(packettest.RST), packettest.Sequence(4711)},
		},
		{
			"the same when the kernel owns the VIP, because the guard keeps the service's port from it",
			ack(client+cport, vip+":80", fromVIP, packettest.Acknowledgment(4711)), true,
			dataplane.Refused,
			[]packettest.Checker{packettest.Flags(packettest.RST), packettest.Sequence(4711)},
		},
		{
			"a FIN takes one sequence number",
			packettest.TCP(client+cport, vip+":81", packettest.FIN, fromVIP, packettest.Sequence(9)), false,
			dataplane.Refused,
			[]packettest.Checker{packettest.Flags(packettest.RST | packettest.ACK), packettest.Acknowledgment(10)},
		},
		{
			"a reset is never answered",
			packettest.TCP(client+cport, vip+":80", packettest.RST, fromVIP), false,
			dataplane.NoConnection, nil,
		},
		{
			"a datagram to an unknown port is unreachable",
			packettest.UDP(client+cport, vip+":99", fromVIP), false,
			dataplane.Unreachable,
			[]packettest.Checker{packettest.ICMP(packet.ICMPUnreachable, packet.ICMPPortUnreachable), packettest.TOS(0xc0)},
		},
		{
			"an unknown port of a VIP that the kernel owns is the kernel's, TCP",
			syn(client+cport, vip+":22", fromVIP), true,
			dataplane.KernelsOwn, nil,
		},
		{
			"an unknown port of a VIP that the kernel owns is the kernel's, UDP",
			packettest.UDP(client+cport, vip+":99", fromVIP), true,
			dataplane.KernelsOwn, nil,
		},
		{
			"a service whose realservers all have weight 0 is unreachable, even by TCP",
			syn(client+cport, vip+":80", fromVIP), false,
			dataplane.Unreachable,
			[]packettest.Checker{packettest.ICMP(packet.ICMPUnreachable, packet.ICMPPortUnreachable)},
		},
		{
			"a service without realservers is unreachable",
			packettest.UDP(client+cport, vip+":53", fromVIP), false,
			dataplane.Unreachable,
			[]packettest.Checker{packettest.ICMP(packet.ICMPUnreachable, packet.ICMPPortUnreachable)},
		},
		{
			"an echo request to a VIP that nobody owns is answered",
			packettest.Echo(client, vip, 5, 6, fromVIP, packettest.Payload(packettest.Pattern(56)), packettest.TTL(3)), false,
			dataplane.AnsweredEcho,
			[]packettest.Checker{
				packettest.ICMP(packet.ICMPEchoReply, 0), packettest.Query(5, 6), packettest.Payload(packettest.Pattern(56)),
			},
		},
		{
			"an echo request to a VIP of the kernel's is the kernel's",
			packettest.Echo(client, vip, 5, 6, fromVIP), true,
			dataplane.KernelsOwn, nil,
		},
		{
			"another ICMP message to a VIP is not understood yet",
			packettest.EchoReply(client, vip, 5, 6, fromVIP), false,
			dataplane.UnsupportedICMP, nil,
		},
		{
			"a packet to the director's own address is the kernel's",
			syn(client+cport, "192.168.1.9:22", fromVIP), false,
			dataplane.NotForUs, nil,
		},
		{
			"a packet to anybody else is the kernel's",
			packettest.UDP(client+cport, "198.51.100.7:53", fromVIP), false,
			dataplane.NotForUs, nil,
		},
		{
			"a packet that claims to come from the VIP is dropped",
			syn(vip+cport, vip+":80", fromVIP), false,
			dataplane.BadAddress, nil,
		},
		{
			"a packet that claims to come from the director is dropped",
			syn("192.168.1.9"+cport, vip+":80", fromVIP), false,
			dataplane.BadAddress, nil,
		},
		{
			"a wrong IP checksum",
			syn(client+cport, vip+":80", fromVIP, packettest.BadIPChecksum()), false,
			dataplane.BadHeaderChecksum, nil,
		},
		{
			"a frame cut short",
			syn(client+cport, vip+":80", fromVIP, packettest.Edit(func(b []byte) []byte { return b[:20] })), false,
			dataplane.Short, nil,
		},
		{
			"a fragment",
			packettest.Fragments(packettest.UDP(client+cport, vip+":53", fromVIP, packettest.Payload(make([]byte, 64))), 32)[1], false,
			dataplane.Fragmented, nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var settings []setting
			if tt.kernel {
				settings = append(settings, withNetwork(ownsVIP))
			}
			d := start(t, quiesced, settings...)
			d.clientSends(tt.frame)
			if tt.answer == nil {
				d.expectVerdict(tt.verdict, 1)
				d.sentNothing()
				return
			}
			packettest.Check(t, d.toClients(1)[0], append(toClient, tt.answer...)...)
			d.expectVerdict(tt.verdict, 1)
		})
	}
}

func TestAnErrorQuotesItsCause(t *testing.T) {
	d := start(t, services(service("udp", vip+":53", "wlc")))
	for _, size := range []int{0, 20, 1400} {
		cause := packettest.UDP(client+cport, vip+":53", fromVIP, packettest.Payload(packettest.Pattern(size)))
		d.clientSends(cause)
		answer := d.toClients(1)[0]
		packettest.Check(t, answer, packettest.Quotes(cause), packettest.ChecksumsRight())
		var p packet.Packet
		if p.Parse(answer.Data); p.Len() > 576 {
			t.Errorf("the error about %d bytes of payload is %d bytes long, more than 576", size, p.Len())
		}
	}
}

func TestTTLRunsOut(t *testing.T) {
	t.Run("of a request", func(t *testing.T) {
		d := start(t, http)
		cause := syn(client+cport, vip+":80", fromVIP, packettest.TTL(1))
		d.clientSends(cause)
		packettest.Check(t, d.toClients(1)[0], packettest.Source("192.168.1.9"), packettest.Destination(client),
			packettest.ICMP(packet.ICMPTimeExceeded, packet.ICMPTTLExceeded), packettest.Quotes(cause), packettest.ChecksumsRight())
		if table := d.table(); len(table) != 0 {
			t.Errorf("a packet that went nowhere opened %v", table)
		}
	})
	t.Run("of a reply: the realserver sees the DIP", func(t *testing.T) {
		d := start(t, http)
		d.handshake(client+cport, vip+":80", rip1+":8000")
		cause := ack(rip1+":8000", client+cport, fromRIP, packettest.TTL(1))
		d.realserverSends(cause)
		packettest.Check(t, d.toRealservers(1)[0], packettest.Source(dip), packettest.Destination(rip1),
			packettest.ICMP(packet.ICMPTimeExceeded, packet.ICMPTTLExceeded), packettest.Quotes(cause), packettest.ChecksumsRight())
	})
	t.Run("TTL 2 arrives with 1, as testlvs sends it", func(t *testing.T) {
		d := start(t, http)
		d.clientSends(syn(client+cport, vip+":80", fromVIP, packettest.TTL(2)))
		packettest.Check(t, d.toRealservers(1)[0], packettest.TTL(1))
	})
	t.Run("on a port without an address the VIP speaks", func(t *testing.T) {
		d := start(t, http, withNetwork(func(n *dataplane.Network) {
			n.Links[0].Addr, n.Links[1].Addr = 0, 0
		}))
		d.handshake(client+cport, vip+":80", rip1+":8000")
		d.realserverSends(ack(rip1+":8000", client+cport, fromRIP, packettest.TTL(1)))
		packettest.Check(t, d.toRealservers(1)[0], packettest.Source(vip))
	})
}

func TestARealserversOtherTrafficIsTheKernels(t *testing.T) {
	d := start(t, http)
	tests := []struct {
		name    string
		frame   packet.Frame
		verdict dataplane.Verdict
	}{
		{"from another port", ack(rip1+":22", client+cport, fromRIP), dataplane.NotForUs},
		{"a health check's answer to the DIP", synAck(rip1+":8000", dip+":50000", fromRIP), dataplane.NotForUs},
		{"an echo request to a client", packettest.Echo(rip1, client, 1, 1, fromRIP), dataplane.NotForUs},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := d.verdicts()[tt.verdict]
			d.realserverSends(tt.frame)
			d.expectVerdict(tt.verdict, before+1)
			d.sentNothing()
		})
	}
	t.Run("from the service's port, but of no connection", func(t *testing.T) {
		d.realserverSends(ack(rip1+":8000", client+cport, fromRIP))
		d.expectVerdict(dataplane.NoConnection, 1)
		d.sentNothing()
	})
}

func TestAnswersAreLimited(t *testing.T) {
	d := start(t, http)
	for i := range 1500 {
		d.clientSends(packettest.UDP(client+":1", vip+":99", fromVIP, packettest.ID(uint16(i))))
	}
	d.settle()
	got := d.verdicts()
	if got[dataplane.Unreachable] == 0 || got[dataplane.Unreachable] > 100 {
		t.Errorf("%d of 1500 packets in one instant were answered, want 1 to 100", got[dataplane.Unreachable])
	}
	if got[dataplane.Unreachable]+got[dataplane.AnswerLimited] != 1500 {
		t.Errorf("verdicts %v do not add up to 1500", got)
	}
	d.clientSends(packettest.Echo(client, vip, 1, 1, fromVIP))
	d.expectVerdict(dataplane.AnsweredEcho, 1)
}
