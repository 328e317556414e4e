package importer

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/scheduler"
)

// defaultPersistence is keepalived's, and ipvsadm's.
const defaultPersistence = 360 * time.Second

// keepalived reads the virtual servers of a keepalived.conf, and the timeouts.
func (i *importer) keepalived(text []byte) error {
	list, err := readBlocks(string(text))
	if err != nil {
		return fmt.Errorf("%s:%w", i.file, err)
	}
	for _, s := range list {
		switch s.words[0] {
		case "virtual_server":
			i.virtualServer(s)
		case "global_defs":
			i.globals(s.block)
		default:
			i.note(s.line, "%s ignored: it is not about a virtual server", s.words[0])
		}
	}
	return nil
}

func (i *importer) globals(block []statement) {
	for _, s := range block {
		if s.words[0] != "lvs_timeouts" {
			i.note(s.line, "%s ignored: it is not about a virtual server", s.words[0])
			continue
		}
		for pair := range slices.Chunk(s.words[1:], 2) {
			if err := i.timeout(pair); err != nil {
				i.note(s.line, "lvs_timeouts %s ignored: %v", strings.Join(pair, " "), err)
			}
		}
	}
}

// timeout takes one of the three timeouts, a name and a number.
func (i *importer) timeout(pair []string) error {
	t := i.config.Timeouts
	field := map[string]*time.Duration{"tcp": &t.TCP, "tcpfin": &t.TCPFIN, "udp": &t.UDP}[pair[0]]
	n, ok := numberOf(pair, 1)
	if !ok || field == nil {
		return errors.New("write tcp, tcpfin or udp and seconds")
	}
	*field = time.Duration(n) * time.Second
	if err := config.CheckTimeouts(t); err != nil {
		return err
	}
	i.config.Timeouts = t
	return nil
}

// virtualServer reads one block; a service that the director cannot have is
// left out as a whole.
func (i *importer) virtualServer(s statement) {
	if len(s.words) != 3 || s.words[1] == "fwmark" || s.words[1] == "group" {
		i.note(s.line, "%s ignored: the director has services by address and port, not by firewall mark or group", strings.Join(s.words, " "))
		return
	}
	v := virtualServer{spec: scheduler.ServiceSpec{Protocol: unix.IPPROTO_TCP, Scheduler: "wlc"}, weight: 1}
	// These decide what the others mean, wherever they stand.
	for _, option := range s.block {
		n, isNumber := numberOf(option.words, 1)
		switch {
		case option.words[0] == "protocol" && len(option.words) > 1 && strings.EqualFold(option.words[1], "udp"):
			v.spec.Protocol = unix.IPPROTO_UDP
		case option.words[0] == "weight" && isNumber:
			v.weight = n
		}
	}
	address, err := i.endpoint(s.words[1:], v.spec.Protocol)
	if err != nil {
		i.note(s.line, "%s ignored: %v", strings.Join(s.words, " "), err)
		return
	}
	v.spec.Address = scheduler.AddressOf(address)
	ignored := func(line int, err error) {
		i.note(line, "%s %s %s ignored as a whole: %v", s.words[0], s.words[1], s.words[2], err)
	}
	for _, option := range s.block {
		if err := i.serviceOption(&v, option); err != nil {
			ignored(option.line, err)
			return
		}
	}
	i.complete(&v)
	if err := i.allows(v.spec); err != nil {
		ignored(s.line, err)
		return
	}
	i.config.Services = append(i.config.Services, v.spec)
}

// A virtualServer is what is known of a block.
type virtualServer struct {
	spec   scheduler.ServiceSpec
	weight int         // of realservers that have none of their own
	flags  []statement // of a scheduler that may be named later
}

// complete does what depends on more than one option.
func (i *importer) complete(v *virtualServer) {
	for _, s := range v.flags {
		name := cmp.Or(config.NumberedFlag(v.spec.Scheduler, s.words[0]), s.words[0])
		if config.SetFlag(new(scheduler.Flags), name) != v.spec.Scheduler {
			i.note(s.line, "%s ignored: it means nothing to the scheduler %s", s.words[0], v.spec.Scheduler)
			continue
		}
		config.SetFlag(&v.spec.Flags, name)
	}
	if v.spec.Netmask != 0 && v.spec.Persistence == 0 {
		v.spec.Persistence = defaultPersistence // so keepalived's pgr_handler
	}
}

