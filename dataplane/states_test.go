package dataplane_test

import (
	"fmt"
	"testing"
	"time"

	"lvsnat/conntrack"
	"lvsnat/dataplane"
	"lvsnat/dataplane/packet"
	"lvsnat/dataplane/packettest"
)

// rfc lets a director follow TCP connections by the RFCs' rules.
func rfc(o *dataplane.Options, _ *director) {
	o.Profile, o.Timeouts = conntrack.RFC, conntrack.RFC.Timeouts()
}

// A conversation is one connection with its sequence numbers.
type conversation struct {
	*director
	realserver string
	next       [2]uint32 // by direction, what comes next
}

// converse opens a connection from client's port to the VIP.
func converse(d *director, realserver string) *conversation {
	d.t.Helper()
	c := &conversation{director: d, realserver: realserver, next: [2]uint32{1000, 70_000}}
	c.request(packettest.SYN)
	c.reply(packettest.SYN | packettest.ACK)
	c.request(packettest.ACK)
	return c
}

// request and reply send the next segment of their direction.
func (c *conversation) request(flags uint8, options ...packettest.Option) {
	c.t.Helper()
	c.forwarded(c.segment(conntrack.Request, flags, c.next[conntrack.Request], options...))
}

func (c *conversation) reply(flags uint8, options ...packettest.Option) {
	c.t.Helper()
	c.forwarded(c.segment(conntrack.Reply, flags, c.next[conntrack.Reply], options...))
}

// forge sends a request with another sequence number, which moves nothing.
func (c *conversation) forge(flags uint8, sequence uint32) {
	c.t.Helper()
	next := c.next
	c.forwarded(c.segment(conntrack.Request, flags, sequence))
	c.next = next
}

// segment builds one and moves on behind it.
func (c *conversation) segment(dir conntrack.Direction, flags uint8, sequence uint32, options ...packettest.Option) packet.Frame {
	from, to, by := client+cport, vip+":80", packettest.Option(fromVIP)
	if dir == conntrack.Reply {
		from, to, by = c.realserver, client+cport, fromRIP
	}
	options = append([]packettest.Option{by, packettest.Sequence(sequence), packettest.Acknowledgment(c.next[1-dir])}, options...)
	f := packettest.TCP(from, to, flags, options...)
	var p packet.Packet
	if status := p.Parse(f.Data); status != packet.OK {
		c.t.Fatalf("built a frame of status %v", status)
	}
	c.next[dir] = sequence + uint32(p.Len()-packet.IPv4Len-p.TCP(f.Data).HeaderLen())
	if flags&(packettest.SYN|packettest.FIN) != 0 {
		c.next[dir]++
	}
	return f
}

// forwarded sends a frame and expects it to arrive, whatever it means.
func (c *conversation) forwarded(f packet.Frame) {
	c.t.Helper()
	var p packet.Packet
	p.Parse(f.Data)
	if p.Source == packettest.Addr(client) {
		c.clientSends(f)
		packettest.Check(c.t, c.toRealservers(1)[0], packettest.Destination(c.realserver), packettest.ChecksumsRight())
		return
	}
	c.realserverSends(f)
	packettest.Check(c.t, c.toClients(1)[0], packettest.Source(vip+":80"), packettest.ChecksumsRight())
}

// expect compares the only connection's state and the time that it has left.
func (c *conversation) expect(state string, expires time.Duration) {
	c.t.Helper()
	c.settle()
	table := c.table()
	if len(table) != 1 {
		c.t.Fatalf("the table holds %v, want one connection", table)
	}
	left := time.Duration(table[0].ExpiresMs) * time.Millisecond
	if table[0].State != state || left > expires+time.Second || left < expires-time.Second {
		c.t.Errorf("%s, expires in %v, want %s in %v", table[0].State, left, state, expires)
	}
}

const (
	rfcEstablished = 2*time.Hour + 4*time.Minute
	rfcTransitory  = 4 * time.Minute
)

