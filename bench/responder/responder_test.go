package responder

import (
	"testing"

	"lvsnat/dataplane/packet"
	"lvsnat/dataplane/packettest"
)

const (
	client = "11.0.0.1:5000"
	server = "192.168.1.110:80"
)

// answered returns the answer to a frame.
func answered(t *testing.T, frame packet.Frame) (packet.Frame, bool) {
	t.Helper()
	var p packet.Packet
	if status := p.Parse(frame.Data); status != packet.OK {
		t.Fatalf("the frame cannot be parsed: %v", status)
	}
	head := append([]byte(nil), frame.Data...)
	ok := answer(head, &p)
	return packet.Frame{Data: head}, ok
}

func TestAConnectionIsOpened(t *testing.T) {
	syn := packettest.TCP(client, server, packet.SYN, packettest.TTL(2))
	synAck, ok := answered(t, syn)
	if !ok {
		t.Fatal("no answer to a SYN")
	}
	packettest.Check(t, synAck, packettest.Source(server), packettest.Destination(client),
		packettest.Flags(packet.SYN|packet.ACK), packettest.ChecksumsRight())
	ack, ok := answered(t, synAck)
	if !ok {
		t.Fatal("no answer to a SYN and ACK")
	}
	packettest.Check(t, ack, packettest.Source(client), packettest.Destination(server),
		packettest.Flags(packet.ACK), packettest.ChecksumsRight())
	if _, ok := answered(t, ack); ok {
		t.Error("an ACK was answered: two responders would go on for ever")
	}
	first, second, third := tcpOf(t, syn), tcpOf(t, synAck), tcpOf(t, ack)
	if second.Acknowledgment() != first.Sequence()+1 {
		t.Errorf("the SYN has number %d, and %d is acknowledged", first.Sequence(), second.Acknowledgment())
	}
	if third.Sequence() != first.Sequence()+1 || third.Acknowledgment() != second.Sequence()+1 {
		t.Errorf("the ACK has number %d and acknowledges %d", third.Sequence(), third.Acknowledgment())
	}
	if packet.Ethernet(synAck.Data).Destination() != packet.Ethernet(syn.Data).Source() {
		t.Error("the answer goes to another link address")
	}
}

func tcpOf(t *testing.T, frame packet.Frame) packet.TCP {
	t.Helper()
	var p packet.Packet
	if status := p.Parse(frame.Data); status != packet.OK {
		t.Fatalf("the frame cannot be parsed: %v", status)
	}
	return p.TCP(frame.Data)
}

func TestADatagramIsSentBack(t *testing.T) {
	back, ok := answered(t, packettest.UDP(client, server, packettest.Payload([]byte("hello, world"))))
	if !ok {
		t.Fatal("no answer")
	}
	packettest.Check(t, back, packettest.Source(server), packettest.Destination(client), packettest.ChecksumsRight())
}

func TestWhatNeedsNoAnswerGetsNone(t *testing.T) {
	for name, frame := range map[string]packet.Frame{
		"RST":  packettest.TCP(client, server, packet.RST),
		"FIN":  packettest.TCP(client, server, packet.FIN|packet.ACK),
		"echo": packettest.Echo("11.0.0.1", "192.168.1.110", 1, 1),
	} {
		if _, ok := answered(t, frame); ok {
			t.Errorf("%s was answered", name)
		}
	}
}
