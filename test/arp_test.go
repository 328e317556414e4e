package test

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/mdlayher/packet"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

func TestAVIPThatTheKernelDoesNotOwnIsAnnouncedAndAnswered(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 1})
	serveNames(t, top, ":80")
	wire := labtest.Capture(t, top.Client, "eth0")
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(web(top, "rr"))})
	announced := func(vip netip.Addr) {
		t.Helper()
		labtest.WaitPacket(t, wire, func(p labtest.Packet) bool {
			return p.ARP != nil && claims(p.ARP, vip) && net.HardwareAddr(p.ARP.SourceHwAddress).String() == lab.MACOf(lab.DirectorIP).String()
		})
	}
	announced(lab.VIP)

	labtest.Run(t, top.Client, "ping", "-n", "-c", "2", "-i", "0.1", "-W", "5", "192.168.1.110")
	mac, err := top.Client.Neighbour("eth0", lab.VIP)
	labtest.Must(t, err)
	if mac.String() != lab.MACOf(lab.DirectorIP).String() {
		t.Errorf("the client has %v as the VIP's link address, want the VIP NIC's", mac)
	}

	second := netip.MustParseAddr("192.168.1.111")
	more := top.Config(web(top, "rr"), lab.Service{Address: second.String() + ":80", Realservers: lab.Realservers("10.1.1.2")})
	d.Apply(more)
	announced(second)
	if got := get(t, top.Client, second.String()); got != "real1" {
		t.Errorf("the added VIP was answered by %q", got)
	}
	vips := make(map[string]string)
	for _, v := range status(t, d).VIPs {
		vips[v.Address] = v.ARP
	}
	if vips["192.168.1.110"] != "director" || vips["192.168.1.111"] != "director" {
		t.Errorf("who answers ARP: %v, want the director for both VIPs", vips)
	}
}

// claims reports whether an ARP message announces addr: its sender is the
// target too (RFC 5227 section 1.1).
func claims(a *layers.ARP, addr netip.Addr) bool {
	b := addr.As4()
	return string(a.SourceProtAddress) == string(b[:]) && string(a.DstProtAddress) == string(b[:])
}

func TestTheKernelAnswersARPForAVIPThatItOwns(t *testing.T) {
	for _, place := range []lab.VIPPlace{lab.VIPOnNIC, lab.VIPLoopback} {
		t.Run("VIP "+place.String(), func(t *testing.T) {
			top := labtest.Build(t, lab.Options{Realservers: 1, VIPOn: place})
			serveNames(t, top, ":80")
			d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(web(top, "rr"))})
			if got := get(t, top.Client, "192.168.1.110"); got != "real1" {
				t.Errorf("answered by %q", got)
			}
			labtest.Run(t, top.Client, "ping", "-n", "-c", "1", "-W", "5", "192.168.1.110")
			if vips := status(t, d).VIPs; len(vips) != 1 || vips[0].ARP != "kernel" {
				t.Errorf("status of the VIPs %+v, want the kernel to answer", vips)
			}
		})
	}
}

func TestASecondMachineWithTheVIPIsReported(t *testing.T) {
	top := labtest.Build(t, lab.Options{Clients: 2, Realservers: 1})
	serveNames(t, top, ":80")
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(web(top, "rr"))})
	d.Allow("192.168.1.110")
	usurper := top.Clients[1]
	labtest.Must(t, usurper.AddAddress("eth0", netip.MustParsePrefix("192.168.1.110/24")))
	claim(t, usurper, "eth0", lab.VIP)
	mac := lab.MACOf(top.ClientIP(1)).String()
	labtest.Eventually(t, "the status names the conflict", func() bool {
		for _, c := range status(t, d).ARPConflicts {
			if c.Address == "192.168.1.110" && c.MAC == mac {
				return true
			}
		}
		return false
	})
	line, err := d.Stderr().WaitLine(labtest.Context(t), func(line string) bool {
		return strings.Contains(line, "level=WARN") && strings.Contains(line, mac)
	})
	labtest.Must(t, err)
	for _, want := range []string{"192.168.1.110", lab.MACOf(lab.DirectorIP).String()} {
		if !strings.Contains(line, want) {
			t.Errorf("the warning does not name %s: %s", want, line)
		}
	}
}

// claim broadcasts an ARP announcement for addr.
func claim(t *testing.T, h *lab.Host, name string, addr netip.Addr) {
	t.Helper()
	nic, err := h.NIC(name)
	labtest.Must(t, err)
	b := addr.As4()
	send(t, h, name,
		&layers.Ethernet{SrcMAC: nic.HardwareAddr, DstMAC: layers.EthernetBroadcast, EthernetType: layers.EthernetTypeARP},
		&layers.ARP{
			AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
			Operation: layers.ARPRequest, SourceHwAddress: nic.HardwareAddr, SourceProtAddress: b[:],
			DstHwAddress: make([]byte, 6), DstProtAddress: b[:],
		})
}

// send puts a frame on a host's wire as it is.
func send(t *testing.T, h *lab.Host, nic string, parts ...gopacket.SerializableLayer) {
	t.Helper()
	buffer := gopacket.NewSerializeBuffer()
	labtest.Must(t, gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, parts...))
	sendRaw(t, h, nic, buffer.Bytes())
}

func sendRaw(t *testing.T, h *lab.Host, nic string, frames ...[]byte) {
	t.Helper()
	ifi, err := h.NIC(nic)
	labtest.Must(t, err)
	labtest.Must(t, h.Do(func() error {
		c, err := packet.Listen(ifi, packet.Raw, 0, nil)
		if err != nil {
			return err
		}
		defer c.Close()
		for _, f := range frames {
			if _, err := c.WriteTo(f, &packet.Addr{HardwareAddr: f[:min(6, len(f))]}); err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestEchoOfEverySizeIsAnswered(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 1})
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(web(top, "rr"))})
	before := status(t, d).Packets["answered_echo"]
	for _, size := range []string{"0", "56", "1472"} {
		labtest.Run(t, top.Client, "ping", "-n", "-c", "2", "-i", "0.1", "-W", "5", "-s", size, "192.168.1.110")
	}
	if got := status(t, d).Packets["answered_echo"] - before; got != 6 {
		t.Errorf("%d echo requests counted, want 6", got)
	}
}
