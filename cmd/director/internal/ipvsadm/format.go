package ipvsadm

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"lvsnat/scheduler"
)

// A format says how addresses and numbers are written.
type format struct {
	numeric bool // addresses and ports instead of names
	exact   bool // all digits of large numbers
	names   Names
}

// endpoint writes an address with a port.
func (f format) endpoint(a netip.AddrPort, protocol uint8) string {
	// ipvsadm's buffer holds 59 bytes.
	return cut(f.host(a.Addr())+":"+f.port(a.Port(), protocol), 59)
}

// virtual writes the address of a service. That of one with a range is never
// cut.
func (f format) virtual(a scheduler.Address, protocol uint8) string {
	if !a.HasRange() {
		return f.endpoint(netip.AddrPortFrom(a.Addr(), a.Port()), protocol)
	}
	host, port := a.HostText(), a.PortText()
	if !a.ManyAddrs() {
		host = f.host(a.Addr())
	}
	if first, last := a.Ports(); first == last || a.AllPorts() {
		port = f.port(a.Port(), protocol)
	}
	return host + ":" + port
}

func (f format) host(addr netip.Addr) string {
	if !f.numeric {
		if name := f.names.HostName(addr); name != "" {
			return name
		}
	}
	return addr.String()
}

func (f format) port(port uint16, protocol uint8) string {
	if !f.numeric {
		if name := f.names.PortName(port, protocol); name != "" {
			return name
		}
	}
	return strconv.Itoa(int(port))
}

// count writes a large number in nine columns, with the digits that do not fit
// left out: K stands for thousands, M for millions, G and T for the next ones.
func (f format) count(n uint64) string {
	if f.exact {
		digits := strconv.FormatUint(n, 10)
		return fmt.Sprintf("%*s", max(9, len(digits)+1), digits)
	}
	switch {
	case n < 100_000_000:
		return fmt.Sprintf("%9d", n)
	case n < 1_000_000_000:
		return fmt.Sprintf("%8dK", n/1_000)
	case n < 100_000_000_000:
		return fmt.Sprintf("%8dM", n/1_000_000)
	case n < 100_000_000_000_000:
		return fmt.Sprintf("%8dG", n/1_000_000_000)
	}
	return fmt.Sprintf("%8dT", n/1_000_000_000_000)
}

// counts writes several large numbers.
func (f format) counts(numbers ...uint64) string {
	var b strings.Builder
	for _, n := range numbers {
		b.WriteString(f.count(n))
	}
	return b.String()
}

// cut shortens a text to n bytes.
func cut(text string, n int) string { return text[:min(n, len(text))] }

// A printer writes text and keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}
