package scheduler

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// An Address is where clients find a virtual service: one address and port, as
// in IPVS, or ranges of either or both. Addresses are comparable. The zero
// value is none.
type Address struct {
	prefix      netip.Prefix // masked; of the full length for one address
	first, last uint16       // both 0: all ports
}

// An AddressError says what is wrong with an address.
type AddressError struct {
	Problem string
	Remedy  string // what would be right
}

// Error gives both.
func (e *AddressError) Error() string { return e.Problem + "; " + e.Remedy }

// AddressOf is the Address of one address and port; port 0 stands for all
// ports.
func AddressOf(a netip.AddrPort) Address {
	return Address{netip.PrefixFrom(a.Addr(), a.Addr().BitLen()), a.Port(), a.Port()}
}

// RangeOf is the Address of all addresses of a prefix and all ports from first
// to last; 0 to 0 stands for all ports. The error says what is wrong and what
// would be right.
func RangeOf(prefix netip.Prefix, first, last uint16) (Address, error) {
	var e *AddressError
	switch {
	case !prefix.IsValid():
		e = &AddressError{"it is no range of addresses", "write one as 192.168.1.96/28"}
	case prefix != prefix.Masked():
		e = &AddressError{fmt.Sprintf("%v is not the first address of its range", prefix.Addr()), fmt.Sprintf("write %v", prefix.Masked())}
	case first > last:
		e = &AddressError{fmt.Sprintf("the ports %d-%d end before they begin", first, last), fmt.Sprintf("write %d-%d", last, first)}
	case first == 0 && last != 0:
		e = &AddressError{fmt.Sprintf("the ports 0-%d begin at 0, which is no port", last), fmt.Sprintf("write 1-%d, or 0 for all ports", last)}
	}
	if e != nil {
		return Address{}, e
	}
	return Address{prefix, first, last}, nil
}

// ParseAddress reads an Address as String writes it.
func ParseAddress(text string) (Address, error) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return Address{}, fmt.Errorf("%q has no port; write %s:80, with the port that clients connect to", text, text)
	}
	host, ports := text[:i], text[i+1:]
	prefix, err := parsePrefix(host)
	if err != nil {
		return Address{}, fmt.Errorf("%q is not an address or a range of addresses: %w", host, err)
	}
	first, last, err := ParsePorts(ports)
	if err != nil {
		return Address{}, err
	}
	a, err := RangeOf(prefix, first, last)
	if err != nil {
		return Address{}, fmt.Errorf("%q: %w", text, err)
	}
	return a, nil
}

// MustParseAddress is ParseAddress for texts in the source: it panics when they
// are wrong.
func MustParseAddress(text string) Address {
	a, err := ParseAddress(text)
	if err != nil {
		panic(err)
	}
	return a
}

