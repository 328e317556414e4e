package ipvsadm

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"time"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/control"
	"lvsnat/scheduler"
)

const (
	versionLine = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\n"

	// tableLine is the first line of a whole listing. The size is that of the
	// kernel's hash table when nobody has set another: the director's table
	// has no such number, and scripts compare the line.
	tableLine = "IP Virtual Server version 1.2.1 (size=4096)\n"
)

// A form is one kind of listing.
type form int

const (
	plainForm form = iota
	statsForm
	rateForm
	thresholdsForm
	persistentForm
	tunnelForm
)

// formOf picks the form; of several options the first one counts.
func formOf(c *command) form {
	for _, option := range []struct {
		id   id
		form form
	}{
		{stats, statsForm}, {rate, rateForm}, {thresholds, thresholdsForm},
		{persistentConn, persistentForm}, {tunInfo, tunnelForm},
	} {
		if c.given[option.id] {
			return option.form
		}
	}
	return plainForm
}

var titles = map[form]string{
	plainForm: "Prot LocalAddress:Port Scheduler Flags\n" +
		"  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n",
	statsForm: "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n" +
		"  -> RemoteAddress:Port\n",
	rateForm: "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS\n" +
		"  -> RemoteAddress:Port\n",
	thresholdsForm: "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn \n" +
		"  -> RemoteAddress:Port\n",
	persistentForm: "Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn \n" +
		"  -> RemoteAddress:Port\n",
	tunnelForm: "Prot LocalAddress:Port Scheduler Flags\n" +
		"  -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn\n",
}

// A listing writes services with their counters.
type listing struct {
	printer
	format
	form     form
	counters map[string]control.Service // by protocol and address
}

func counterName(protocol, address string) string { return protocol + " " + address }

// services writes the title and the services.
func (l *listing) services(list []scheduler.ServiceSpec) {
	l.printf("%s", titles[l.form])
	for _, s := range list {
		counters := l.counters[counterName(control.ProtocolName(s.Protocol), s.Address.String())]
		l.service(s, counters)
		l.servers(s, counters)
	}
}

func (l *listing) service(s scheduler.ServiceSpec, counters control.Service) {
	name := pad(protocolTitle(s.Protocol), 4) + " " + l.virtual(s.Address, s.Protocol)
	if !s.Address.HasRange() {
		name = cut(name, 33)
	}
	switch l.form {
	case statsForm:
		l.printf("%-33s%s\n", name, l.traffic(counters.SinceZero))
	case rateForm:
		r := counters.Rate
		l.printf("%-33s%s\n", name, l.counts(r.Connections, r.RequestPackets, r.ReplyPackets, r.RequestBytes, r.ReplyBytes))
	default:
		l.printf("%s %s%s\n", name, s.Scheduler, details(s))
	}
}

// details is what a service line says after the scheduler.
func details(s scheduler.ServiceSpec) string {
	var b strings.Builder
	p := printer{w: &b}
	if names := config.FlagNames(s.Flags); len(names) > 0 {
		p.printf(" (%s)", strings.Join(names, ","))
	}
	if s.Persistence != 0 {
		p.printf(" persistent %d", s.Persistence/time.Second)
		if mask := maskOf(s); mask != "" {
			p.printf(" mask %s", mask)
		}
	}
	if s.OnePacket {
		p.printf(" ops")
	}
	return b.String()
}

func (l *listing) servers(s scheduler.ServiceSpec, counters control.Service) {
	byAddress := make(map[string]control.Realserver, len(counters.Realservers))
	for _, rs := range counters.Realservers {
		byAddress[rs.Address] = rs
	}
	for _, rs := range s.Realservers {
		name := cut(l.endpoint(rs.Address, s.Protocol), 28)
		c := byAddress[rs.Address.String()]
		switch l.form {
		case statsForm:
			l.printf("  -> %-28s%s\n", name, l.traffic(c.SinceZero))
		case rateForm:
			r := c.Rate
			l.printf("  -> %-28s %8d %8d %8d%s\n", name, r.Connections, r.RequestPackets, r.ReplyPackets, l.counts(r.RequestBytes, r.ReplyBytes))
		case thresholdsForm:
			l.printf("  -> %-28s %-10d %-10d %-10d %-10d\n", name, rs.Upper, rs.Lower, c.Active, c.Inactive)
		case persistentForm:
			l.printf("  -> %-28s %-9d %-11d %-10d %-10d\n", name, rs.Weight, c.Persistent, c.Active, c.Inactive)
		case tunnelForm:
			l.printf("  -> %-28s %-7s %-13s %-6d %-10d %-10d\n", name, "Masq", "n/a", rs.Weight, c.Active, c.Inactive)
		default:
			l.printf("  -> %-28s %-7s %-6d %-10d %-10d\n", name, "Masq", rs.Weight, c.Active, c.Inactive)
		}
	}
}

func (l *listing) traffic(t control.Traffic) string {
	return l.counts(t.Connections, t.RequestPackets, t.ReplyPackets, t.RequestBytes, t.ReplyBytes)
}

// ordered returns services and realservers as a listing has them: sorted, or
// realservers in the order in which schedulers see them, the newest first.
//
// Services with ranges come first. A program that knows only ipvsadm's lines,
// such as ldirectord, passes theirs over and would take the realservers below
// for those of the service before.
func ordered(services []scheduler.ServiceSpec, sorted bool) []scheduler.ServiceSpec {
	services = slices.Clone(services)
	for i := range services {
		servers := slices.Clone(services[i].Realservers)
		slices.Reverse(servers)
		if sorted {
			slices.SortStableFunc(servers, func(a, b scheduler.RealserverSpec) int { return compare(a.Address, b.Address) })
		}
		services[i].Realservers = servers
	}
	slices.SortStableFunc(services, func(a, b scheduler.ServiceSpec) int {
		if x, y := a.Address.HasRange(), b.Address.HasRange(); x != y {
			return map[bool]int{true: -1, false: 1}[x]
		}
		if !sorted {
			return 0
		}
		return cmp.Or(int(a.Protocol)-int(b.Protocol), compareServices(a.Address, b.Address))
	})
	return services
}

// compareServices orders addresses of services; ranges that begin together
// come with the smaller one first.
func compareServices(a, b scheduler.Address) int {
	_, lastA := a.Ports()
	_, lastB := b.Ports()
	return cmp.Or(
		compare(netip.AddrPortFrom(a.Addr(), a.Port()), netip.AddrPortFrom(b.Addr(), b.Port())),
		b.Prefix().Bits()-a.Prefix().Bits(),
		int(lastA)-int(lastB),
	)
}

// compare orders addresses as libipvs does (ipvs_cmp_services): by the
// difference of two unsigned numbers taken for a signed one, so that 192.168.0.0
// comes before 10.0.0.0.
func compare(a, b netip.AddrPort) int {
	x, y := a.Addr().As4(), b.Addr().As4()
	if d := int32(binary.BigEndian.Uint32(x[:]) - binary.BigEndian.Uint32(y[:])); d != 0 {
		return int(d)
	}
	return int(a.Port()) - int(b.Port())
}

func protocolTitle(protocol uint8) string {
	if protocol == udp {
		return "UDP"
	}
	return "TCP"
}

func pad(text string, n int) string { return text + strings.Repeat(" ", max(0, n-len(text))) }
