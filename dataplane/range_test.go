package dataplane_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lvsnat/dataplane"
	"lvsnat/dataplane/packet"
	"lvsnat/dataplane/packettest"
	"lvsnat/scheduler"
)

const vips = "192.168.1.96/28" // holds vip

// connect is handshake with a look at both translations.
func (d *director) connect(from, to, realserver string) {
	d.t.Helper()
	d.clientSends(syn(from, to, fromVIP))
	packettest.Check(d.t, d.toRealservers(1)[0], packettest.Source(from), packettest.Destination(realserver), packettest.ChecksumsRight())
	d.realserverSends(synAck(realserver, from, fromRIP))
	packettest.Check(d.t, d.toClients(1)[0], packettest.Source(to), packettest.Destination(from), packettest.ChecksumsRight())
	d.clientSends(ack(from, to, fromVIP))
	packettest.Check(d.t, d.toRealservers(1)[0], packettest.Destination(realserver))
}

// persistent are services to whose realservers clients are bound.
func persistent(list ...scheduler.ServiceSpec) []scheduler.ServiceSpec {
	for i := range list {
		list[i].Persistence = 300 * time.Second
	}
	return list
}

func TestAPortRangeKeepsThePortOrMapsIt(t *testing.T) {
	d := start(t, services(service("tcp", vip+":5000-5999", "rr", rip1+":0", rip2+":8000")), workers(2))
	// rr begins with the server added last.
	for i, port := range []string{":5000", ":5500", ":5999"} {
		d.connect(fmt.Sprintf("%s:%d", client, 40000+2*i), vip+port, rip2+":8000")
		d.connect(fmt.Sprintf("%s:%d", client, 40001+2*i), vip+port, rip1+port)
		d.realserverSends(ack(rip2+":8000", fmt.Sprintf("%s:%d", client, 40000+2*i), fromRIP))
		packettest.Check(t, d.toClients(1)[0], packettest.Source(vip+port), packettest.ChecksumsRight())
	}
	for _, port := range []string{":4999", ":6000"} {
		d.clientSends(syn(client+":1", vip+port, fromVIP))
		packettest.Check(t, d.toClients(1)[0], packettest.Source(vip+port), packettest.Flags(packettest.RST|packettest.ACK))
	}
	if rs := d.stats().Services[0].Realservers; rs[0].Active != 3 || rs[1].Active != 3 {
		t.Errorf("realservers count %d and %d connections, want 3 each over all ports", rs[0].Active, rs[1].Active)
	}
}

func TestEveryAddressOfARangeIsAVIP(t *testing.T) {
	const first, last, below, above = "192.168.1.96", "192.168.1.111", "192.168.1.95", "192.168.1.112"
	d := start(t, services(service("tcp", vips+":80", "rr", rip1+":8000")), workers(2),
		withNetwork(func(n *dataplane.Network) { n.Local = append(n.Local, packettest.Addr("192.168.1.100")) }))
	for i, addr := range []string{first, vip, last, "192.168.1.100"} {
		d.connect(fmt.Sprintf("%s:%d", client, 40000+i), addr+":80", rip1+":8000")
	}
	for _, addr := range []string{first, last} {
		d.clientSends(syn(client+":1", addr+":81", fromVIP))
		packettest.Check(t, d.toClients(1)[0], packettest.Source(addr+":81"), packettest.Flags(packettest.RST|packettest.ACK))
		d.clientSends(packettest.UDP(client+":1", addr+":99", fromVIP))
		packettest.Check(t, d.toClients(1)[0], packettest.Source(addr), packettest.ICMP(packet.ICMPUnreachable, packet.ICMPPortUnreachable))
		d.clientSends(packettest.Echo(client, addr, 1, 2, fromVIP))
		packettest.Check(t, d.toClients(1)[0], packettest.Source(addr), packettest.ICMP(packet.ICMPEchoReply, 0))
		d.clientSends(syn(addr+":1", vip+":80", fromVIP))
	}
	d.expectVerdict(dataplane.BadAddress, 2) // a VIP as the client
	for _, addr := range []string{below, above} {
		d.clientSends(syn(client+":1", addr+":80", fromVIP), packettest.Echo(client, addr, 1, 2, fromVIP))
	}
	d.expectVerdict(dataplane.NotForUs, 4)
	d.clientSends(syn(client+":1", "192.168.1.100:22", fromVIP))
	d.expectVerdict(dataplane.KernelsOwn, 1)
	d.sentNothing()
}

