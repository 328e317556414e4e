package dataplane_test

import (
	"testing"
	"time"

	"lvsnat/dataplane"
	"lvsnat/dataplane/packet"
	"lvsnat/dataplane/packettest"
)

const cport = ":40000"

func TestTheFourHopsOfAConnection(t *testing.T) {
	tests := []struct {
		name           string
		request, reply func(source, destination string, options ...packettest.Option) packet.Frame
		protocol       string
		options        []packettest.Option
		checksums      packettest.Checker
	}{
		{"TCP", syn, synAck, "tcp", nil, packettest.ChecksumsRight()},
		{"TCP with a partial checksum", syn, synAck, "tcp", []packettest.Option{packettest.PartialChecksum()}, packettest.ChecksumsRight()},
		{"TCP with a VLAN tag", syn, synAck, "tcp", []packettest.Option{packettest.VLAN(7)}, packettest.ChecksumsRight()},
		{"TCP with two VLAN tags", syn, synAck, "tcp", []packettest.Option{packettest.VLAN(7, 8)}, packettest.ChecksumsRight()},
		{"TCP in a padded frame", syn, synAck, "tcp", []packettest.Option{packettest.Padding(6)}, packettest.ChecksumsRight()},
		{"TCP with payload in the SYN", syn, synAck, "tcp", []packettest.Option{packettest.Payload(packettest.Pattern(501))}, packettest.ChecksumsRight()},
		{"UDP", packettest.UDP, packettest.UDP, "udp", []packettest.Option{packettest.Payload(packettest.Pattern(33))}, packettest.ChecksumsRight()},
		{"UDP without a checksum", packettest.UDP, packettest.UDP, "udp", []packettest.Option{packettest.NoChecksum()}, packettest.NoChecksum()},
		{"UDP with a partial checksum", packettest.UDP, packettest.UDP, "udp", []packettest.Option{packettest.PartialChecksum()}, packettest.ChecksumsRight()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := start(t, services(service(tt.protocol, vip+":80", "rr", rip1+":8000")))
			d.clientSends(tt.request(client+cport, vip+":80", append([]packettest.Option{fromVIP}, tt.options...)...))
			packettest.Check(t, d.toRealservers(1)[0],
				packettest.MACs(dipMAC, macOf(packettest.Addr(rip1))),
				packettest.Source(client+cport), packettest.Destination(rip1+":8000"),
				packettest.TTL(63), tt.checksums)

			d.realserverSends(tt.reply(rip1+":8000", client+cport, append([]packettest.Option{fromRIP}, tt.options...)...))
			packettest.Check(t, d.toClients(1)[0],
				packettest.MACs(vipMAC, macOf(packettest.Addr(client))),
				packettest.Source(vip+":80"), packettest.Destination(client+cport),
				packettest.TTL(63), tt.checksums)
		})
	}
}

func syn(source, destination string, options ...packettest.Option) packet.Frame {
	return packettest.TCP(source, destination, packettest.SYN, options...)
}

func synAck(source, destination string, options ...packettest.Option) packet.Frame {
	return packettest.TCP(source, destination, packettest.SYN|packettest.ACK, options...)
}

func ack(source, destination string, options ...packettest.Option) packet.Frame {
	return packettest.TCP(source, destination, packettest.ACK, options...)
}

// handshake opens a connection and takes its frames away.
func (d *director) handshake(from, to, realserver string) {
	d.t.Helper()
	d.clientSends(syn(from, to, fromVIP))
	d.toRealservers(1)
	d.realserverSends(synAck(realserver, from, fromRIP))
	d.toClients(1)
	d.clientSends(ack(from, to, fromVIP))
	d.toRealservers(1)
}

func TestASuperPacketKeepsWhatTheNICNeedsToCutIt(t *testing.T) {
	d := start(t, http)
	d.handshake(client+cport, vip+":80", rip1+":8000")
	big := ack(client+cport, vip+":80", fromVIP,
		packettest.Payload(packettest.Pattern(60000)), packettest.GSO(1448))
	d.clientSends(big)
	sent := d.toRealservers(1)[0]
	packettest.Check(t, sent, packettest.Destination(rip1+":8000"),
		packettest.Payload(packettest.Pattern(60000)), packettest.GSO(1448), packettest.ChecksumsRight())
	if sent.Offload != big.Offload {
		t.Errorf("offload is %+v, want %+v", sent.Offload, big.Offload)
	}
}

