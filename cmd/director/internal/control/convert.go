package control

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"lvsnat/cmd/director/internal/estimator"
	"lvsnat/dataplane"
)

// ProtocolName is the name of an IANA protocol number in configuration and
// listings.
func ProtocolName(number uint8) string {
	switch number {
	case unix.IPPROTO_TCP:
		return "tcp"
	case unix.IPPROTO_UDP:
		return "udp"
	}
	return strconv.Itoa(int(number))
}

// Addr makes an address of one in host order.
func Addr(addr uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], addr)
	return netip.AddrFrom4(b)
}

func endpoint(addr uint32, port uint16) string {
	return netip.AddrPortFrom(Addr(addr), port).String()
}

// ServicesOf puts the dataplane's counters, and what an estimator makes of
// them, into the wire's words.
func ServicesOf(stats []dataplane.ServiceStats, counts map[estimator.Name]estimator.Counts) Services {
	services := Services{Version: Version, Services: make([]Service, len(stats))}
	for i, s := range stats {
		shown := counts[estimator.Name{Service: s.Key}]
		service := Service{
			Protocol:    ProtocolName(s.Protocol),
			Address:     s.Address().String(),
			Scheduler:   s.Scheduler,
			Traffic:     trafficOf(s.Traffic),
			SinceZero:   trafficOf(shown.Traffic),
			Rate:        rateOf(shown.Rate),
			Realservers: make([]Realserver, len(s.Realservers)),
		}
		for j, rs := range s.Realservers {
			shown := counts[estimator.Name{Service: s.Key, Addr: rs.Addr, Port: rs.Port}]
			service.Realservers[j] = Realserver{
				Address:         endpoint(rs.Addr, rs.Port),
				Weight:          rs.Weight,
				Active:          rs.Active,
				Inactive:        rs.Inactive,
				Removed:         rs.Removed,
				Traffic:         trafficOf(rs.Traffic),
				EffectiveWeight: rs.Share,
				HandshakeUs:     rs.Handshake.Microseconds(),
				Persistent:      rs.Persistent,
				SinceZero:       trafficOf(shown.Traffic),
				Rate:            rateOf(shown.Rate),
			}
		}
		services.Services[i] = service
	}
	return services
}

func trafficOf(t dataplane.Traffic) Traffic {
	return Traffic{
		Connections:    t.Connections,
		RequestPackets: t.RequestPkts,
		RequestBytes:   t.RequestBytes,
		ReplyPackets:   t.ReplyPkts,
		ReplyBytes:     t.ReplyBytes,
	}
}

func rateOf(r estimator.Rate) Rate {
	return Rate{
		Connections:    r.Connections,
		RequestPackets: r.RequestPkts,
		RequestBytes:   r.RequestBytes,
		ReplyPackets:   r.ReplyPkts,
		ReplyBytes:     r.ReplyBytes,
	}
}

func connectionOf(c dataplane.Connection) Connection {
	return Connection{
		Protocol:  ProtocolName(c.Protocol),
		State:     c.State,
		Client:    endpoint(c.ClientAddr, c.ClientPort),
		Virtual:   endpoint(c.VirtualAddr, c.VirtualPort),
		Real:      endpoint(c.RealAddr, c.RealPort),
		ExpiresMs: c.ExpiresMs,
		Worker:    c.Worker,
	}
}
