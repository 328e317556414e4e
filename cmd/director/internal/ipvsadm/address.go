package ipvsadm

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lvsnat/scheduler"
)

const (
	tcp  = unix.IPPROTO_TCP
	udp  = unix.IPPROTO_UDP
	sctp = unix.IPPROTO_SCTP
)

// A target names a virtual service or, without a mark, a realserver.
type target struct {
	protocol uint8
	addr     netip.Addr
	port     uint16
	mark     uint32            // of a service by firewall mark; 0: by address
	ranges   scheduler.Address // of a service with a range of addresses or ports, which begins with addr and port
}

// address is where a service is.
func (t target) address() scheduler.Address {
	if t.ranges.IsValid() {
		return t.ranges
	}
	return scheduler.AddressOf(netip.AddrPortFrom(t.addr, t.port))
}

// Names turns names into addresses and ports and back.
type Names interface {
	Host(name string) (netip.Addr, bool)
	HostName(addr netip.Addr) string // empty: none
	Port(name string, protocol uint8) (uint16, bool)
	PortName(port uint16, protocol uint8) string // empty: none
}

// parseTarget reads host[:port] into t and reports whether it could, and
// whether there was a port; without one, t keeps its port.
func parseTarget(text string, t *target, names Names) (ok, hasPort bool) {
	if strings.Trim(text, "0123456789") == "" {
		return false, false // a forgotten host, not the address that inet_aton makes of a number
	}
	host, port := text, ""
	bracketed := strings.HasPrefix(text, "[")
	if bracketed {
		host, port, ok = strings.Cut(text[1:], "]")
		if port, hasPort = strings.CutPrefix(port, ":"); !ok || !hasPort {
			return false, false
		}
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() && addr.Zone() == "" {
		t.addr = addr
	} else {
		// Between brackets the port goes lost, unless it stands there, too.
		i := strings.LastIndexByte(host, ':')
		if hasPort = i >= 0; hasPort {
			host, port = host[:i], host[i+1:]
		}
		if t.addr, ok = parseHost(host, names); !ok {
			return false, false
		}
	}
	if !hasPort {
		return true, false
	}
	t.port, ok = parsePort(port, t.protocol, names)
	return ok, true
}

// parseVirtual reads a service's host[:port] into t, of which the host may be a
// range of addresses, 192.168.1.96/28, and the port a range of ports, 5000-5999.
// ipvsadm knows neither.
func parseVirtual(text string, t *target, names Names) error {
	host, ports, hasPort := strings.Cut(text, ":")
	host, bits, hasBits := strings.Cut(host, "/")
	if !hasBits && !isPortRange(ports) {
		if ok, _ := parseTarget(text, t, names); !ok {
			return illegalVirtual("")
		}
		return nil
	}
	addr, ok := parseHost(host, names)
	if !ok || !addr.Is4() {
		return illegalVirtual("")
	}
	prefix, err := netip.PrefixFrom(addr, 32), error(nil)
	if hasBits {
		if prefix, err = netip.ParsePrefix(addr.String() + "/" + bits); err != nil {
			return illegalVirtual(fmt.Sprintf(": %q is not the length of a prefix such as 28", bits))
		}
	}
	var first, last uint16
	switch {
	case isPortRange(ports):
		if first, last, err = scheduler.ParsePorts(ports); err != nil {
			return illegalVirtual(": " + err.Error())
		}
	case hasPort:
		if first, ok = parsePort(ports, t.protocol, names); !ok {
			return illegalVirtual("")
		}
		last = first
	}
	if t.ranges, err = scheduler.RangeOf(prefix, first, last); err != nil {
		return illegalVirtual(": " + err.Error())
	}
	t.addr, t.port = t.ranges.Addr(), t.ranges.Port()
	return nil
}

func illegalVirtual(why string) error {
	return usage("illegal virtual server address[:port] specified%s", why)
}

// isPortRange reports whether it is two numbers with a hyphen between, and not
// a name such as ftp-data.
func isPortRange(text string) bool {
	first, last, ok := strings.Cut(text, "-")
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return ok && digits(first) && digits(last)
}

func parsePort(text string, protocol uint8, names Names) (uint16, bool) {
	if n, ok := number(text, 0, math.MaxUint16); ok {
		return uint16(n), true
	}
	return names.Port(text, protocol)
}

func parseHost(host string, names Names) (netip.Addr, bool) {
	if addr, ok := parseLoose(host); ok {
		return addr, true
	}
	if host == "" {
		return netip.Addr{}, false
	}
	return names.Host(host)
}

// parseLoose reads an IPv4 address as inet_aton(3) does: one to four numbers,
// decimal, octal or hexadecimal, of which the last fills what is left.
func parseLoose(text string) (netip.Addr, bool) {
	parts := strings.Split(text, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var addr uint64
	for i, part := range parts {
		if part == "" || strings.ContainsAny(part, "+-_oObB") && !strings.HasPrefix(strings.ToLower(part), "0x") {
			return netip.Addr{}, false
		}
		n, err := strconv.ParseUint(part, 0, 32)
		if err != nil {
			return netip.Addr{}, false
		}
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (5 - len(parts))
		}
		if n >= 1<<bits {
			return netip.Addr{}, false
		}
		addr = addr<<bits | n
	}
	return netip.AddrFrom4([4]byte{byte(addr >> 24), byte(addr >> 16), byte(addr >> 8), byte(addr)}), true
}

// number reads a decimal number from least to most as strtol(3) does, which
// passes over white space and takes a sign.
func number(text string, least, most int) (int, bool) {
	n, err := strconv.ParseInt(strings.TrimLeft(text, " \t\n\v\f\r"), 10, 64)
	if err != nil || n < int64(least) || n > int64(most) {
		return 0, false
	}
	return int(n), true
}

// parseMark reads a firewall mark.
func parseMark(text string) (uint32, error) {
	n, err := strconv.ParseInt(strings.TrimLeft(text, " \t\n\v\f\r"), 10, 64)
	if err != nil || n <= 0 || n > math.MaxUint32 {
		return 0, usage("invalid fwmark value `%s' specified", text)
	}
	return uint32(n), nil
}
