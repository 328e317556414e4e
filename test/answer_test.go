package test

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/gopacket/layers"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

func TestTracerouteFromTheClientShowsTheDirectorAndTheVIP(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 1})
	serveNames(t, top, ":80")
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(web(top, "rr"))})
	out := labtest.Run(t, top.Client, "traceroute", "-n", "-T", "-p", "80", "-q", "1", "-w", "5", "192.168.1.110")
	sameHops(t, out, "192.168.1.9", "192.168.1.110")
	packets := status(t, d).Packets
	if packets["time_exceeded"] == 0 {
		t.Error("no time exceeded was counted")
	}
	if t.Failed() {
		t.Logf("what became of the probes: %v", packets)
	}
}

func TestTracerouteFromTheRealserverShowsTheDirectorAndTheClient(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 1})
	labtest.Must(t, top.Client.AddRoute(lab.Route{To: realNet, Via: lab.DirectorIP}))
	labtest.Must(t, top.Director.Sysctl("net.ipv4.ip_forward", "1"))
	serveNames(t, top, ":80")
	labtest.StartDirector(t, top, labtest.Start{Config: top.Config(web(top, "rr"))})
	// Not a service's traffic: the kernel routes it, and is the hop.
	out := labtest.Run(t, top.Realservers[0], "traceroute", "-n", "-q", "1", "-w", "5", "192.168.1.254")
	sameHops(t, out, "10.1.1.1", "192.168.1.254")
}

var hopLine = regexp.MustCompile(`(?m)^ *\d+ +(\S+)`)

// sameHops fails the test when traceroute has shown other hops.
func sameHops(t *testing.T, out string, want ...string) {
	t.Helper()
	var got []string
	for _, m := range hopLine.FindAllStringSubmatch(out, -1) {
		got = append(got, m[1])
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("hops %v, want %v; traceroute wrote:\n%s", got, want, out)
	}
}

// TestARepliesTTLIsDecremented is traceroute through a live connection, which
// the program itself cannot do, because the server holds the source port.
func TestTheTTLOfARepliesConnectionRunsOut(t *testing.T) {
	l := startLive(t, lab.Options{Realservers: 1})
	client := netip.MustParseAddrPort(l.talk.LocalAddr().String())
	wire := labtest.Capture(t, l.Realservers[0], "eth0")
	beyond := labtest.Capture(t, l.Client, "eth0")
	for ttl := byte(1); ttl <= 2; ttl++ {
		probe(t, l.Realservers[0], client, ttl)
	}
	answer := labtest.WaitPacket(t, wire, func(p labtest.Packet) bool { return p.ICMP != nil && !p.Sent })
	if answer.ICMP.TypeCode != layers.CreateICMPv4TypeCode(layers.ICMPv4TypeTimeExceeded, layers.ICMPv4CodeTTLExceeded) {
		t.Errorf("%v, want time exceeded", answer)
	}
	if answer.Src() != lab.DIP || answer.Dst() != lab.RIP(0) {
		t.Errorf("%v, want it from %v to %v", answer, lab.DIP, lab.RIP(0))
	}
	// The quoted header is the realserver's own packet, untranslated, or its
	// stack could not tell which connection is meant.
	quoted := answer.ICMP.Payload
	if len(quoted) < 28 || string(quoted[12:16]) != string(lab.RIP(0).AsSlice()) || string(quoted[16:20]) != string(client.Addr().AsSlice()) {
		t.Errorf("time exceeded quotes % x, want the packet from %v to %v", quoted, lab.RIP(0), client.Addr())
	}
	arrived := labtest.WaitPacket(t, beyond, func(p labtest.Packet) bool { return p.TCP != nil && !p.Sent && p.IP.TTL == 1 })
	if arrived.Src() != lab.VIP {
		t.Errorf("%v, want it from the VIP", arrived)
	}
	l.talk.say("unharmed")
}