func TestRoundRobinOverConnectionsAndNeverWithinOne(t *testing.T) {
	d := start(t, services(service("tcp", vip+":80", "rr", rip1+":8000", rip2+":8000")))
	for i, want := range []string{rip2, rip1, rip2, rip1} {
		from := client + ":4000" + string(rune('0'+i))
		for range 3 { // a SYN is repeated when its answer is lost
			d.clientSends(syn(from, vip+":80", fromVIP))
			packettest.Check(t, d.toRealservers(1)[0], packettest.Destination(want+":8000"))
		}
	}
}

func TestAConnectionKeepsItsRealserverWhateverChanges(t *testing.T) {
	d := start(t, http)
	d.handshake(client+cport, vip+":80", rip1+":8000")
	other := services(service("tcp", vip+":80", "rr", rip2+":9000"))
	quiesced := services(service("tcp", vip+":80", "rr", rip1+":8000", rip2+":9000"))
	quiesced[0].Realservers[0].Weight = 0
	for name, wanted := range map[string]func() error{
		"another scheduler":      func() error { return d.SetServices(services(service("tcp", vip+":80", "wlc", rip1+":8000"))) },
		"weight 0":               func() error { return d.SetServices(quiesced) },
		"the realserver removed": func() error { return d.SetServices(other) },
		"the service removed":    func() error { return d.SetServices(nil) },
		"all back":               func() error { return d.SetServices(http) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := wanted(); err != nil {
				t.Fatal(err)
			}
			d.clientSends(ack(client+cport, vip+":80", fromVIP))
			packettest.Check(t, d.toRealservers(1)[0], packettest.Destination(rip1+":8000"))
			d.realserverSends(ack(rip1+":8000", client+cport, fromRIP))
			packettest.Check(t, d.toClients(1)[0], packettest.Source(vip+":80"))
		})
	}
}

func TestARealserverOfWeightZeroGetsNoNewConnection(t *testing.T) {
	wanted := services(service("tcp", vip+":80", "wlc", rip1+":8000", rip2+":8000"))
	wanted[0].Realservers[1].Weight = 0
	d := start(t, wanted)
	for i := range 4 {
		d.clientSends(syn(client+":4000"+string(rune('0'+i)), vip+":80", fromVIP))
		packettest.Check(t, d.toRealservers(1)[0], packettest.Destination(rip1+":8000"))
	}
}

func TestASYNOnAFinishedConnectionOpensANewOneAtOnce(t *testing.T) {
	d := start(t, services(service("tcp", vip+":80", "rr", rip1+":8000", rip2+":8000")))
	d.handshake(client+cport, vip+":80", rip2+":8000")
	d.realserverSends(packettest.TCP(rip2+":8000", client+cport, packettest.RST|packettest.ACK, fromRIP))
	d.toClients(1)
	d.clientSends(syn(client+cport, vip+":80", fromVIP))
	packettest.Check(t, d.toRealservers(1)[0], packettest.Destination(rip1+":8000"))
	if table := d.table(); len(table) != 1 {
		t.Errorf("the table holds %v, want the new connection alone", table)
	}
}

// IPVS's timer removes it only afterwards (ip_vs_conn_expire_now).
func TestAFinishedConnectionCountsWhileItsSuccessorIsScheduled(t *testing.T) {
	d := start(t, services(service("tcp", vip+":80", "lc", rip1+":8000", rip2+":8000")))
	d.handshake(client+cport, vip+":80", rip2+":8000")
	d.realserverSends(packettest.TCP(rip2+":8000", client+cport, packettest.RST|packettest.ACK, fromRIP))
	d.toClients(1)
	d.clientSends(syn(client+cport, vip+":80", fromVIP))
	packettest.Check(t, d.toRealservers(1)[0], packettest.Destination(rip1+":8000"))
	if rs := d.stats().Services[0].Realservers; rs[0].Active+rs[0].Inactive+rs[1].Active+rs[1].Inactive != 1 {
		t.Errorf("realservers count %+v, want one connection", rs)
	}
}

