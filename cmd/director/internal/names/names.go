// Package names turns host and service names into addresses and ports and
// back, as the C library's resolver does for ipvsadm.
package names

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// servicesFile holds the names of ports (services(5)).
const servicesFile = "/etc/services"

// patience is how long one name server question may take. The C library
// would wait for 5 seconds, too (RES_TIMEOUT in resolv.conf(5)).
const patience = 5 * time.Second

// A System answers from the files and name servers of this box. The zero value
// is ready to use. It may be used concurrently.
type System struct {
	once     sync.Once
	services Services
}

// Host returns the first IPv4 address of a host.
func (s *System) Host(name string) (netip.Addr, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", name)
	if err != nil || len(list) == 0 {
		return netip.Addr{}, false
	}
	return list[0].Unmap(), true
}

// HostName returns the name of the host with that address, or nothing.
func (s *System) HostName(addr netip.Addr) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	list, err := net.DefaultResolver.LookupAddr(ctx, addr.String())
	if err != nil || len(list) == 0 {
		return ""
	}
	return strings.TrimSuffix(list[0], ".")
}

// Port returns the port of a named service; protocol is the IANA number.
func (s *System) Port(name string, protocol uint8) (uint16, bool) {
	return s.load().Port(name, protocol)
}

// PortName returns the name of a port's service, or nothing.
func (s *System) PortName(port uint16, protocol uint8) string {
	return s.load().PortName(port, protocol)
}

func (s *System) load() Services {
	s.once.Do(func() {
		// A box without the file has no names, which is no error for those
		// who write numbers.
		file, err := os.Open(servicesFile)
		if err != nil {
			return
		}
		defer file.Close()
		s.services = ReadServices(file)
	})
	return s.services
}

// Services are the names of ports, as services(5) lists them. They do not
// change after ReadServices.
type Services struct {
	ports map[named]uint16
	names map[numbered]string
}

type named struct {
	name     string
	protocol string
}

type numbered struct {
	port     uint16
	protocol string
}

// ReadServices reads lines of a name, port/protocol and aliases. Of two lines
// that say different things the first counts, as for getservbyname(3). Lines
// that are not understood are passed over.
func ReadServices(r io.Reader) Services {
	s := Services{ports: make(map[named]uint16), names: make(map[numbered]string)}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) < 2 {
			continue
		}
		number, protocol, _ := strings.Cut(fields[1], "/")
		port, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			continue
		}
		s.enter(uint16(port), protocol, append(fields[:1:1], fields[2:]...))
	}
	return s
}

// enter takes in one line; the first name is the one that listings show.
func (s Services) enter(port uint16, protocol string, names []string) {
	if _, known := s.names[numbered{port, protocol}]; !known {
		s.names[numbered{port, protocol}] = names[0]
	}
	for _, name := range names {
		if _, known := s.ports[named{name, protocol}]; !known {
			s.ports[named{name, protocol}] = port
		}
	}
}

// Port returns the port of a name or alias; protocol is the IANA number.
func (s Services) Port(name string, protocol uint8) (uint16, bool) {
	port, ok := s.ports[named{name, protocolName(protocol)}]
	return port, ok
}

// PortName returns the name of a port's service, or nothing.
func (s Services) PortName(port uint16, protocol uint8) string {
	return s.names[numbered{port, protocolName(protocol)}]
}

func protocolName(number uint8) string {
	switch number {
	case unix.IPPROTO_TCP:
		return "tcp"
	case unix.IPPROTO_UDP:
		return "udp"
	case unix.IPPROTO_SCTP:
		return "sctp"
	}
	return ""
}