func TestAHalfClosedConnectionUnderBothProfiles(t *testing.T) {
	t.Run("ipvs forgets it after a minute", func(t *testing.T) {
		c := converse(start(t, http), rip1+":8000")
		c.request(packettest.FIN | packettest.ACK)
		c.expect("CLOSE_WAIT", time.Minute)
	})
	t.Run("rfc keeps it as long as an open one", func(t *testing.T) {
		c := converse(start(t, http, rfc), rip1+":8000")
		c.request(packettest.FIN | packettest.ACK)
		c.expect("CLOSE_WAIT", rfcEstablished)
		for range 3 {
			c.advance(2 * time.Hour)
			c.reply(packettest.ACK, packettest.Payload(packettest.Pattern(1448)))
			c.request(packettest.ACK)
			c.expect("CLOSE_WAIT", rfcEstablished)
		}
		c.reply(packettest.FIN | packettest.ACK)
		c.expect("TIME_WAIT", rfcTransitory)
	})
}

func TestUnderProfileRFCAResetNeedsTheRightNumber(t *testing.T) {
	c := converse(start(t, http, rfc), rip1+":8000")
	c.reply(packettest.ACK, packettest.Payload(packettest.Pattern(1448)))
	c.request(packettest.ACK, packettest.Payload(packettest.Pattern(60_000)), packettest.GSO(1448))
	c.advance(time.Hour)
	right := c.next[conntrack.Request]
	for _, sequence := range []uint32{0, right - 1, right + 1, right - 59_999, right + 65_000, right + 1<<31} {
		c.forge(packettest.RST, sequence)
		c.expect("ESTABLISHED", rfcEstablished-time.Hour)
	}
	c.forge(packettest.RST|packettest.ACK, right)
	c.expect("CLOSE", rfcTransitory)
	c.reply(packettest.ACK)
	c.expect("ESTABLISHED", rfcEstablished)
}

func TestUnderProfileRFCPaddingIsNoData(t *testing.T) {
	c := converse(start(t, http, rfc), rip1+":8000")
	c.request(packettest.ACK, packettest.Padding(6))
	c.request(packettest.FIN|packettest.ACK, packettest.Padding(6))
	c.reply(packettest.RST|packettest.ACK, packettest.Padding(6))
	c.expect("CLOSE", rfcTransitory)
}

func TestUnderProfileRFCASYNDoesNotDisturbALiveConnection(t *testing.T) {
	c := converse(start(t, services(service("tcp", vip+":80", "rr", rip1+":8000", rip2+":8000")), rfc), rip2+":8000")
	c.advance(time.Hour)
	c.forge(packettest.SYN, 123_456)
	c.expect("ESTABLISHED", rfcEstablished-time.Hour)
	c.reply(packettest.ACK) // RFC 5961's challenge
	c.expect("ESTABLISHED", rfcEstablished)
	// A client that had forgotten the connection resets it and tries again.
	c.request(packettest.RST)
	c.expect("CLOSE", rfcTransitory)
	c.realserver = rip1 + ":8000"
	c.request(packettest.SYN)
	c.expect("SYN_RECV", rfcTransitory)
}

func TestUDPUnderProfileRFC(t *testing.T) {
	d := start(t, services(service("udp", vip+":53", "rr", rip1+":53")), rfc)
	d.clientSends(packettest.UDP(client+cport, vip+":53", fromVIP))
	d.toRealservers(1)
	d.advance(4 * time.Minute)
	d.realserverSends(packettest.UDP(rip1+":53", client+cport, fromRIP))
	packettest.Check(t, d.toClients(1)[0], packettest.Source(vip+":53"))
	if table := d.table(); len(table) != 1 || table[0].ExpiresMs < (5*time.Minute-time.Second).Milliseconds() {
		t.Errorf("the table holds %v, want one connection for five minutes", table)
	}
}

