package responder

import (
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"lvsnat/dataplane/afpacket"
	"lvsnat/dataplane/packet"
	"lvsnat/dataplane/packettest"
	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

func TestAnswersComeBackOverACable(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	l, err := lab.New()
	labtest.Must(t, err)
	defer func() { labtest.Must(t, l.Close()) }()
	near, err := l.Host("near")
	labtest.Must(t, err)
	far, err := l.Host("far")
	labtest.Must(t, err)
	nearMAC, farMAC := lab.MACOf(lab.CIP), lab.MACOf(lab.VIP)
	labtest.Must(t, lab.Connect(lab.End{Host: near, NIC: "eth0", MAC: nearMAC}, lab.End{Host: far, NIC: "eth0", MAC: farMAC}))
	var r *Responder
	labtest.Must(t, far.Do(func() (err error) {
		r, err = Start("eth0", netip.MustParsePrefix("11.0.0.0/8"))
		return err
	}))
	defer func() { labtest.Must(t, r.Close()) }()
	capture, err := near.Capture("eth0")
	labtest.Must(t, err)
	labtest.Must(t, near.Do(func() error {
		sender, err := afpacket.OpenSender("eth0", afpacket.Options{})
		if err != nil {
			return err
		}
		for _, source := range []string{"12.0.0.1:5000", client} { // the first is none of its business
			frame := packettest.TCP(source, server, packet.SYN)
			to, from := packet.MAC(farMAC), packet.MAC(nearMAC)
			packet.Ethernet(sender.Reserve(&frame)).SetAddresses(&to, &from)
			sender.Commit()
		}
		sender.Flush()
		return sender.Close()
	}))
	isTCP := func(f lab.Frame) bool { return !f.Sent && f.Data[23] == packet.TCPProtocol }
	got, err := capture.Wait(labtest.Context(t), isTCP)
	labtest.Must(t, err)
	packettest.Check(t, packet.Frame{Data: got.Data}, packettest.Source(server), packettest.Destination(client),
		packettest.Flags(packet.SYN|packet.ACK), packettest.ChecksumsRight())
	labtest.Eventually(t, "one packet is counted as answered", func() bool { return r.Answered() == 1 })
}
