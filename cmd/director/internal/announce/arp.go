package announce

import (
	"encoding/binary"
	"net/netip"

	"lvsnat/dataplane/packet"
)

// A message is an ARP message for IPv4 over Ethernet (RFC 826).
type message struct {
	operation uint16
	sender    party
	target    party
}

// A party is one side of a message.
type party struct {
	mac  packet.MAC
	addr netip.Addr
}

const (
	request = 1
	reply   = 2
)

// Field values and lengths, in bytes (RFC 826).
const (
	hardwareEthernet = 1
	messageLen       = 28
	frameLen         = packet.EthernetLen + messageLen
)

// marshal makes the frame, without the padding that the NIC adds.
func (m message) marshal(destination packet.MAC) []byte {
	b := make([]byte, packet.EthernetLen, frameLen)
	packet.Ethernet(b).SetAddresses(&destination, &m.sender.mac)
	packet.Ethernet(b).SetType(packet.TypeARP)
	b = binary.BigEndian.AppendUint16(b, hardwareEthernet)
	b = binary.BigEndian.AppendUint16(b, packet.TypeIPv4)
	b = append(b, 6, 4)
	b = binary.BigEndian.AppendUint16(b, m.operation)
	for _, p := range []party{m.sender, m.target} {
		addr := p.addr.As4()
		b = append(b, p.mac[:]...)
		b = append(b, addr[:]...)
	}
	return b
}

// parse reads a frame and reports whether it is an ARP message for IPv4 over
// Ethernet.
func parse(frame []byte) (message, bool) {
	if len(frame) < frameLen || packet.Ethernet(frame).Type() != packet.TypeARP {
		return message{}, false
	}
	b := frame[packet.EthernetLen:]
	if binary.BigEndian.Uint16(b[0:]) != hardwareEthernet || binary.BigEndian.Uint16(b[2:]) != packet.TypeIPv4 || b[4] != 6 || b[5] != 4 {
		return message{}, false
	}
	return message{
		operation: binary.BigEndian.Uint16(b[6:]),
		sender:    partyAt(b[8:]),
		target:    partyAt(b[18:]),
	}, true
}

func partyAt(b []byte) party {
	return party{packet.MAC(b[:6]), netip.AddrFrom4([4]byte(b[6:10]))}
}