func parsePrefix(host string) (netip.Prefix, error) {
	if strings.Contains(host, "/") {
		return netip.ParsePrefix(host)
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return netip.PrefixFrom(addr, addr.BitLen()), err
}

// ParsePorts reads a port, or the first and the last one of a range with a
// hyphen between. It takes decimal digits alone and leaves the order to
// RangeOf.
func ParsePorts(text string) (first, last uint16, err error) {
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	for _, end := range []struct {
		digits string
		port   *uint16
	}{{low, &first}, {high, &last}} {
		n, err := strconv.ParseUint(end.digits, 10, 16)
		if err != nil || end.digits != "0" && end.digits[0] == '0' {
			return 0, 0, fmt.Errorf("%q is neither a port nor a range of ports; write 80 or 5000-5999", text)
		}
		*end.port = uint16(n)
	}
	return first, last, nil
}

// Addr is the address, of a range the first one.
func (a Address) Addr() netip.Addr { return a.prefix.Addr() }

// Prefix holds the address, or all addresses of a range.
func (a Address) Prefix() netip.Prefix { return a.prefix }

// Port is the port in host order, of a range the first one; 0: all ports.
func (a Address) Port() uint16 { return a.first }

// Ports are the first and the last port in host order, both included.
func (a Address) Ports() (first, last uint16) {
	if a.AllPorts() {
		return 0, math.MaxUint16
	}
	return a.first, a.last
}

// IsValid reports whether a is an address at all.
func (a Address) IsValid() bool { return a.prefix.IsValid() }

// AllPorts reports whether the service has all ports.
func (a Address) AllPorts() bool { return a.last == 0 }

// ManyPorts reports whether it has more than one port, so that a realserver
// without a port of its own gets the one that the client asked for.
func (a Address) ManyPorts() bool { return a.AllPorts() || a.first != a.last }

// ManyAddrs reports whether it has more than one address.
func (a Address) ManyAddrs() bool { return a.IsValid() && !a.prefix.IsSingleIP() }

// HasRange reports whether it has a range of addresses or ports, which IPVS
// does not know.
func (a Address) HasRange() bool { return a.ManyAddrs() || a.first != a.last }

// String writes the address as 192.168.1.110:80, 192.168.1.110:0 for all ports,
// 192.168.1.110:5000-5999, 192.168.1.96/28:80 or with both ranges.
func (a Address) String() string {
	if !a.HasRange() {
		return netip.AddrPortFrom(a.Addr(), a.first).String()
	}
	host := a.HostText()
	if a.Addr().Is6() {
		host = "[" + host + "]"
	}
	return host + ":" + a.PortText()
}

// HostText writes the address, or the prefix of a range, without ports.
func (a Address) HostText() string {
	if a.ManyAddrs() {
		return a.prefix.String()
	}
	return a.Addr().String()
}

// PortText writes the port, or the first and the last one of a range.
func (a Address) PortText() string {
	text := strconv.Itoa(int(a.first))
	if a.first != a.last {
		text += "-" + strconv.Itoa(int(a.last))
	}
	return text
}

// A Key names a virtual service by its protocol, addresses and ports in host
// order. With one address and one port it is also what a packet asks for.
type Key struct {
	Addr     uint32 // of a range the first one
	Port     uint16 // of a range the first one; 0: all ports that no other service of the address has
	LastPort uint16 // of a range; 0: there is no other port than Port
	Protocol uint8  // IANA number: 6 TCP, 17 UDP
	HostBits uint8  // the number of low bits that tell the addresses of a range apart; 0: Addr alone
}

// Key names the service. Its address must be an IPv4 one.
func (s ServiceSpec) Key() Key {
	first, last := s.Address.first, s.Address.last
	if first == last {
		last = 0
	}
	return Key{
		Addr: hostOrder(s.Address.Addr()), HostBits: uint8(32 - s.Address.prefix.Bits()),
		Port: first, LastPort: last, Protocol: s.Protocol,
	}
}

// Address is the service's address.
func (k Key) Address() Address {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], k.Addr)
	prefix := netip.PrefixFrom(netip.AddrFrom4(b), 32-int(k.HostBits))
	return Address{prefix, k.Port, max(k.Port, k.LastPort)}
}

// Origin is where the replies of a realserver of the service come from: its own
// port, or all ports of the service when it has none.
func (k Key) Origin(realserver netip.AddrPort) Address {
	if realserver.Port() != 0 {
		return AddressOf(realserver)
	}
	a := k.Address()
	a.prefix = netip.PrefixFrom(realserver.Addr(), realserver.Addr().BitLen())
	return a
}

// ports are the first and the last port, both included.
func (k Key) ports() (first, last uint16) { return k.Address().Ports() }

// exact reports whether the service has a single address and port.
func (k Key) exact() bool { return k.HostBits == 0 && k.LastPort == 0 && k.Port != 0 }

// mask covers the bits that all addresses of the service have in common.
func (k Key) mask() uint32 { return math.MaxUint32 << k.HostBits }

func hostOrder(addr netip.Addr) uint32 {
	b := addr.As4()
	return binary.BigEndian.Uint32(b[:])
}
