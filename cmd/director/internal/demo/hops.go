package demo

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"

	"lvsnat/dataplane/packet"
	"lvsnat/test/lab"
)

// A hop is one packet of a connection as a capture has seen it.
type hop struct {
	wire     string // where it was seen
	from, to netip.AddrPort
}

// follow makes one connection from the client to the virtual service and
// returns its four hops, taken from captures at the client and at the
// realservers: the SYN before and after the director, and the answer to it
// before and after the director.
func (s *stage) follow(ctx context.Context) (hops []hop, realserver string, err error) {
	atClient, err := s.net.Client.Capture("eth0")
	if err != nil {
		return nil, "", err
	}
	defer atClient.Stop()
	atServers := make(map[string]*lab.Capture)
	for _, rs := range s.net.Realservers {
		if atServers[rs.Name], err = rs.Capture("eth0"); err != nil {
			return nil, "", err
		}
		defer atServers[rs.Name].Stop()
	}
	client, realserver, err := s.connect(ctx)
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	server, ok := atServers[realserver]
	if !ok {
		return nil, "", fmt.Errorf("%q, which is none of the realservers, has answered", realserver)
	}
	for _, wanted := range []struct {
		wire    string
		capture *lab.Capture
		reply   bool
	}{
		{"client's wire", atClient, false},
		{realserver + "'s wire", server, false},
		{realserver + "'s wire", server, true},
		{"client's wire", atClient, true},
	} {
		h, err := handshake(ctx, wanted.capture, client, wanted.reply)
		if err != nil {
			return nil, "", err
		}
		h.wire = wanted.wire
		hops = append(hops, h)
	}
	return hops, realserver, nil
}

// handshake waits for the SYN from the client, or the SYN+ACK to it.
func handshake(ctx context.Context, c *lab.Capture, client netip.AddrPort, reply bool) (hop, error) {
	var found hop
	_, err := c.Wait(ctx, func(f lab.Frame) bool {
		var p packet.Packet
		if p.Parse(f.Data) != packet.OK || p.Protocol != packet.TCPProtocol || p.TCPFlags&packet.SYN == 0 {
			return false
		}
		found.from, found.to = addrPort(p.Source, p.SourcePort), addrPort(p.Destination, p.DestinationPort)
		if reply {
			return found.to == client && p.TCPFlags&packet.ACK != 0
		}
		return found.from == client && p.TCPFlags&packet.ACK == 0
	})
	return found, err
}

func addrPort(addr uint32, port uint16) netip.AddrPort {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], addr)
	return netip.AddrPortFrom(netip.AddrFrom4(b), port)
}
