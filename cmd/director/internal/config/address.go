package config

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// An endpoint is an address of the file with the place where it stands. The
// zero value stands for one that is missing or was refused.
type endpoint struct {
	addr         netip.Addr
	port         uint16 // 0: none is written, or 0 itself
	allPorts     bool   // port 0 is written
	line, column int
}

// String writes the endpoint as in the file.
func (e endpoint) String() string {
	if e.port == 0 && !e.allPorts {
		return e.addr.String()
	}
	return netip.AddrPortFrom(e.addr, e.port).String()
}

// endpoint reads an IPv4 address of a host, with or without a port.
func (v value) endpoint(to *endpoint) bool {
	text, ok := v.text()
	return ok && v.endpointOf(text, to)
}

// service reads the address of a service, which may have the port 0: all ports
// that no other service has.
func (v value) service(to *endpoint) bool {
	text, ok := v.text()
	if !ok {
		return false
	}
	host, all := strings.CutSuffix(text, ":0")
	if !v.endpointOf(host, to) {
		return false
	}
	to.allPorts = all
	return true
}

func (v value) endpointOf(text string, to *endpoint) bool {
	if strings.Count(text, ":") > 1 {
		v.fail(fmt.Sprintf("%s %q is not IPv4, and IPv6 is not supported yet", v.name, text), "")
		return false
	}
	host, portText, hasPort := strings.Cut(text, ":")
	addr, err := netip.ParseAddr(host)
	if err != nil {
		v.fail(fmt.Sprintf("%s %q is not an IPv4 address, and names are not looked up", v.name, host), "")
		return false
	}
	if why := unusable(addr); why != "" {
		v.fail(fmt.Sprintf("%s %v is %s", v.name, addr, why), "write the address of one host")
		return false
	}
	var port uint16
	if hasPort {
		var ok bool
		if port, ok = v.port(portText); !ok {
			return false
		}
	}
	*to = endpoint{addr: addr, port: port, line: v.line, column: v.column}
	return true
}

// port reads a decimal port other than 0.
func (v value) port(text string) (uint16, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || text[0] == '0' {
		v.fail(fmt.Sprintf("%s has the port %q", v.name, text), "write a port from 1 to 65535")
		return 0, false
	}
	return uint16(n), true
}

// unusable tells why no packet can go to a single host by that address, or
// returns nothing (RFC 1122, section 3.2.1.3).
func unusable(addr netip.Addr) string {
	switch {
	case addr.As4()[0] == 0:
		return "of 0.0.0.0/8, which stands for no host"
	case addr.IsLoopback():
		return "a loopback address, which never leaves a box"
	case addr.IsMulticast():
		return "a multicast address"
	case addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "the broadcast address"
	}
	return ""
}

// A netmask says which clients count as one.
type netmask struct {
	bits         uint32 // host order; 0: each client for itself
	line, column int
}

// String writes the netmask in dotted notation.
func (m netmask) String() string {
	return netip.AddrFrom4([4]byte{byte(m.bits >> 24), byte(m.bits >> 16), byte(m.bits >> 8), byte(m.bits)}).String()
}

// netmask reads a mask in dotted notation. As in IPVS its bits need not be
// contiguous.
func (v value) netmask(to *netmask) {
	text, ok := v.text()
	if !ok {
		return
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || !addr.Is4() {
		v.fail(fmt.Sprintf("%s %q is not a netmask", v.name, text), "")
		return
	}
	b := addr.As4()
	bits := binary.BigEndian.Uint32(b[:])
	if bits == 0 {
		v.fail("netmask 0.0.0.0 would bind all clients together to one realserver", "write a longer one, or list that realserver alone")
		return
	}
	if bits == math.MaxUint32 {
		bits = 0
	}
	*to = netmask{bits, v.line, v.column}
}

// listener reads the address and port that the director itself listens on.
// Nothing, or an empty text, means that it does not.
func (v value) listener(to *string) {
	if v.empty() {
		*to = ""
		return
	}
	text, ok := v.text()
	if !ok {
		return
	}
	if text == "" {
		*to = ""
		return
	}
	addr, err := netip.ParseAddrPort(text)
	if err != nil || addr.Port() == 0 {
		v.fail(fmt.Sprintf("%s %q is not an address with a port", v.name, text), fmt.Sprintf("write %s, or %s: \"\" for none", v.example, v.name))
		return
	}
	*to = addr.String()
}

// nic reads the name of a network interface. The rules are the kernel's
// (dev_valid_name in net/core/dev.c), and printable characters besides.
func (v value) nic(to *string) {
	name, ok := v.text()
	if !ok {
		return
	}
	invisible := func(r rune) bool { return !unicode.IsPrint(r) || unicode.IsSpace(r) }
	switch nic, label, found := strings.Cut(name, ":"); {
	case found && label != "" && nic != "":
		v.fail(fmt.Sprintf("%s %q is the label of an address", v.name, name), fmt.Sprintf("write the NIC, %s: %s", v.name, nic))
	case name == "lo":
		v.fail(fmt.Sprintf("%s is lo, which no packet from another machine comes by", v.name), "")
	case len(name) > 15:
		v.fail(fmt.Sprintf("%s %q is longer than the 15 bytes of a NIC's name", v.name, name), "")
	case name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/:") || strings.ContainsFunc(name, invisible):
		v.fail(fmt.Sprintf("%s %q is not the name of a NIC", v.name, name), "")
	default:
		*to = name
	}
}
