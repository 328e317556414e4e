package ipvsadm

import (
	"fmt"
	"strings"
	"time"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/control"
	"lvsnat/scheduler"
)

// numbersOnly writes rules that mean the same everywhere.
var numbersOnly = format{numeric: true}

// serviceArgument writes a service's name as rules have it.
func (f format) serviceArgument(s scheduler.ServiceSpec) string {
	return serviceOption(s.Protocol) + " " + f.virtual(s.Address, s.Protocol)
}

func serviceOption(protocol uint8) string {
	if protocol == udp {
		return "-u"
	}
	return "-t"
}

// serviceRule writes what the command after -A or -E has to say.
func (f format) serviceRule(s scheduler.ServiceSpec) string {
	text := fmt.Sprintf("%s -s %s", f.serviceArgument(s), s.Scheduler)
	if s.Persistence != 0 {
		text += fmt.Sprintf(" -p %d", s.Persistence/time.Second)
		if mask := maskOf(s); mask != "" {
			text += " -M " + mask
		}
	}
	if s.OnePacket {
		text += " -o"
	}
	if names := config.FlagNames(s.Flags); len(names) > 0 {
		text += " -b " + strings.Join(names, ",")
	}
	return text
}

// serverRule writes what the command after -a or -e has to say. Thresholds are
// written when there are any; ipvsadm loses them.
func (f format) serverRule(s scheduler.ServiceSpec, rs scheduler.RealserverSpec) string {
	text := fmt.Sprintf("%s -r %s -m -w %d", f.serviceArgument(s), f.endpoint(rs.Address, s.Protocol), rs.Weight)
	if rs.Upper != 0 {
		text += fmt.Sprintf(" -x %d", rs.Upper)
	}
	if rs.Lower != 0 {
		text += fmt.Sprintf(" -y %d", rs.Lower)
	}
	return text
}

// maskOf writes the netmask of a persistent service, nothing when it tells each
// client from all others.
func maskOf(s scheduler.ServiceSpec) string {
	if s.Netmask == 0 || s.Netmask == allOnes {
		return ""
	}
	return control.Addr(s.Netmask).String()
}

// writeRules writes the commands that make the services.
func (f format) writeRules(p *printer, services []scheduler.ServiceSpec) {
	for _, s := range services {
		p.printf("-A %s\n", f.serviceRule(s))
		for _, rs := range s.Realservers {
			p.printf("-a %s\n", f.serverRule(s, rs))
		}
	}
}
