package importer

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lvsnat/scheduler"
)

// unneeded are the keys of a lvs_nat.conf that the director has no use for, and
// why.
var unneeded = map[string]string{
	"LVSCONF_FORMAT":      "the file is read by its keys",
	"INITIAL_STATE":       "a director that runs forwards",
	"CLEAR_IPVS_TABLES":   "the configuration is the whole state",
	"DIRECTOR_DEFAULT_GW": "routes are the box's own: set its default gateway there",
	"SERVER_NET_DEVICE":   "nothing is to be done on realservers but their default gateway",
	"SERVER_DEFAULT_GW":   "set the director's address on the realservers' network as their default gateway there",
}

// howto reads the lvs_nat.conf of the LVS-HOWTO's configure script: KEY=words on
// each line, remarks after #.
func (i *importer) howto(text []byte) error {
	var vip netip.Addr
	type line struct {
		number int
		words  []string
	}
	var services []line
	number := 0
	for raw := range strings.Lines(string(text)) {
		number++
		statement, _, _ := strings.Cut(raw, "#")
		key, value, ok := strings.Cut(strings.TrimSpace(statement), "=")
		words := strings.Fields(value)
		switch {
		case key == "":
		case !ok || len(words) == 0:
			i.note(number, "ignored: %q is not KEY=value", strings.TrimSpace(statement))
		case key == "LVS_TYPE" && words[0] != "VS_NAT":
			return fmt.Errorf("%s:%d: LVS_TYPE=%s: the director is for VS_NAT", i.file, number, words[0])
		case key == "LVS_TYPE":
		case key == "VIP" && vip.IsValid():
			return fmt.Errorf("%s:%d: VIP: a second one: import a file for each", i.file, number)
		case key == "VIP" && len(words) > 1:
			i.config.VIPNIC = nicOf(words[0])
			var ok bool
			if vip, ok = i.host(words[1]); !ok {
				return fmt.Errorf("%s:%d: VIP: no host is known by the name %s: name a hosts file that has it with --hosts", i.file, number, words[1])
			}
			if words[0] != i.config.VIPNIC || len(words) > 2 {
				i.note(number, "VIP: all but the NIC and the address ignored: the director answers ARP for a VIP that the box does not have")
			}
		case key == "DIP":
			i.config.DIPNIC = nicOf(words[0])
			i.note(number, "DIP: all but the NIC ignored: give it that address, which is the realservers' default gateway, by the box's own means")
		case key == "SERVICE":
			services = append(services, line{number, words})
		case unneeded[key] != "":
			i.note(number, "%s ignored: %s", key, unneeded[key])
		default:
			i.note(number, "%s ignored: the key is not known", key)
		}
	}
	if !vip.IsValid() {
		return fmt.Errorf("%s: has no VIP=NIC ADDRESS", i.file)
	}
	if i.config.DIPNIC == "" {
		i.config.DIPNIC = i.config.VIPNIC
		i.note(0, "has no DIP: dip_nic is %s, as vip_nic", i.config.VIPNIC)
	}
	for _, s := range services {
		if err := i.howtoService(vip, s.words); err != nil {
			return fmt.Errorf("%s:%d: SERVICE: %w", i.file, s.number, err)
		}
	}
	return nil
}

// nicOf leaves out the label of an alias: eth0:110 is an address of eth0.
func nicOf(device string) string {
	nic, _, _ := strings.Cut(device, ":")
	return nic
}

func (i *importer) host(name string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(name); err == nil {
		return addr, true
	}
	return i.names.Host(name)
}

func (i *importer) port(name string, protocol uint8) (uint16, bool) {
	if n, err := strconv.ParseUint(name, 10, 16); err == nil && n > 0 {
		return uint16(n), true
	}
	return i.names.Port(name, protocol)
}

// howtoService reads the words of t telnet rr RS1:telnet,2 RS2 ...
func (i *importer) howtoService(vip netip.Addr, words []string) error {
	if len(words) < 3 {
		return fmt.Errorf("has %d words: write t or u, a port, a scheduler and realservers", len(words))
	}
	protocols := map[string]uint8{"t": unix.IPPROTO_TCP, "u": unix.IPPROTO_UDP}
	protocol, ok := protocols[words[0]]
	if !ok {
		return fmt.Errorf("is of the kind %q: the director has t (TCP) and u (UDP)", words[0])
	}
	port, ok := i.port(words[1], protocol)
	if !ok {
		return fmt.Errorf("no port is known by the name %s", words[1])
	}
	if !slices.Contains(scheduler.Names(), words[2]) {
		return fmt.Errorf("the scheduler %s is not known", words[2])
	}
	spec := scheduler.ServiceSpec{Address: scheduler.AddressOf(netip.AddrPortFrom(vip, port)), Protocol: protocol, Scheduler: words[2]}
	for _, word := range words[3:] {
		rs, err := i.howtoServer(word, spec)
		if err != nil {
			return err
		}
		spec.Realservers = append(spec.Realservers, rs)
	}
	i.config.Services = append(i.config.Services, spec)
	return nil
}

// howtoServer reads host[:port][,weight].
func (i *importer) howtoServer(word string, service scheduler.ServiceSpec) (scheduler.RealserverSpec, error) {
	rs := scheduler.RealserverSpec{Weight: 1}
	where, weight, hasWeight := strings.Cut(word, ",")
	if hasWeight {
		var err error
		if rs.Weight, err = strconv.Atoi(weight); err != nil || rs.Weight < 0 {
			return rs, fmt.Errorf("the realserver %s has the weight %q", word, weight)
		}
	}
	host, portName, hasPort := strings.Cut(where, ":")
	addr, ok := i.host(host)
	if !ok {
		return rs, fmt.Errorf("no host is known by the name %s: name a hosts file that has it with --hosts", host)
	}
	port := service.Address.Port()
	if hasPort {
		if port, ok = i.port(portName, service.Protocol); !ok {
			return rs, fmt.Errorf("the realserver %s: no port is known by the name %s", word, portName)
		}
	}
	rs.Address = netip.AddrPortFrom(addr, port)
	return rs, nil
}
