package names

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const file = `# names of ports
http		80/tcp		www		# WorldWideWeb
www2		80/tcp
domain		53/tcp
domain		53/udp
http-alt	8080/tcp	webcache
webcache	9999/tcp
broken
tooBig		70000/tcp
`

func TestServicesAreFoundByNameAliasAndNumber(t *testing.T) {
	s := ReadServices(strings.NewReader(file))
	for _, test := range []struct {
		name     string
		protocol uint8
		port     uint16
		ok       bool
	}{
		{"http", unix.IPPROTO_TCP, 80, true},
		{"www", unix.IPPROTO_TCP, 80, true},
		{"www2", unix.IPPROTO_TCP, 80, true},
		{"http", unix.IPPROTO_UDP, 0, false},
		{"domain", unix.IPPROTO_UDP, 53, true},
		{"webcache", unix.IPPROTO_TCP, 8080, true}, // the first line counts
		{"broken", unix.IPPROTO_TCP, 0, false},
		{"tooBig", unix.IPPROTO_TCP, 0, false},
		{"WorldWideWeb", unix.IPPROTO_TCP, 0, false},
		{"http", 0, 0, false},
	} {
		if port, ok := s.Port(test.name, test.protocol); port != test.port || ok != test.ok {
			t.Errorf("%s of protocol %d: port %d, %v; want %d, %v", test.name, test.protocol, port, ok, test.port, test.ok)
		}
	}
	for _, test := range []struct {
		port     uint16
		protocol uint8
		name     string
	}{
		{80, unix.IPPROTO_TCP, "http"},
		{80, unix.IPPROTO_UDP, ""},
		{53, unix.IPPROTO_UDP, "domain"},
		{9999, unix.IPPROTO_TCP, "webcache"},
		{1, unix.IPPROTO_TCP, ""},
	} {
		if name := s.PortName(test.port, test.protocol); name != test.name {
			t.Errorf("port %d of protocol %d: %q, want %q", test.port, test.protocol, name, test.name)
		}
	}
}

func TestTheBoxKnowsItself(t *testing.T) {
	var s System
	addr, ok := s.Host("localhost")
	if !ok || addr.String() != "127.0.0.1" {
		t.Errorf("localhost is %v, %v; want 127.0.0.1", addr, ok)
	}
	if name := s.HostName(addr); name != "localhost" {
		t.Errorf("127.0.0.1 is called %q, want localhost", name)
	}
	if addr, ok := s.Host("no such host"); ok {
		t.Errorf("a host without a name has the address %v", addr)
	}
}
