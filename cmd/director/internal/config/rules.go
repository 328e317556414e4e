package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"lvsnat/conntrack"
	"lvsnat/scheduler"
)

// check holds the rules between several keys. Addresses that were refused
// before take no part.
func (d *decoder) check(doc *document) {
	d.checkProfile(doc)
	vips := d.checkServices(doc.services)
	for _, s := range doc.services {
		d.checkOptions(s)
		d.checkRealservers(s, vips)
	}
}

// checkProfile refuses a timeout that the profile does not have.
func (d *decoder) checkProfile(doc *document) {
	if at := doc.timeouts.tcpsyn; doc.TCPProfile != conntrack.RFC && doc.Timeouts.TCPSYN != 0 {
		d.fail(at.line, at.column, "the timeout tcpsyn is for the profile rfc: IPVS's times for opening a connection are fixed", "write tcp_profile: rfc, or remove it")
	}
}

// checkServices refuses two services of one address, port and protocol. It
// returns the line of each VIP.
func (d *decoder) checkServices(services []service) map[netip.Addr]int {
	type identity struct {
		address  netip.AddrPort
		protocol uint8
	}
	vips := make(map[netip.Addr]int)
	seen := make(map[identity]int)
	for _, s := range services {
		at := s.address
		if !at.addr.IsValid() {
			continue
		}
		if _, ok := vips[at.addr]; !ok {
			vips[at.addr] = at.line
		}
		id := identity{netip.AddrPortFrom(at.addr, at.port), s.protocol}
		if at.port == 0 && !at.allPorts || s.protocol == 0 {
			continue
		}
		if first, ok := seen[id]; ok {
			d.fail(at.line, at.column, fmt.Sprintf("the service %s %v is listed a second time%s", protocolName(s.protocol), at, inLine(", first in line %d", first)), "put its realservers into one entry")
			continue
		}
		seen[id] = at.line
	}
	return vips
}

// checkOptions refuses what a service's keys do not allow one another.
func (d *decoder) checkOptions(s service) {
	for _, flag := range s.flags {
		if name := SetFlag(new(scheduler.Flags), flag.text); name != s.scheduler {
			d.fail(flag.line, flag.column, fmt.Sprintf("the flag %s is for the scheduler %s", flag.text, name), fmt.Sprintf("remove it, or write scheduler: %s", name))
		}
	}
	if o := s.rotateTies; o.value && !slices.Contains(scheduler.RotatesTies(), s.scheduler) {
		d.fail(o.line, o.column, fmt.Sprintf("the scheduler %s has no ties that could rotate", s.scheduler), "remove rotate_ties, or write scheduler: "+alternatives(scheduler.RotatesTies()))
	}
	if o := s.slowStart; o.value != 0 && !slices.Contains(scheduler.StartsSlowly(), s.scheduler) {
		d.fail(o.line, o.column, fmt.Sprintf("the scheduler %s knows no slow start", s.scheduler), "remove slow_start, or write scheduler: "+alternatives(scheduler.StartsSlowly()))
	}
	if o := s.slowStart; o.value < 0 || o.value > maxSlowStart || o.value%time.Second != 0 {
		d.fail(o.line, o.column, fmt.Sprintf("slow_start %v is out of range", o.value), "write whole seconds up to "+inSeconds(maxSlowStart))
	}
	at := s.address
	switch {
	case !at.addr.IsValid():
	case s.netmask.bits != 0 && s.persistence == 0:
		d.fail(s.netmask.line, s.netmask.column, "the netmask is of no use without persistence", "write persistence: 300s beside it, or remove it")
	case at.allPorts && s.persistence == 0:
		d.fail(at.line, at.column, fmt.Sprintf("the service %v for all ports is not persistent, so the connections of one client would scatter", at), "write persistence: 300s beside it")
	case s.onePacket && s.protocol == unix.IPPROTO_TCP:
		d.fail(at.line, at.column, fmt.Sprintf("the TCP service %v has one_packet, and a TCP connection has more than one packet", at), "remove one_packet")
	case s.onePacket && at.allPorts:
		d.fail(at.line, at.column, fmt.Sprintf("the service %v for all ports has one_packet, and only a reply's port tells which service it belongs to", at), "remove one_packet, or write a port")
	}
}