// probe sends a bare ACK of a live connection, with a low TTL, from a
// realserver's service port 7.
func probe(t *testing.T, rs *lab.Host, client netip.AddrPort, ttl byte) {
	t.Helper()
	ip := &layers.IPv4{
		Version: 4, TTL: ttl, Protocol: layers.IPProtocolTCP, Id: uint16(ttl),
		SrcIP: lab.RIP(0).AsSlice(), DstIP: client.Addr().AsSlice(),
	}
	tcp := &layers.TCP{SrcPort: 7, DstPort: layers.TCPPort(client.Port()), ACK: true, Window: 1000}
	labtest.Must(t, tcp.SetNetworkLayerForChecksum(ip))
	send(t, rs, "eth0", &layers.Ethernet{
		SrcMAC: lab.MACOf(lab.RIP(0)), DstMAC: lab.MACOf(lab.DIP), EthernetType: layers.EthernetTypeIPv4,
	}, ip, tcp)
}

func TestWhatHasNoServerIsAnsweredAsIPVSDoes(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 1})
	serveNames(t, top, ":80")
	idle := func(protocol, port string) lab.Service {
		return lab.Service{Address: "192.168.1.110:" + port, Protocol: protocol, Realservers: []lab.Realserver{{Address: "10.1.1.2", Weight: 0}}}
	}
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(web(top, "rr"), idle("tcp", "81"), idle("udp", "81"),
		lab.Service{Address: "192.168.1.110:82"})})
	for _, c := range []struct {
		name, network, port, verdict string
		expected                     func(labtest.Packet) bool
	}{
		{"TCP to an unknown port is reset", "tcp4", "7", "refused", isReset},
		{"UDP to an unknown port is unreachable", "udp4", "7", "unreachable", isPortUnreachable},
		{"TCP without a usable realserver is unreachable", "tcp4", "81", "unreachable", isPortUnreachable},
		{"UDP without a usable realserver is unreachable", "udp4", "81", "unreachable", isPortUnreachable},
		{"TCP without any realserver is unreachable", "tcp4", "82", "unreachable", isPortUnreachable},
	} {
		t.Run(c.name, func(t *testing.T) {
			wire := labtest.Capture(t, top.Client, "eth0")
			before := status(t, d).Packets[c.verdict]
			if err := knock(t, top.Client, c.network, "192.168.1.110:"+c.port); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("the client's error is %v, want connection refused", err)
			}
			answer := labtest.WaitPacket(t, wire, func(p labtest.Packet) bool { return !p.Sent && p.IP != nil })
			if !c.expected(answer) {
				t.Errorf("answered by %v", answer)
			}
			if after := status(t, d).Packets[c.verdict]; after != before+1 {
				t.Errorf("verdict %s was counted %d times, want once", c.verdict, after-before)
			}
		})
	}
}

func isReset(p labtest.Packet) bool { return p.TCP != nil && p.TCP.RST && p.Src() == lab.VIP }

func isPortUnreachable(p labtest.Packet) bool {
	return p.ICMP != nil && p.ICMP.TypeCode == layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodePort)
}

// knock connects, and for UDP sends a datagram and waits for the error.
func knock(t *testing.T, h *lab.Host, network, address string) error {
	t.Helper()
	c, err := h.DialContext(labtest.Context(t), network, address)
	if err != nil {
		return err
	}
	defer c.Close()
	if network == "tcp4" {
		return nil
	}
	if _, err := c.Write([]byte("knock")); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 100))
	return err
}

func TestAnswersAreLimited(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 1})
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(web(top, "rr"))})
	const knocks = 5000
	frames := make([][]byte, knocks)
	for i := range frames {
		frames[i] = syn(t, top, fmt.Sprintf("192.168.1.254:%d", 10_000+i), "192.168.1.110:7")
	}
	before := status(t, d).Packets
	sendRaw(t, top.Client, "eth0", frames...)
	labtest.Eventually(t, "every packet has a verdict", func() bool {
		after := status(t, d).Packets
		refused, limited := after["refused"]-before["refused"], after["answer_limited"]-before["answer_limited"]
		return refused+limited == knocks && limited > refused
	})
}
