package packettest

import (
	"fmt"
	"net"
	"strings"

	"lvsnat/dataplane/packet"
)

// Describe tells a frame in one line, for failure messages and logs of tests.
func Describe(f packet.Frame) string {
	if len(f.Data) < packet.EthernetLen {
		return abbreviate(f.Data)
	}
	v, e := decode(f), packet.Ethernet(f.Data)
	var s strings.Builder
	fmt.Fprintf(&s, "%s > %s", formatMAC(e.Source()), formatMAC(e.Destination()))
	for _, id := range v.vlans {
		fmt.Fprintf(&s, " VLAN %d", id)
	}
	s.WriteString(": ")
	switch {
	case v.arp != nil:
		fmt.Fprintf(&s, "ARP operation %d, %s is at %s, for %s", v.arp.Operation,
			net.IP(v.arp.SourceProtAddress), net.HardwareAddr(v.arp.SourceHwAddress), net.IP(v.arp.DstProtAddress))
	case v.ip == nil:
		s.WriteString(abbreviate(f.Data[packet.EthernetLen:]))
	default:
		v.describeIP(&s)
	}
	fmt.Fprintf(&s, ", frame of %d bytes", len(f.Data))
	if f.Offload != (packet.Offload{}) {
		fmt.Fprintf(&s, ", offload %+v", f.Offload)
	}
	return s.String()
}

func (v *view) describeIP(s *strings.Builder) {
	switch {
	case v.tcp != nil:
		fmt.Fprintf(s, "TCP %v:%d > %v:%d %s sequence %d acknowledgment %d",
			v.ip.SrcIP, v.tcp.SrcPort, v.ip.DstIP, v.tcp.DstPort, formatFlags(v.tcp.Contents[13]), v.tcp.Seq, v.tcp.Ack)
	case v.udp != nil:
		fmt.Fprintf(s, "UDP %v:%d > %v:%d", v.ip.SrcIP, v.udp.SrcPort, v.ip.DstIP, v.udp.DstPort)
	case v.icmp != nil:
		fmt.Fprintf(s, "ICMP %v > %v %v", v.ip.SrcIP, v.ip.DstIP, v.icmp.TypeCode)
	default:
		fmt.Fprintf(s, "IP protocol %d %v > %v, offset %d", v.ip.Protocol, v.ip.SrcIP, v.ip.DstIP, v.ip.FragOffset*8)
	}
	fmt.Fprintf(s, ", TTL %d, payload %s", v.ip.TTL, abbreviate(v.payload()))
}

// formatFlags writes TCP flags as names with bars between.
func formatFlags(flags uint8) string {
	var names []string
	for i, name := range []string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"} {
		if flags&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if names == nil {
		return "no flags"
	}
	return strings.Join(names, "|")
}
