package test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

var profiles = []string{"ipvs", "rfc"}

// stateOf waits until the only TCP connection is in a state and returns it.
func stateOf(t *testing.T, d *labtest.Director, state string) (found connectionAnswer) {
	t.Helper()
	labtest.Eventually(t, "the TCP connection is in "+state, func() bool {
		for _, c := range connections(t, d) {
			if c.Protocol == "tcp" {
				found = c
				return c.State == state
			}
		}
		return false
	})
	return found
}

// TestATransferOverAHalfClosedConnection lets a server close its half at once
// and a client go on sending after a pause that is longer than the time that
// IPVS gives such a connection. A UDP entry that lives longer than the pause
// tells when it is over.
func TestATransferOverAHalfClosedConnection(t *testing.T) {
	const size = 1 << 20
	for _, profile := range profiles {
		t.Run(profile, func(t *testing.T) {
			top := labtest.Build(t, lab.Options{Realservers: 1})
			received := make(chan int64, 1)
			labtest.Must(t, top.Realservers[0].ServeTCP(":9", func(c *net.TCPConn) {
				_ = c.CloseWrite()
				n, _ := io.Copy(io.Discard, c)
				received <- n
			}))
			labtest.Must(t, top.Realservers[0].ServeUDP(":7"))
			config := top.Config(
				lab.Service{Address: "192.168.1.110:9", Realservers: lab.Realservers("10.1.1.2")},
				lab.Service{Address: "192.168.1.110:7", Protocol: "udp", Realservers: lab.Realservers("10.1.1.2")})
			config.Extra = "tcp_profile: " + profile + "\ntimeouts: {tcp: 300s, tcpfin: 1s, udp: 2s}"
			d := labtest.StartDirector(t, top, labtest.Start{Config: config})

			c := dial(t, top.Client, "192.168.1.110:9")
			labtest.Must(t, c.SetDeadline(time.Now().Add(labtest.Limit)))
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Fatalf("the server's end: %v", err)
			}
			stateOf(t, d, "FIN_WAIT")
			clock, err := top.Client.DialContext(labtest.Context(t), "udp4", "192.168.1.110:7")
			labtest.Must(t, err)
			defer clock.Close()
			ask(t, clock, "begin")
			labtest.Eventually(t, "the pause is over", func() bool {
				for _, c := range connections(t, d) {
					if c.Protocol == "udp" {
						return false
					}
				}
				return true
			})
			err = sendAll(c, size)
			if profile == "ipvs" {
				if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
					t.Errorf("IPVS would have forgotten the connection, but: %v", err)
				}
				return
			}
			labtest.Must(t, err)
			if n := <-received; n != size {
				t.Errorf("%d bytes arrived of %d", n, size)
			}
			stateOf(t, d, "TIME_WAIT")
		})
	}
}

// sendAll sends bytes and the end of them, and waits until the other end has
// closed as well or has reset the connection.
func sendAll(c net.Conn, size int) error {
	piece := make([]byte, 4096)
	for ; size > 0; size -= len(piece) {
		if _, err := c.Write(piece); err != nil {
			return err
		}
	}
	return c.(*net.TCPConn).CloseWrite()
}

// TestForgedResets sends resets with a client's address and guessed sequence
// numbers: the realserver's kernel ignores them, and so must the director under
// profile rfc.
func TestForgedResets(t *testing.T) {
	for _, profile := range profiles {
		t.Run(profile, func(t *testing.T) {
			top := labtest.Build(t, lab.Options{Realservers: 1})
			labtest.Must(t, top.Realservers[0].ServeTCP(":7", lab.Echo))
			config := top.Config(lab.Service{Address: "192.168.1.110:7", Realservers: lab.Realservers("10.1.1.2")})
			config.Extra = "tcp_profile: " + profile
			d := labtest.StartDirector(t, top, labtest.Start{Config: config})
			c := talk{dial(t, top.Client, "192.168.1.110:7"), t}
			c.say("before")
			before := stateOf(t, d, "ESTABLISHED")
			if got := status(t, d).TCPProfile; got != profile {
				t.Errorf("the status says profile %q, want %q", got, profile)
			}

			wire := labtest.Capture(t, top.Realservers[0], "eth0")
			forged := forgedResets(t, top, c.LocalAddr().String(), "192.168.1.110:7")
			sendRaw(t, top.Client, "eth0", forged...)
			for range forged {
				labtest.WaitPacket(t, wire, func(p labtest.Packet) bool { return p.TCP != nil && p.TCP.RST })
			}
			if profile == "ipvs" {
				stateOf(t, d, "CLOSE")
				return
			}
			labtest.Eventually(t, "the connection's time goes on", func() bool {
				return stateOf(t, d, "ESTABLISHED").ExpiresMs < before.ExpiresMs-500
			})
			c.say("after")
			if now := stateOf(t, d, "ESTABLISHED"); now.ExpiresMs < before.ExpiresMs-500 {
				t.Errorf("what the client says does not keep its connection: expires in %d ms, before in %d", now.ExpiresMs, before.ExpiresMs)
			}
			// The client's own reset has the right number.
			labtest.Must(t, c.Conn.(*net.TCPConn).SetLinger(0))
			c.Close()
			if left := stateOf(t, d, "CLOSE").ExpiresMs; left > 240_100 { // rounded up to 67 ms
				t.Errorf("expires %d ms after its reset", left)
			}
		})
	}
}

