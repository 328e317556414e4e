package main

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

// flooding runs testlvs on the client and returns what it said.
func flooding(t *testing.T, topology *lab.Topology, line string) (stderr string, err error) {
	t.Helper()
	var said bytes.Buffer
	err = topology.Client.Do(func() error {
		return run(labtest.Context(t), strings.Fields(line), nil, &said)
	})
	return said.String(), err
}

// captured returns the sources and source ports of the first n frames from
// testlvs, each of which is checked to be the reference's.
func captured(t *testing.T, capture *lab.Capture, line string, n int) []string {
	t.Helper()
	o := parse(t, line)
	isFlood := func(f lab.Frame) bool {
		ip := gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.Default).Layer(layers.LayerTypeIPv4)
		return !f.Sent && ip != nil && ip.(*layers.IPv4).TTL == o.ttl
	}
	var flows []string
	labtest.Eventually(t, "all packets arrive", func() bool {
		flows = nil
		for _, frame := range capture.Frames() {
			if isFlood(frame) {
				flows = append(flows, checkFrame(t, frame.Data, &o))
			}
		}
		return len(flows) >= n
	})
	if len(flows) != n {
		t.Errorf("%d packets arrived, want %d", len(flows), n)
	}
	return flows
}

// checkFrame compares a frame with the reference of its flow, and names the
// flow.
func checkFrame(t *testing.T, data []byte, o *options) string {
	t.Helper()
	decoded := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.Default)
	ip := decoded.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	source := netip.AddrFrom4([4]byte(ip.SrcIP.To4()))
	port := uint16(0)
	if udp, ok := decoded.Layer(layers.LayerTypeUDP).(*layers.UDP); ok {
		port = uint16(udp.SrcPort)
	} else if tcp, ok := decoded.Layer(layers.LayerTypeTCP).(*layers.TCP); ok {
		port = uint16(tcp.SrcPort)
	}
	want := reference(t, o, ip.Id, flow{toUint32(source), port})
	// The reference has made-up link addresses.
	if !bytes.Equal(data[12:], want[12:]) {
		t.Fatalf("got  %x\nwant %x", data[12:], want[12:])
	}
	return netip.AddrPortFrom(source, port).String()
}

func TestPacketsArriveAsTheyWereMade(t *testing.T) {
	for _, c := range []struct{ name, line, flows string }{
		{
			"SYNs from one source after the other",
			"192.168.1.110:80 -srcnum 2 -packets 3",
			"10.0.0.1:5000 10.0.0.2:5000 10.0.0.1:5000",
		},
		{
			"datagrams as large as the MTU allows, from two ports",
			"192.168.1.110:53 -udp -size 1500 -srcnum 1 -sport 7-8 -packets 3 -ttl 9",
			"10.0.0.1:7 10.0.0.1:8 10.0.0.1:7",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			topology := labtest.Build(t, lab.Options{Realservers: 1, VIPOn: lab.VIPOnNIC})
			capture, err := topology.Director.Capture("eth0")
			labtest.Must(t, err)
			said, err := flooding(t, topology, c.line)
			labtest.Must(t, err)
			if got := strings.Join(captured(t, capture, c.line, 3), " "); got != c.flows {
				t.Errorf("got  %s\nwant %s", got, c.flows)
			}
			if lines := strings.Split(said, "\n"); !strings.HasPrefix(lines[0], "Sending ") || !strings.HasPrefix(lines[1], "Sent 3 packets in ") {
				t.Errorf("it said %q", said)
			}
		})
	}
}

func TestWorkersShareOneNIC(t *testing.T) {
	topology := labtest.Build(t, lab.Options{Realservers: 1, VIPOn: lab.VIPOnNIC})
	capture, err := topology.Director.Capture("eth0")
	labtest.Must(t, err)
	const line = "192.168.1.110:80 -srcnum 100 -packets 100 -workers 3"
	_, err = flooding(t, topology, line)
	labtest.Must(t, err)
	seen := make(map[string]bool)
	for _, name := range captured(t, capture, line, 100) {
		seen[name] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d different flows, want 100", len(seen))
	}
}

func TestWhatCannotBeFloodedIsExplained(t *testing.T) {
	topology := labtest.Build(t, lab.Options{Realservers: 1})
	for _, c := range []struct{ name, line, want string }{
		{"an address that nobody has", "192.168.1.77:80", "no answer to ARP"},
		{"an address without a route", "203.0.113.1:80", "find a route to 203.0.113.1"},
		{"packets larger than the MTU", "192.168.1.9:80 -udp -size 1501", "eth0 has an MTU of 1500"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := flooding(t, topology, c.line); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
}