// checkRealservers refuses a realserver that a service lists twice, and one
// that is a VIP, whose replies would be taken for requests. The same realserver
// in two services is allowed, as in IPVS.
func (d *decoder) checkRealservers(s service, vips map[netip.Addr]int) {
	seen := make(map[netip.AddrPort]int, len(s.realservers))
	for _, r := range s.realservers {
		at := r.address
		if !at.addr.IsValid() {
			continue
		}
		if line, ok := vips[at.addr]; ok {
			d.fail(at.line, at.column, fmt.Sprintf("the realserver %v is the VIP of %s", at.addr, cmp.Or(inLine("the service in line %d", line), "a service")), "write the realserver's own address")
			continue
		}
		where := s.real(r)
		if first, ok := seen[where]; ok {
			d.fail(at.line, at.column, fmt.Sprintf("the realserver %v is listed a second time in its service%s", where, inLine(", first in line %d", first)), "keep one of the two")
			continue
		}
		seen[where] = at.line
		if r.weight < 0 || r.weight > maxWeight {
			d.fail(at.line, at.column, fmt.Sprintf("the realserver %v has a weight of %d", where, r.weight), fmt.Sprintf("write a number from 0 to %d", maxWeight))
		}
		if r.lower > r.upper {
			d.fail(at.line, at.column, fmt.Sprintf("the realserver %v has a lower_threshold of %d, above its upper_threshold of %d", where, r.lower, r.upper), "write a lower one, or none for three quarters of the upper one")
		}
	}
}

// inLine names the line of something, or nothing when it was not in a file.
func inLine(format string, line int) string {
	if line == 0 {
		return ""
	}
	return fmt.Sprintf(format, line)
}

// Check holds a configuration that was not read from a file to the rules of
// one. The error joins sentences about all problems.
func Check(c *Config) error {
	d := &decoder{}
	doc := document{Config: *c}
	for _, spec := range c.Services {
		if why := unusableSpec(spec); why != "" {
			d.fail(0, 0, fmt.Sprintf("service %s %v: %s", protocolName(spec.Protocol), spec.Address, why), "write the address of one host")
			continue
		}
		doc.services = append(doc.services, serviceOf(spec))
	}
	d.check(&doc)
	problems := []error{CheckTimeouts(c.Timeouts)}
	for _, p := range d.problems {
		problems = append(problems, fmt.Errorf("%s; %s", p.Problem, p.Remedy))
	}
	return errors.Join(problems...)
}

// CheckTimeouts holds timeouts to the rules of a file.
func CheckTimeouts(t Timeouts) error {
	list := []time.Duration{t.TCP, t.TCPFIN, t.UDP}
	if t.TCPSYN != 0 {
		list = append(list, t.TCPSYN)
	}
	for _, timeout := range list {
		if timeout < time.Second || timeout > maxTimeout || timeout%time.Second != 0 {
			return fmt.Errorf("the timeout %v is out of range; write whole seconds from 1 to %d", timeout, maxTimeout/time.Second)
		}
	}
	return nil
}

// unusableSpec tells what is wrong with a service's addresses.
func unusableSpec(spec scheduler.ServiceSpec) string {
	addresses := []netip.AddrPort{spec.Address}
	for _, rs := range spec.Realservers {
		addresses = append(addresses, rs.Address)
	}
	for _, a := range addresses {
		if !a.Addr().Is4() {
			return fmt.Sprintf("%v is not IPv4, and IPv6 is not supported yet", a.Addr())
		}
		if why := unusable(a.Addr()); why != "" {
			return fmt.Sprintf("%v is %s", a.Addr(), why)
		}
	}
	return ""
}
