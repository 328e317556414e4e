package daemon

import (
	"net/netip"

	"lvsnat/cmd/director/internal/control"
	"lvsnat/cmd/director/internal/guard"
	"lvsnat/scheduler"
)

// handled is all that the director handles: the services and realservers
// wanted, those in force, and those removed ones that still have connections.
func handled(wanted []scheduler.ServiceSpec, inForce *scheduler.Snapshot, local []netip.Addr) guard.State {
	s := guard.State{Local: local}
	for _, service := range wanted {
		s.Services = append(s.Services, guard.Endpoint{Protocol: service.Protocol, Addr: service.Address})
		for _, rs := range service.Realservers {
			s.Realservers = append(s.Realservers, guard.Endpoint{Protocol: service.Protocol, Addr: rs.Address})
		}
	}
	for _, service := range inForce.Services() {
		s.Services = append(s.Services, endpoint(service.Key))
	}
	for _, rs := range inForce.Dests() {
		if rs == nil {
			continue
		}
		s.Services = append(s.Services, endpoint(rs.Service))
		s.Realservers = append(s.Realservers, endpoint(scheduler.Key{Addr: rs.Addr, Port: rs.Port, Protocol: rs.Service.Protocol}))
	}
	return s
}

func endpoint(key scheduler.Key) guard.Endpoint {
	return guard.Endpoint{Protocol: key.Protocol, Addr: netip.AddrPortFrom(control.Addr(key.Addr), key.Port)}
}

// virtualAddresses lists the VIPs in force, those included that only old
// connections are left of: a client must reach them as long as it has one. The
// order is that of the services.
func virtualAddresses(inForce *scheduler.Snapshot) []netip.Prefix {
	var list []netip.Prefix
	seen := make(map[uint32]bool)
	add := func(addr uint32) {
		if !seen[addr] {
			seen[addr] = true
			list = append(list, netip.PrefixFrom(control.Addr(addr), 32))
		}
	}
	for _, service := range inForce.Services() {
		add(service.Addr)
	}
	for _, rs := range inForce.Dests() {
		if rs != nil {
			add(rs.Service.Addr)
		}
	}
	return list
}
