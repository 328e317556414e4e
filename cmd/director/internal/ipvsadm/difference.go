package ipvsadm

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"lvsnat/cmd/director/internal/control"
	"lvsnat/scheduler"
)

// difference lists the rules that make one state of another. Carried out by -R
// they give the same services with their realservers in the same order.
func difference(before, after control.State) []string {
	var lines []string
	type identity struct {
		protocol uint8
		address  scheduler.Address
	}
	wanted := make(map[identity]bool, len(after.Services))
	for _, s := range after.Services {
		wanted[identity{s.Protocol, s.Address}] = true
	}
	was := make(map[identity]scheduler.ServiceSpec, len(before.Services))
	for _, s := range before.Services {
		was[identity{s.Protocol, s.Address}] = s
		if !wanted[identity{s.Protocol, s.Address}] {
			lines = append(lines, "-D "+numbersOnly.serviceArgument(s))
		}
	}
	for _, s := range after.Services {
		old, known := was[identity{s.Protocol, s.Address}]
		verb := "-E "
		if !known {
			verb = "-A "
		}
		if rule := numbersOnly.serviceRule(s); !known || rule != numbersOnly.serviceRule(old) {
			lines = append(lines, verb+rule)
		}
		lines = append(lines, serverDifference(s, old.Realservers)...)
	}
	if before.Timeouts != after.Timeouts {
		lines = append(lines, fmt.Sprintf("--set %d %d %d", after.Timeouts.TCP/time.Second, after.Timeouts.TCPFIN/time.Second, after.Timeouts.UDP/time.Second))
	}
	return lines
}

// serverDifference lists the rules for a service's realservers. One that is
// added comes last, so from the first place on where the two orders differ all
// are taken away and added again.
func serverDifference(s scheduler.ServiceSpec, before []scheduler.RealserverSpec) []string {
	var lines []string
	at := func(list []scheduler.RealserverSpec, address netip.AddrPort) int {
		return slices.IndexFunc(list, func(rs scheduler.RealserverSpec) bool { return rs.Address == address })
	}
	kept := slices.DeleteFunc(slices.Clone(before), func(rs scheduler.RealserverSpec) bool { return at(s.Realservers, rs.Address) < 0 })
	same := 0
	for same < len(kept) && kept[same].Address == s.Realservers[same].Address {
		same++
	}
	for _, rs := range before {
		if i := at(kept[:same], rs.Address); i < 0 {
			lines = append(lines, fmt.Sprintf("-d %s -r %v", numbersOnly.serviceArgument(s), rs.Address))
		}
	}
	for i, rs := range s.Realservers {
		switch {
		case i >= same:
			lines = append(lines, "-a "+numbersOnly.serverRule(s, rs))
		case rs != kept[i]:
			lines = append(lines, "-e "+numbersOnly.serverRule(s, rs))
		}
	}
	return lines
}
