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
			s.Realservers = append(s.Realservers, replying(service.Key(), rs.Address))
		}
	}
	for _, service := range inForce.Services() {
		s.Services = append(s.Services, guard.Endpoint{Protocol: service.Protocol, Addr: service.Address()})
	}
	for _, rs := range inForce.Dests() {
		if rs == nil {
			continue
		}
		s.Services = append(s.Services, guard.Endpoint{Protocol: rs.Service.Protocol, Addr: rs.Service.Address()})
		s.Realservers = append(s.Realservers, replying(rs.Service, netip.AddrPortFrom(control.Addr(rs.Addr), rs.Port)))
	}
	return s
}

// replying is where a realserver of a service replies from.
func replying(service scheduler.Key, realserver netip.AddrPort) guard.Endpoint {
	return guard.Endpoint{Protocol: service.Protocol, Addr: service.Origin(realserver)}
}

// virtualAddresses lists the VIPs in force and ranges of them, those included
// that only old connections are left of: a client must reach them as long as it
// has one. The order is that of the services.
func virtualAddresses(inForce *scheduler.Snapshot) []netip.Prefix {
	var list []netip.Prefix
	seen := make(map[netip.Prefix]bool)
	add := func(service scheduler.Key) {
		if prefix := service.Address().Prefix(); !seen[prefix] {
			seen[prefix] = true
			list = append(list, prefix)
		}
	}
	for _, service := range inForce.Services() {
		add(service.Key)
	}
	for _, rs := range inForce.Dests() {
		if rs != nil {
			add(rs.Service)
		}
	}
	return list
}
