package dataplane_test

import (
	"fmt"
	"testing"
	"time"

	"lvsnat/dataplane"
	"lvsnat/dataplane/packettest"
)

func TestPersistenceHoldsOverConnectionsAndWorkers(t *testing.T) {
	wanted := services(service("tcp", vip+":80", "rr", rip1+":8000", rip2+":8000"))
	wanted[0].Persistence = 300 * time.Second
	d := start(t, wanted, workers(2))
	for i := range 20 {
		d.clientSends(syn(fmt.Sprintf("%s:%d", client, 40000+i), vip+":80", fromVIP))
		packettest.Check(t, d.toRealservers(1)[0], packettest.Destination(rip2+":8000"))
	}
	d.clientSends(syn("192.168.1.200:1", vip+":80", fromVIP))
	packettest.Check(t, d.toRealservers(1)[0], packettest.Destination(rip1+":8000"))
	var templates []dataplane.Connection
	for _, c := range d.table() {
		if c.ClientPort == 0 {
			templates = append(templates, c)
		}
	}
	if len(templates) != 2 || templates[0].State != "NONE" || templates[0].RealPort != 8000 {
		t.Errorf("templates listed: %+v, want one for each of two clients", templates)
	}
	if rs := d.stats().Services[0].Realservers; rs[0].Persistent+rs[1].Persistent != 2 {
		t.Errorf("realservers count %d and %d templates, want 2 together", rs[0].Persistent, rs[1].Persistent)
	}
}

func TestATemplateIsAssuredByAnEstablishedConnectionAndEndsWithTheLastOne(t *testing.T) {
	wanted := services(service("tcp", vip+":80", "rr", rip1+":8000", rip2+":8000"))
	wanted[0].Persistence = 30 * time.Second
	d := start(t, wanted)
	d.handshake(client+cport, vip+":80", rip2+":8000")
	for _, c := range d.table() {
		if c.ClientPort == 0 && c.State != "ASSURED" {
			t.Errorf("the template is %s", c.State)
		}
	}
	d.advance(600 * time.Second)
	d.clientSends(syn(client+":41000", vip+":80", fromVIP))
	packettest.Check(t, d.toRealservers(1)[0], packettest.Destination(rip2+":8000"))
	for _, port := range []string{":40000", ":41000"} {
		d.realserverSends(packettest.TCP(rip2+":8000", client+port, packettest.RST, fromRIP))
		d.toClients(1)
	}
	d.advance(15 * time.Second) // both connections expire
	d.advance(200 * time.Second)
	d.clientSends(syn(client+":42000", vip+":80", fromVIP))
	packettest.Check(t, d.toRealservers(1)[0], packettest.Destination(rip1+":8000"))
}

func TestAServiceForAllPortsKeepsThePort(t *testing.T) {
	wanted := services(service("tcp", vip+":0", "rr", rip1+":0"))
	wanted[0].Persistence = 300 * time.Second
	d := start(t, wanted)
	d.handshake(client+cport, vip+":2222", rip1+":2222")
	d.handshake(client+cport, vip+":3333", rip1+":3333")
}

func TestOnePacketSchedulingTranslatesRepliesToo(t *testing.T) {
	wanted := services(service("udp", vip+":53", "rr", rip1+":5353", rip2+":5353"))
	wanted[0].OnePacket = true
	d := start(t, wanted)
	for _, want := range []string{rip2, rip1, rip2} {
		d.clientSends(packettest.UDP(client+cport, vip+":53", fromVIP))
		packettest.Check(t, d.toRealservers(1)[0], packettest.Destination(want+":5353"), packettest.ChecksumsRight())
		d.realserverSends(packettest.UDP(want+":5353", client+cport, fromRIP))
		packettest.Check(t, d.toClients(1)[0], packettest.Source(vip+":53"), packettest.TTL(63), packettest.ChecksumsRight())
	}
	if table := d.table(); len(table) != 0 {
		t.Errorf("connections were entered: %v", table)
	}
	if got := d.stats().Services[0].Traffic; got.Connections != 3 || got.ReplyPkts != 3 {
		t.Errorf("traffic %+v, want 3 connections and 3 replies", got)
	}
}