// allows holds a service, beside those before it, to the rules of a
// configuration.
func (i *importer) allows(spec scheduler.ServiceSpec) error {
	c := i.config
	c.Services = append(slices.Clip(c.Services), spec)
	if err := config.Check(&c); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

// errNotMasqueraded is why a whole service is left out.
var errNotMasqueraded = errors.New("the director only masquerades (lb_kind NAT)")

// serviceOption reads one line of a virtual server. An error leaves out the
// whole service.
func (i *importer) serviceOption(v *virtualServer, s statement) error {
	value := ""
	if len(s.words) > 1 {
		value = s.words[1]
	}
	spec := &v.spec
	switch name := s.words[0]; name {
	case "lb_algo", "lvs_sched":
		if !slices.Contains(scheduler.Names(), value) {
			return fmt.Errorf("the scheduler %q is not known", value)
		}
		spec.Scheduler = value
	case "lb_kind", "lvs_method":
		if value != "NAT" {
			return errNotMasqueraded
		}
	case "protocol":
		if !strings.EqualFold(value, "tcp") && !strings.EqualFold(value, "udp") {
			return fmt.Errorf("the protocol %s is not supported", value)
		}
	case "ops":
		if spec.Protocol != unix.IPPROTO_UDP {
			i.note(s.line, "ops ignored: it is for UDP") // ip_vs_schedule in ip_vs_core.c
			return nil
		}
		spec.OnePacket = true
	case "persistence_timeout":
		spec.Persistence = defaultPersistence
		if n, ok := numberOf(s.words, 1); ok {
			spec.Persistence = time.Duration(n) * time.Second
		}
	case "persistence_granularity":
		addr, err := netip.ParseAddr(value)
		if err != nil || !addr.Is4() {
			return fmt.Errorf("persistence_granularity %q is not a netmask", value)
		}
		b := addr.As4()
		spec.Netmask = binary.BigEndian.Uint32(b[:])
	case "weight":
		if _, ok := numberOf(s.words, 1); !ok {
			i.note(s.line, "%s ignored: write a number", strings.Join(s.words, " "))
		}
	case "real_server":
		i.realServer(v, s)
	case "flag-1", "flag-2", "flag-3", "sh-port", "sh-fallback", "mh-port", "mh-fallback":
		v.flags = append(v.flags, s)
	default:
		i.note(s.line, "%s ignored: %s", name, whyIgnored(name))
	}
	return nil
}

func (i *importer) realServer(v *virtualServer, s statement) {
	spec := &v.spec
	rs := scheduler.RealserverSpec{Weight: v.weight}
	var err error
	if rs.Address, err = i.endpoint(s.words[1:], spec.Protocol); err != nil {
		i.note(s.line, "%s ignored: %v", strings.Join(s.words, " "), err)
		return
	}
	if rs.Address.Port() == 0 {
		rs.Address = netip.AddrPortFrom(rs.Address.Addr(), spec.Address.Port())
	}
	fields := map[string]*int{"weight": &rs.Weight, "uthreshold": &rs.Upper, "lthreshold": &rs.Lower}
	for _, option := range s.block {
		name := option.words[0]
		n, ok := numberOf(option.words, 1)
		switch field := fields[name]; {
		case field != nil && ok:
			*field = n
		case field != nil:
			i.note(option.line, "%s ignored: write a number", strings.Join(option.words, " "))
		case (name == "lb_kind" || name == "lvs_method") && len(option.words) > 1 && option.words[1] != "NAT":
			i.note(s.line, "%s ignored: %v", strings.Join(s.words, " "), errNotMasqueraded)
			return
		default:
			i.note(option.line, "%s ignored: %s", name, whyIgnored(name))
		}
	}
	spec.Realservers = append(spec.Realservers, rs)
}

// endpoint reads an address and, unless it is left out, a port.
func (i *importer) endpoint(words []string, protocol uint8) (netip.AddrPort, error) {
	if len(words) == 0 {
		return netip.AddrPort{}, errors.New("there is no address")
	}
	addr, err := netip.ParseAddr(words[0])
	if err != nil || !addr.Is4() {
		return netip.AddrPort{}, fmt.Errorf("%s is not an IPv4 address", words[0])
	}
	if len(words) == 1 || words[1] == "0" {
		return netip.AddrPortFrom(addr, 0), nil
	}
	port, ok := i.port(words[1], protocol)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("no port is known by the name %s", words[1])
	}
	return netip.AddrPortFrom(addr, port), nil
}

// numberOf reads one word as a number that is not negative.
func numberOf(words []string, at int) (int, bool) {
	if at >= len(words) {
		return 0, false
	}
	n, err := strconv.Atoi(words[at])
	return n, err == nil && n >= 0
}

// whyIgnored explains what becomes of a keepalived option.
func whyIgnored(name string) string {
	switch {
	case strings.HasSuffix(name, "_CHECK"), name == "HTTP_GET", name == "SSL_GET",
		slices.Contains([]string{"delay_loop", "connect_timeout", "retry", "delay_before_retry", "warmup", "alpha", "omega", "inhibit_on_failure"}, name):
		return "the director does not check realservers: run ldirectord with it, or change weights with director ipvsadm"
	case strings.HasPrefix(name, "sorry_server"), strings.HasPrefix(name, "quorum"), name == "hysteresis":
		return "the director has no server for when all others fail"
	case strings.HasPrefix(name, "notify"), name == "smtp_alert", name == "snmp_name":
		return "the director tells nobody about realservers"
	}
	return "it has no counterpart"
}