func TestAResetThatSaysSYNEndsAFinishedConnection(t *testing.T) {
	d := start(t, services(service("tcp", vip+":80", "rr", rip1+":8000", rip2+":8000")))
	d.handshake(client+cport, vip+":80", rip2+":8000")
	d.realserverSends(packettest.TCP(rip2+":8000", client+cport, packettest.RST|packettest.ACK, fromRIP))
	d.toClients(1)
	d.clientSends(packettest.TCP(client+cport, vip+":80", packettest.SYN|packettest.RST, fromVIP))
	d.expectVerdict(dataplane.NoConnection, 1)
	if table := d.table(); len(table) != 0 {
		t.Errorf("the table holds %v", table)
	}
}

func TestAFinishedConnectionOfAPersistentServiceGoesOnAtASYN(t *testing.T) {
	wanted := services(service("tcp", vip+":80", "rr", rip1+":8000", rip2+":8000"))
	wanted[0].Persistence = 300 * time.Second
	d := start(t, wanted)
	d.handshake(client+cport, vip+":80", rip2+":8000")
	d.realserverSends(packettest.TCP(rip2+":8000", client+cport, packettest.RST|packettest.ACK, fromRIP))
	d.toClients(1)
	d.clientSends(syn(client+cport, vip+":80", fromVIP))
	packettest.Check(t, d.toRealservers(1)[0], packettest.Destination(rip2+":8000"))
	if n := d.stats().Services[0].Traffic.Connections; n != 1 {
		t.Errorf("%d connections are counted, want 1", n)
	}
}

func TestOneClientPortTowardsTwoVIPs(t *testing.T) {
	const vip2 = "192.168.1.111"
	t.Run("to different realservers both work", func(t *testing.T) {
		d := start(t, services(
			service("tcp", vip+":80", "rr", rip1+":8000"), service("tcp", vip2+":80", "rr", rip2+":8000")))
		d.handshake(client+cport, vip+":80", rip1+":8000")
		d.handshake(client+cport, vip2+":80", rip2+":8000")
		d.realserverSends(ack(rip1+":8000", client+cport, fromRIP))
		packettest.Check(t, d.toClients(1)[0], packettest.Source(vip+":80"))
		d.realserverSends(ack(rip2+":8000", client+cport, fromRIP))
		packettest.Check(t, d.toClients(1)[0], packettest.Source(vip2+":80"))
	})
	t.Run("to one realserver the second is refused while the first lives", func(t *testing.T) {
		d := start(t, services(
			service("tcp", vip+":80", "rr", rip1+":8000"), service("tcp", vip2+":80", "rr", rip1+":8000")))
		d.handshake(client+cport, vip+":80", rip1+":8000")
		d.clientSends(syn(client+cport, vip2+":80", fromVIP))
		d.expectVerdict(dataplane.TupleClash, 1)
		d.sentNothing()
	})
}

func TestOneNICCarriesBothDirections(t *testing.T) {
	d := start(t, services(service("tcp", vip+":80", "rr", "192.168.1.2:8000")),
		withNetwork(func(n *dataplane.Network) {
			n.Links = n.Links[:1]
			n.Routes = n.Routes[:1]
		}))
	d.clientSends(syn(client+cport, vip+":80", fromVIP))
	packettest.Check(t, d.toClients(1)[0], packettest.Destination("192.168.1.2:8000"))
	d.vip[0].Inject(synAck("192.168.1.2:8000", client+cport, fromVIP))
	packettest.Check(t, d.toClients(1)[0], packettest.Source(vip+":80"), packettest.Destination(client+cport))
}

func TestAClientBehindTheRealserversNIC(t *testing.T) {
	const inside = "10.1.1.200"
	d := start(t, http)
	d.dip[0].Inject(syn(inside+cport, vip+":80", fromRIP))
	packettest.Check(t, d.toRealservers(1)[0], packettest.Source(inside+cport), packettest.Destination(rip1+":8000"))
	d.realserverSends(synAck(rip1+":8000", inside+cport, fromRIP))
	packettest.Check(t, d.toRealservers(1)[0], packettest.Source(vip+":80"), packettest.Destination(inside+cport))
}