// forgedResets are resets from one end to another, with and without ACK, whose
// sequence numbers lie all around.
func forgedResets(t *testing.T, top *lab.Topology, from, to string) (frames [][]byte) {
	t.Helper()
	src, dst := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
	for i := range uint32(16) {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
		tcp := &layers.TCP{SrcPort: layers.TCPPort(src.Port()), DstPort: layers.TCPPort(dst.Port()), RST: true, ACK: i%2 == 0, Seq: i<<28 + 12345, Ack: i << 27}
		labtest.Must(t, tcp.SetNetworkLayerForChecksum(ip))
		buffer := gopacket.NewSerializeBuffer()
		labtest.Must(t, gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
			&layers.Ethernet{SrcMAC: lab.MACOf(top.ClientIP(0)), DstMAC: lab.MACOf(lab.DirectorIP), EthernetType: layers.EthernetTypeIPv4}, ip, tcp))
		frames = append(frames, buffer.Bytes())
	}
	return frames
}

// TestAClientUsesItsPortAgainAtOnce connects from one port over and over. The
// server closes first, so that the port is free on the client's side while the
// director still knows the old connection: its SYN must open a new one, and not
// be lost.
func TestAClientUsesItsPortAgainAtOnce(t *testing.T) {
	for _, profile := range profiles {
		t.Run(profile, func(t *testing.T) {
			top := labtest.Build(t, lab.Options{Realservers: 3})
			for _, rs := range top.Realservers {
				labtest.Must(t, rs.ServeTCP(":9", func(c *net.TCPConn) { _, _ = io.WriteString(c, rs.Name) }))
			}
			config := top.Config(lab.Service{Address: "192.168.1.110:9", Scheduler: "rr", Realservers: lab.Realservers(rips(top, 0)...)})
			config.Extra = "tcp_profile: " + profile
			d := labtest.StartDirector(t, top, labtest.Start{Config: config})
			wire := labtest.Capture(t, top.Client, "eth0")
			local := top.ClientIP(0).String() + ":5000"
			var names []string
			for range 6 {
				c, err := top.Client.DialFrom(labtest.Context(t), "tcp4", local, "192.168.1.110:9")
				labtest.Must(t, err)
				labtest.Must(t, c.SetDeadline(time.Now().Add(labtest.Limit)))
				name, err := io.ReadAll(c)
				labtest.Must(t, err)
				labtest.Must(t, c.Close())
				names = append(names, string(name))
				if left := stateOf(t, d, "TIME_WAIT"); left.Client != local {
					t.Fatalf("the table holds %+v", left)
				}
			}
			if got := strings.Join(names, " "); got != "real3 real2 real1 real3 real2 real1" {
				t.Errorf("answered by %s, want each in its turn", got)
			}
			if n := len(connections(t, d)); n != 1 {
				t.Errorf("%d connections in the table, want the last one alone", n)
			}
			frames, err := wire.Stop()
			labtest.Must(t, err)
			syns := 0
			for _, f := range frames {
				if p := labtest.Decode(f); p.TCP != nil && p.TCP.SYN && !p.TCP.ACK {
					syns++
				}
			}
			if syns != len(names) {
				t.Errorf("%d SYNs for %d connections", syns, len(names))
			}
		})
	}
}
