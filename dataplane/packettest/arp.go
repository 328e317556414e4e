package packettest

import (
	"errors"
	"net"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"lvsnat/dataplane/packet"
)

// ARPRequest builds a broadcast that asks who has target, from the host with
// this MAC and address. With source "0.0.0.0" it is a probe, with source and
// target the same an announcement (RFC 5227).
func ARPRequest(mac packet.MAC, source, target string, options ...Option) packet.Frame {
	return arp(layers.ARPRequest, mac, source, packet.MAC{}, target, MACs(mac, Broadcast), options)
}

// ARPReply builds the answer of the host with this MAC and address to another.
func ARPReply(mac packet.MAC, source string, to packet.MAC, target string, options ...Option) packet.Frame {
	return arp(layers.ARPReply, mac, source, to, target, MACs(mac, to), options)
}

// arp builds an ARP frame. Of the options only those of the link apply.
func arp(operation uint16, mac packet.MAC, source string, to packet.MAC, target string, link Fact, options []Option) packet.Frame {
	var b blueprint
	link.build(&b)
	for _, o := range options {
		o.build(&b)
	}
	buffer := gopacket.NewSerializeBuffer()
	must((&layers.ARP{
		AddrType:          layers.LinkTypeEthernet,
		Protocol:          layers.EthernetTypeIPv4,
		HwAddressSize:     6,
		ProtAddressSize:   4,
		Operation:         operation,
		SourceHwAddress:   mac[:],
		SourceProtAddress: mustAddr(source).AsSlice(),
		DstHwAddress:      to[:],
		DstProtAddress:    mustAddr(target).AsSlice(),
	}).SerializeTo(buffer, gopacket.SerializeOptions{}))
	f := packet.Frame{Data: append(b.linkHeader(packet.TypeARP), buffer.Bytes()...)}
	f.Data = append(f.Data, make([]byte, b.padding)...)
	for _, edit := range b.edits {
		f.Data = edit(f.Data)
	}
	return f
}

// ARPSays demands an ARP message, request or reply, that says that source is
// at mac and concerns target.
func ARPSays(reply bool, mac packet.MAC, source, target string) Checker {
	return checker(func(v *view) error {
		if v.arp == nil {
			return errors.New("frame is not ARP")
		}
		return firstError(
			differs("ARP reply", v.arp.Operation == layers.ARPReply, reply),
			differs("ARP sender MAC", net.HardwareAddr(v.arp.SourceHwAddress).String(), formatMAC(mac)),
			differs("ARP sender", net.IP(v.arp.SourceProtAddress).String(), source),
			differs("ARP target", net.IP(v.arp.DstProtAddress).String(), target))
	})
}
