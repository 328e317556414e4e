package config

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"lvsnat/scheduler"
)

// minPrefix is the shortest prefix of a service's range of addresses.
const minPrefix = 32 - scheduler.MaxRangeBits

// A virtual is the address of a service with the place where it stands in the
// file. The zero value stands for one that is missing or was refused.
type virtual struct {
	scheduler.Address
	line, column int
}

// An endpoint is the address of a realserver with the place where it stands in
// the file. The zero value stands for one that is missing or was refused.
type endpoint struct {
	addr         netip.Addr
	port         uint16 // 0: none is written
	line, column int
}

// String writes the endpoint as in the file.
func (e endpoint) String() string {
	if e.port == 0 {
		return e.addr.String()
	}
	return netip.AddrPortFrom(e.addr, e.port).String()
}

// endpoint reads an IPv4 address of a host, with or without a port.
func (v value) endpoint(to *endpoint) {
	text, ok := v.text()
	if !ok {
		return
	}
	hostText, portText, hasPort, ok := v.parts(text)
	if !ok {
		return
	}
	addr, ok := v.host(hostText)
	if !ok {
		return
	}
	var port uint16
	if hasPort {
		if port, ok = v.port(portText); !ok {
			return
		}
	}
	*to = endpoint{addr: addr, port: port, line: v.line, column: v.column}
}

// virtual reads the address of a service: an IPv4 address or a range of them,
// and a port or a range of ports. Port 0 stands for all ports that no other
// service has.
func (v value) virtual(to *virtual) {
	text, ok := v.text()
	if !ok {
		return
	}
	hostText, portText, hasPort, ok := v.parts(text)
	if !ok {
		return
	}
	prefix, ok := v.prefix(hostText)
	if !ok {
		return
	}
	if !hasPort {
		v.fail(fmt.Sprintf("address %s has no port", hostText), fmt.Sprintf("write %s:80, with the port that clients connect to", hostText))
		return
	}
	first, last, ok := v.ports(portText)
	if !ok {
		return
	}
	address, err := scheduler.RangeOf(prefix, first, last)
	var wrong *scheduler.AddressError
	if errors.As(err, &wrong) {
		v.fail(fmt.Sprintf("%s %q: %s", v.name, text, wrong.Problem), wrong.Remedy)
		return
	}
	*to = virtual{address, v.line, v.column}
}

// parts takes an address and what may follow its colon apart.
func (v value) parts(text string) (host, port string, hasPort, ok bool) {
	if strings.Count(text, ":") > 1 {
		v.fail(fmt.Sprintf("%s %q is not IPv4, and IPv6 is not supported yet", v.name, text), "")
		return "", "", false, false
	}
	host, port, hasPort = strings.Cut(text, ":")
	return host, port, hasPort, true
}

// prefix reads an address of a host, or a range of them.
func (v value) prefix(text string) (netip.Prefix, bool) {
	hostText, bitsText, isRange := strings.Cut(text, "/")
	addr, ok := v.host(hostText)
	if !ok || !isRange {
		return netip.PrefixFrom(addr, 32), ok
	}
	bits, err := strconv.ParseUint(bitsText, 10, 8)
	if err != nil || bits > 32 || bitsText[0] == '0' && bitsText != "0" {
		v.fail(fmt.Sprintf("%s %q has a prefix length of %q", v.name, text, bitsText), fmt.Sprintf("write a number from %d to 32", minPrefix))
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(addr, int(bits)), true
}

// host reads an IPv4 address that a host can have.
func (v value) host(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		v.fail(fmt.Sprintf("%s %q is not an IPv4 address, and names are not looked up", v.name, text), "")
		return netip.Addr{}, false
	}
	if why := unusable(addr); why != "" {
		v.fail(fmt.Sprintf("%s %v is %s", v.name, addr, why), "write the address of one host")
		return netip.Addr{}, false
	}
	return addr, true
}

// ports reads the port of a service, 0 for all, or a range of ports.
func (v value) ports(text string) (first, last uint16, ok bool) {
	if text == "0" {
		return 0, 0, true
	}
	if !strings.Contains(text, "-") {
		first, ok = v.port(text)
		return first, first, ok
	}
	first, last, err := scheduler.ParsePorts(text)
	if err != nil {
		v.fail(fmt.Sprintf("%s has the ports %q", v.name, text), "write a range such as 5000-5999")
		return 0, 0, false
	}
	return first, last, true
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

// broadcast is the address of all hosts of a network (RFC 919).
var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

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
	case addr == broadcast:
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