// TestASYNOnAFinishedConnectionIsScheduledAnew is conn_reuse_mode 1 of IPVS: the
// SYN that finds a finished connection opens another one at once, and the
// client need not repeat it.
func TestASYNOnAFinishedConnectionIsScheduledAnew(t *testing.T) {
	const finAck, rstAck = packettest.FIN | packettest.ACK, packettest.RST | packettest.ACK
	endings := map[string]func(*conversation){
		"closed by both, the client first":     func(c *conversation) { c.request(finAck); c.reply(finAck) },
		"closed by both, the realserver first": func(c *conversation) { c.reply(finAck); c.request(finAck) },
		"reset by the client":                  func(c *conversation) { c.request(rstAck) },
		"reset by the realserver":              func(c *conversation) { c.reply(rstAck) },
	}
	for profile, set := range map[string]setting{"ipvs": func(*dataplane.Options, *director) {}, "rfc": rfc} {
		for name, end := range endings {
			t.Run(profile+", "+name, func(t *testing.T) {
				c := converse(start(t, services(service("tcp", vip+":80", "rr", rip1+":8000", rip2+":8000")), set), rip2+":8000")
				end(c)
				c.realserver = rip1 + ":8000"
				c.request(packettest.SYN)
				c.reply(packettest.SYN | packettest.ACK)
				c.request(packettest.ACK)
				if table := c.table(); len(table) != 1 || table[0].State != "ESTABLISHED" {
					t.Errorf("the table holds %v, want the new connection alone", table)
				}
			})
		}
		t.Run(profile+", a half-closed one keeps its realserver", func(t *testing.T) {
			c := converse(start(t, services(service("tcp", vip+":80", "rr", rip1+":8000", rip2+":8000")), set), rip2+":8000")
			c.reply(finAck)
			c.request(packettest.SYN)
		})
	}
}

// TestActiveAndInactiveConnectionsAreCountedAsIPVSDoes follows a connection and
// compares with tcp_state_active_table of ip_vs_proto_tcp.c.
func TestActiveAndInactiveConnectionsAreCountedAsIPVSDoes(t *testing.T) {
	counts := func(c *conversation, active, inactive int) {
		c.t.Helper()
		c.settle()
		sum := fmt.Sprint(active, " active, ", inactive, " inactive")
		var got dataplane.RealserverStats
		for _, rs := range c.stats().Services[0].Realservers {
			got.Active, got.Inactive = got.Active+rs.Active, got.Inactive+rs.Inactive
		}
		if was := fmt.Sprint(got.Active, " active, ", got.Inactive, " inactive"); was != sum {
			c.t.Errorf("%s, want %s; the table holds %v", was, sum, c.table())
		}
	}
	const finAck = packettest.FIN | packettest.ACK
	for profile, set := range map[string]setting{"ipvs": func(*dataplane.Options, *director) {}, "rfc": rfc} {
		t.Run(profile, func(t *testing.T) {
			d := start(t, http, set)
			c := &conversation{director: d, realserver: rip1 + ":8000", next: [2]uint32{1000, 70_000}}
			counts(c, 0, 0)
			c.request(packettest.SYN)
			counts(c, 1, 0) // SYN_RECV
			c.reply(packettest.SYN | packettest.ACK)
			counts(c, 1, 0)
			c.request(packettest.ACK)
			counts(c, 1, 0) // ESTABLISHED
			c.request(finAck)
			counts(c, 0, 1) // CLOSE_WAIT
			c.reply(finAck)
			counts(c, 0, 1) // TIME_WAIT
			c.request(packettest.SYN)
			counts(c, 1, 0) // another one in its place
			c.reply(packettest.SYN | packettest.ACK)
			c.request(packettest.ACK)
			c.reply(finAck)
			counts(c, 0, 1) // FIN_WAIT
			c.reply(packettest.RST | packettest.ACK)
			counts(c, 0, 1) // CLOSE
			c.advance(5 * time.Minute)
			c.advance(time.Second)
			counts(c, 0, 0)
		})
	}
}