func TestTheServiceOfOneAddressComesBeforeItsRange(t *testing.T) {
	d := start(t, persistent(
		service("tcp", vips+":0", "rr", rip1+":0"), service("tcp", vips+":80", "rr", rip1+":8000"), service("tcp", vip+":80", "rr", rip2+":8000")))
	d.connect(client+":40000", vip+":80", rip2+":8000")
	d.connect(client+":40001", "192.168.1.111:80", rip1+":8000")
	d.connect(client+":40002", "192.168.1.111:2222", rip1+":2222")
	d.connect(client+":40003", vip+":2222", rip1+":2222")
}

func TestOneClientPortTowardsTwoEndsOfARange(t *testing.T) {
	d := start(t, services(service("tcp", vip+":5000-5999", "rr", rip1+":8000")))
	d.connect(client+cport, vip+":5000", rip1+":8000")
	d.clientSends(syn(client+cport, vip+":5001", fromVIP))
	d.expectVerdict(dataplane.TupleClash, 1)
	d.sentNothing()
	d.connect(client+":40001", vip+":5001", rip1+":8000")
}

func TestAChangedRangeKeepsItsConnections(t *testing.T) {
	d := start(t, services(service("tcp", vips+":5000-5999", "rr", rip1+":0")))
	d.connect(client+cport, vip+":5500", rip1+":5500")
	for _, wanted := range [][]scheduler.ServiceSpec{
		services(service("tcp", vips+":5000-6999", "rr", rip1+":0")),
		services(service("tcp", "192.168.1.112/28:5000-5999", "rr", rip2+":0")),
		services(),
	} {
		if err := d.SetServices(wanted); err != nil {
			t.Fatal(err)
		}
		d.clientSends(ack(client+cport, vip+":5500", fromVIP))
		packettest.Check(t, d.toRealservers(1)[0], packettest.Destination(rip1+":5500"))
		d.realserverSends(ack(rip1+":5500", client+cport, fromRIP))
		packettest.Check(t, d.toClients(1)[0], packettest.Source(vip+":5500"))
	}
}

func TestPersistenceCoversARange(t *testing.T) {
	d := start(t, persistent(service("tcp", vips+":5000-5999", "rr", rip1+":0", rip2+":0")), workers(2))
	for i, to := range []string{"192.168.1.96:5000", "192.168.1.111:5999", vip + ":5500"} {
		d.connect(fmt.Sprintf("%s:%d", client, 40000+i), to, rip2+to[strings.IndexByte(to, ':'):])
	}
	i := slices.IndexFunc(d.table(), func(c dataplane.Connection) bool { return c.ClientPort == 0 })
	if i < 0 {
		t.Fatal("no template is listed")
	}
	if c := d.table()[i]; c.VirtualAddr != packettest.Addr("192.168.1.96") || c.VirtualPort != 0 || c.RealPort != 0 {
		t.Errorf("the template is listed as %+v, want the first address and port 0 for all ports", c)
	}
}

func TestOnePacketSchedulingOnAPortRange(t *testing.T) {
	wanted := services(service("udp", vip+":5000-5999", "rr", rip1+":0", rip2+":0"))
	wanted[0].OnePacket = true
	d := start(t, wanted)
	for i, want := range []string{rip2, rip1, rip2} {
		port := fmt.Sprintf(":%d", 5000+i)
		d.clientSends(packettest.UDP(client+cport, vip+port, fromVIP))
		packettest.Check(t, d.toRealservers(1)[0], packettest.Destination(want+port), packettest.ChecksumsRight())
		d.realserverSends(packettest.UDP(want+port, client+cport, fromRIP))
		packettest.Check(t, d.toClients(1)[0], packettest.Source(vip+port), packettest.ChecksumsRight())
	}
	if table := d.table(); len(table) != 0 {
		t.Errorf("connections were entered: %v", table)
	}
	d.realserverSends(packettest.UDP(rip1+":6000", client+cport, fromRIP))
	d.expectVerdict(dataplane.NotForUs, 1)
	d.sentNothing()
}
