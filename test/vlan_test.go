package test

import (
	"fmt"
	"net"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

// TestVLANTagsArePutBack sends tagged frames both ways. The kernel takes the tag
// out of what it receives, so that the director's rings get frames without; they
// must leave with it. Captures of what the director sends show it.
func TestVLANTagsArePutBack(t *testing.T) {
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprintf("workers=%d", workers), func(t *testing.T) {
			top := labtest.Build(t, lab.Options{Realservers: 1, VIPOn: lab.VIPOnNIC, Forward: true})
			serveNames(t, top, ":8000")
			config := top.Config(lab.Service{Address: "192.168.1.110:80", Realservers: lab.Realservers("10.1.1.2:8000")})
			config.Workers = workers
			labtest.StartDirector(t, top, labtest.Start{Config: config})
			// The neighbours are known after this.
			if got := get(t, top.Client, "192.168.1.110"); got != "real1" {
				t.Errorf("answered by %q", got)
			}
			request, reply := labtest.Capture(t, top.Director, top.DIPNIC), labtest.Capture(t, top.Director, top.VIPNIC)
			const vlan = 100
			for port := layers.TCPPort(2000); port < 2008; port++ {
				sendTagged(t, top.Client, vlan, lab.MACOf(lab.DirectorIP),
					layers.IPv4{SrcIP: lab.CIP.AsSlice(), DstIP: lab.VIP.AsSlice()},
					layers.TCP{SrcPort: port, DstPort: 80, SYN: true})
				seen := labtest.WaitPacket(t, request, func(p labtest.Packet) bool { return p.Sent && p.TCP != nil && p.TCP.SrcPort == port })
				if seen.Dst() != lab.RIP(0) || seen.TCP.DstPort != 8000 || vlanOf(seen) != vlan {
					t.Errorf("the request left as %v in VLAN %d", seen, vlanOf(seen))
				}
				sendTagged(t, top.Realservers[0], vlan, lab.MACOf(lab.DIP),
					layers.IPv4{SrcIP: lab.RIP(0).AsSlice(), DstIP: lab.CIP.AsSlice()},
					layers.TCP{SrcPort: 8000, DstPort: port, SYN: true, ACK: true})
				seen = labtest.WaitPacket(t, reply, func(p labtest.Packet) bool { return p.Sent && p.TCP != nil && p.TCP.DstPort == port })
				if seen.Src() != lab.VIP || seen.TCP.SrcPort != 80 || vlanOf(seen) != vlan {
					t.Errorf("the reply left as %v in VLAN %d", seen, vlanOf(seen))
				}
			}
		})
	}
}

// sendTagged sends a TCP segment in a frame with a VLAN tag.
func sendTagged(t *testing.T, h *lab.Host, vlan uint16, to net.HardwareAddr, ip layers.IPv4, tcp layers.TCP) {
	t.Helper()
	nic, err := h.NIC("eth0")
	labtest.Must(t, err)
	ip.Version, ip.TTL, ip.Protocol, tcp.Window = 4, 64, layers.IPProtocolTCP, 64240
	labtest.Must(t, tcp.SetNetworkLayerForChecksum(&ip))
	send(t, h, "eth0",
		&layers.Ethernet{SrcMAC: nic.HardwareAddr, DstMAC: to, EthernetType: layers.EthernetTypeDot1Q},
		&layers.Dot1Q{VLANIdentifier: vlan, Type: layers.EthernetTypeIPv4}, &ip, &tcp)
}

// vlanOf returns the tag of a frame, or 0.
func vlanOf(p labtest.Packet) uint16 {
	packet := gopacket.NewPacket(p.Data, layers.LayerTypeEthernet, gopacket.NoCopy)
	if tag, ok := packet.Layer(layers.LayerTypeDot1Q).(*layers.Dot1Q); ok {
		return tag.VLANIdentifier
	}
	return 0
}
