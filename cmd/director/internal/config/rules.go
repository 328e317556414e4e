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
	if len(d.problems) == 0 {
		d.checkOnePacket(doc.services)
	}
}

// checkProfile refuses a timeout that the profile does not have.
func (d *decoder) checkProfile(doc *document) {
	if at := doc.timeouts.tcpsyn; doc.TCPProfile != conntrack.RFC && doc.Timeouts.TCPSYN != 0 {
		d.fail(at.line, at.column, "the timeout tcpsyn is for the profile rfc: IPVS's times for opening a connection are fixed", "write tcp_profile: rfc, or remove it")
	}
}

// checkServices refuses two services of one address, port and protocol, ranges
// without an order and ranges that are too large. It returns the VIPs.
func (d *decoder) checkServices(services []service) vips {
	known := vips{lines: make(map[netip.Prefix]int)}
	seen := make(map[scheduler.Key]int)
	var keys []scheduler.Key
	var places []virtual // of keys
	total := 0
	for _, s := range services {
		at := s.address
		if !at.IsValid() {
			continue
		}
		if at.Prefix().Bits() < minPrefix {
			d.fail(at.line, at.column, fmt.Sprintf("the range of addresses of %v is wider than /%d", at, minPrefix), "write several smaller ones, in services of their own")
			continue
		}
		if at.ManyAddrs() && at.Prefix().Contains(broadcast) {
			d.fail(at.line, at.column, fmt.Sprintf("the range of addresses of %v holds the broadcast address", at), "write smaller ranges without it")
			continue
		}
		if at.ManyAddrs() && known.isNew(at) {
			if total += 1 << (32 - at.Prefix().Bits()); total > scheduler.MaxRangeAddrs {
				d.fail(at.line, at.column, fmt.Sprintf("the ranges have %d addresses together up to here", total), fmt.Sprintf("write ranges of at most %d addresses together", scheduler.MaxRangeAddrs))
			}
		}
		known.add(at)
		if s.protocol == 0 {
			continue
		}
		key := scheduler.ServiceSpec{Address: at.Address, Protocol: s.protocol}.Key()
		if first, ok := seen[key]; ok {
			d.fail(at.line, at.column, fmt.Sprintf("the service %s %v is listed a second time%s", protocolName(s.protocol), at, inLine(", first in line %d", first)), "put its realservers into one entry")
			continue
		}
		seen[key] = at.line
		keys, places = append(keys, key), append(places, at)
	}
	for _, o := range scheduler.Overlaps(keys) {
		at, other := places[o.Second], places[o.First]
		d.fail(at.line, at.column, fmt.Sprintf("the service %s %v has some ports in common with %v%s, and neither is the narrower one", protocolName(keys[o.Second].Protocol), at, other, inLine(" in line %d", other.line)), "write ranges that lie one in the other, or apart")
	}
	return known
}

// vips are the addresses of services with the line of the first one.
type vips struct {
	lines   map[netip.Prefix]int
	lengths []int // of the prefixes
}

func (v *vips) isNew(at virtual) bool {
	_, known := v.lines[at.Prefix()]
	return !known
}

func (v *vips) add(at virtual) {
	if !v.isNew(at) {
		return
	}
	v.lines[at.Prefix()] = at.line
	if bits := at.Prefix().Bits(); !slices.Contains(v.lengths, bits) {
		v.lengths = append(v.lengths, bits)
	}
}

// line is the line of a service that has the address, alone or in a range.
func (v vips) line(addr netip.Addr) (line int, isRange, ok bool) {
	for _, bits := range v.lengths {
		if line, ok = v.lines[netip.PrefixFrom(addr, bits).Masked()]; ok {
			return line, bits < 32, true
		}
	}
	return 0, false, false
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
	case !at.IsValid():
	case s.netmask.bits != 0 && s.persistence == 0:
		d.fail(s.netmask.line, s.netmask.column, "the netmask is of no use without persistence", "write persistence: 300s beside it, or remove it")
	case at.AllPorts() && s.persistence == 0:
		d.fail(at.line, at.column, fmt.Sprintf("the service %v for all ports is not persistent, so the connections of one client would scatter", at), "write persistence: 300s beside it")
	case s.onePacket && s.protocol == unix.IPPROTO_TCP:
		d.fail(at.line, at.column, fmt.Sprintf("the TCP service %v has one_packet, and a TCP connection has more than one packet", at), "remove one_packet")
	case s.onePacket && at.AllPorts():
		d.fail(at.line, at.column, fmt.Sprintf("the service %v for all ports has one_packet, and only a reply's port tells which service it belongs to", at), "remove one_packet, or write a port")
	case s.onePacket && at.ManyAddrs():
		d.fail(at.line, at.column, fmt.Sprintf("the service %v for several addresses has one_packet, and a reply does not tell which one was asked", at), "remove one_packet, or write a service for each address")
	}
}

// checkRealservers refuses a realserver that a service lists twice, and one
// that is a VIP, whose replies would be taken for requests. The same realserver
// in two services is allowed, as in IPVS.
func (d *decoder) checkRealservers(s service, vips vips) {
	seen := make(map[netip.AddrPort]int, len(s.realservers))
	for _, r := range s.realservers {
		at := r.address
		if !at.addr.IsValid() {
			continue
		}
		if line, isRange, ok := vips.line(at.addr); ok {
			is := "is the VIP of"
			if isRange {
				is = "is among the VIPs of"
			}
			d.fail(at.line, at.column, fmt.Sprintf("the realserver %v %s %s", at.addr, is, cmp.Or(inLine("the service in line %d", line), "a service")), "write the realserver's own address")
			continue
		}
		if s.onePacket && at.port != 0 && s.address.ManyPorts() {
			d.fail(at.line, at.column, fmt.Sprintf("the realserver %v of a service for several ports with one_packet has a port, and only a reply's port tells which one was asked", at), fmt.Sprintf("write %v, or remove one_packet", at.addr))
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

// checkOnePacket refuses a realserver whose replies could belong to two
// services, one of which keeps no connections. All else must be right.
func (d *decoder) checkOnePacket(services []service) {
	specs := make([]scheduler.ServiceSpec, len(services))
	for i, s := range services {
		specs[i] = s.spec()
	}
	shared, found := scheduler.SharedOrigins(specs)
	if !found {
		return
	}
	other, at := services[shared.First].address, services[shared.Second].address
	d.fail(at.line, at.column, fmt.Sprintf("the services %v and %v%s have the realserver %v in common and one of them has one_packet, so its replies could not be told apart", at, other, inLine(" in line %d", other.line), shared.Realserver), "give it a port of its own in each, or remove one_packet")
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
	addresses := []netip.Addr{spec.Address.Addr()}
	for _, rs := range spec.Realservers {
		addresses = append(addresses, rs.Address.Addr())
	}
	for _, addr := range addresses {
		if !addr.Is4() {
			return fmt.Sprintf("%v is not IPv4, and IPv6 is not supported yet", addr)
		}
		if why := unusable(addr); why != "" {
			return fmt.Sprintf("%v is %s", addr, why)
		}
	}
	return ""
}
