package ipvsadm

import (
	"math"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
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
	mark     uint32 // of a service by firewall mark; 0: by address
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
	if n, ok := number(port, 0, math.MaxUint16); ok {
		t.port = uint16(n)
		return true, true
	}
	t.port, ok = names.Port(port, t.protocol)
	return ok, true
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
