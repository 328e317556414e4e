package daemon

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/control"
	"lvsnat/scheduler"
)

// differences says in sentences what differs between two configurations, in
// those keys that can change at run time.
func differences(old, next *config.Config) []string {
	var list []string
	if old.Guard != next.Guard {
		list = append(list, fmt.Sprintf("guard: %s, was %s", next.Guard, old.Guard))
	}
	if withoutSYN(old.Timeouts) != withoutSYN(next.Timeouts) {
		list = append(list, fmt.Sprintf("timeouts: tcp %v, tcpfin %v, udp %v, were %v, %v, %v",
			next.Timeouts.TCP, next.Timeouts.TCPFIN, next.Timeouts.UDP,
			old.Timeouts.TCP, old.Timeouts.TCPFIN, old.Timeouts.UDP))
	}
	if old.Timeouts.TCPSYN != next.Timeouts.TCPSYN {
		list = append(list, fmt.Sprintf("timeouts: tcpsyn %v, was %v", next.Timeouts.TCPSYN, old.Timeouts.TCPSYN))
	}
	return append(list, serviceDifferences(old.Services, next.Services)...)
}

// withoutSYN is the three timeouts that every profile has.
func withoutSYN(t config.Timeouts) config.Timeouts {
	t.TCPSYN = 0
	return t
}

func serviceDifferences(old, next []scheduler.ServiceSpec) []string {
	var list []string
	was := make(map[string]scheduler.ServiceSpec, len(old))
	for _, s := range old {
		was[serviceName(s)] = s
	}
	for _, s := range next {
		name := serviceName(s)
		before, known := was[name]
		delete(was, name)
		if !known {
			list = append(list, fmt.Sprintf("%s: added, with %d realservers", name, len(s.Realservers)))
			continue
		}
		list = append(list, serviceDifference(name, before, s)...)
	}
	for _, s := range old {
		if _, gone := was[serviceName(s)]; gone {
			list = append(list, serviceName(s)+": removed")
		}
	}
	return list
}

func serviceDifference(name string, old, next scheduler.ServiceSpec) []string {
	var list []string
	if old.Scheduler != next.Scheduler {
		list = append(list, fmt.Sprintf("%s: scheduler %s, was %s", name, next.Scheduler, old.Scheduler))
	}
	for i, is := range optionsOf(next) {
		if was := optionsOf(old)[i]; is != was {
			list = append(list, fmt.Sprintf("%s: %s %s, was %s", name, is.name, is.value, was.value))
		}
	}
	return append(list, realserverDifferences(name, old.Realservers, next.Realservers)...)
}

// An option is one of what a service has beside its scheduler and realservers.
type option struct{ name, value string }

// optionsOf lists a service's options, always the same ones.
func optionsOf(s scheduler.ServiceSpec) []option {
	return []option{
		{"flags", fmt.Sprint(config.FlagNames(s.Flags))},
		{"persistence", s.Persistence.String()},
		{"netmask", control.Addr(cmp.Or(s.Netmask, 0xffff_ffff)).String()},
		{"one_packet", strconv.FormatBool(s.OnePacket)},
		{"rotate_ties", strconv.FormatBool(s.RotateTies)},
		{"slow_start", s.SlowStart.String()},
	}
}

func realserverDifferences(name string, old, next []scheduler.RealserverSpec) []string {
	var list []string
	was := make(map[netip.AddrPort]scheduler.RealserverSpec, len(old))
	for _, rs := range old {
		was[rs.Address] = rs
	}
	for _, rs := range next {
		before, known := was[rs.Address]
		delete(was, rs.Address)
		switch {
		case !known:
			list = append(list, fmt.Sprintf("%s: realserver %v added, weight %d", name, rs.Address, rs.Weight))
		case before.Weight != rs.Weight:
			list = append(list, fmt.Sprintf("%s: realserver %v: weight %d, was %d", name, rs.Address, rs.Weight, before.Weight))
		case before != rs:
			list = append(list, fmt.Sprintf("%s: realserver %v: thresholds %d and %d, were %d and %d", name, rs.Address, rs.Upper, rs.Lower, before.Upper, before.Lower))
		}
	}
	for _, rs := range old {
		if _, gone := was[rs.Address]; gone {
			list = append(list, fmt.Sprintf("%s: realserver %v removed", name, rs.Address))
		}
	}
	// A change of order alone counts, too: schedulers go by it.
	if len(list) == 0 && !slices.EqualFunc(old, next, sameAddress) {
		list = append(list, name+": realservers in another order")
	}
	return list
}

func sameAddress(a, b scheduler.RealserverSpec) bool { return a.Address == b.Address }

func serviceName(s scheduler.ServiceSpec) string {
	return fmt.Sprintf("service %s %v", control.ProtocolName(s.Protocol), s.Address)
}
