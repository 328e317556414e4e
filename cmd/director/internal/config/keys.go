package config

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"lvsnat/conntrack"
	"lvsnat/scheduler"
)

const (
	// maxWorkers is what a fanout group holds unless told otherwise
	// (fanout_add in net/packet/af_packet.c).
	maxWorkers = 256

	// maxConnections is 24 GiB of table at 96 bytes a connection.
	maxConnections = 1 << 28

	// maxTimeout is what IPVS takes at 1000 ticks a second: INT_MAX / HZ
	// (ip_vs_set_timeout in net/netfilter/ipvs/ip_vs_ctl.c).
	maxTimeout = math.MaxInt32 / 1000 * time.Second

	// maxWeight is ipvsadm's.
	maxWeight = 65535

	// maxPersistence is ipvsadm's: 31 days.
	maxPersistence = 31 * 24 * time.Hour

	// maxSlowStart is more than any cache needs to fill.
	maxSlowStart = 24 * time.Hour

	// maxThreshold is what fits the kernel's counters, too.
	maxThreshold = math.MaxInt32
)

// A document is a configuration while it is read or written.
type document struct {
	Config   // but for Timeouts and Services
	timeouts timeouts
	services []service
}

// timeouts are as they stand in the file: 0 where it has none.
type timeouts struct {
	Timeouts
	tcpsyn word // where that key's value stands
}

// A service is a virtual service as it stands in the file.
type service struct {
	address     virtual
	protocol    uint8
	scheduler   string
	flags       []word
	persistence time.Duration // 0: none is written
	netmask     netmask
	onePacket   bool
	rotateTies  option[bool]
	slowStart   option[time.Duration] // 0: none is written
	realservers []realserver
}

// A realserver is an entry of a service's list.
type realserver struct {
	address      endpoint
	weight       int
	upper, lower int
}

// spec is the service with its port, if it has a single one, in each realserver
// that has none. Its flags are known ones.
func (s service) spec() scheduler.ServiceSpec {
	spec := scheduler.ServiceSpec{
		Address:     s.address.Address,
		Protocol:    s.protocol,
		Scheduler:   s.scheduler,
		Persistence: s.persistence,
		Netmask:     s.netmask.bits,
		OnePacket:   s.onePacket,
		RotateTies:  s.rotateTies.value,
		SlowStart:   s.slowStart.value,
	}
	for _, flag := range s.flags {
		SetFlag(&spec.Flags, flag.text)
	}
	for _, r := range s.realservers {
		spec.Realservers = append(spec.Realservers, scheduler.RealserverSpec{
			Address: s.real(r), Weight: r.weight, Upper: r.upper, Lower: r.lower,
		})
	}
	return spec
}

// real is where a realserver of the service listens. Port 0 stands for the one
// that the client asks for.
func (s service) real(r realserver) netip.AddrPort {
	port := r.address.port
	if port == 0 && !s.address.ManyPorts() {
		port = s.address.Port()
	}
	return netip.AddrPortFrom(r.address.addr, port)
}

// The tables below are the file's format. Their order is that of Marshal.

var directorKeys = []key[document]{
	{
		name: "vip_nic", example: "eth0", required: true,
		read:  func(v value, to *document) { v.nic(&to.VIPNIC) },
		write: func(from *document) any { return from.VIPNIC },
	},
	{
		name: "dip_nic", example: "eth1", required: true,
		read:  func(v value, to *document) { v.nic(&to.DIPNIC) },
		write: func(from *document) any { return from.DIPNIC },
	},
	{
		name: "workers", example: "2",
		read:  func(v value, to *document) { v.integer(0, maxWorkers, &to.Workers) },
		write: func(from *document) any { return from.Workers },
	},
	{
		name: "max_connections", example: "2097152",
		read:  func(v value, to *document) { v.integer(1, maxConnections, &to.Connections) },
		write: func(from *document) any { return from.Connections },
	},
	{
		name: "metrics", example: "127.0.0.1:9105",
		read:  func(v value, to *document) { v.listener(&to.Metrics) },
		write: func(from *document) any { return from.Metrics },
	},
	{
		name: "guard", example: "auto",
		read: func(v value, to *document) {
			v.word((*string)(&to.Guard), string(GuardAuto), string(GuardNFT), string(GuardNone))
		},
		write: func(from *document) any { return string(from.Guard) },
	},
	{
		name: "tcp_profile", example: "ipvs",
		read: func(v value, to *document) {
			var name string
			if v.word(&name, conntrack.IPVS.String(), conntrack.RFC.String()) && name == conntrack.RFC.String() {
				to.TCPProfile = conntrack.RFC
			}
		},
		write: func(from *document) any { return from.TCPProfile.String() },
	},
	{
		name: "timeouts", example: "{tcp: 900s, tcpfin: 120s, udp: 300s}",
		read:  func(v value, to *document) { fields(v, timeoutKeys, &to.timeouts) },
		write: func(from *document) any { return entries(timeoutKeys, &timeouts{Timeouts: from.Timeouts}) },
	},
	{name: "masquerade", later: true},
	{
		name: "services", example: `[{address: "192.168.1.110:80", protocol: tcp}]`,
		read: func(v value, to *document) {
			v.each("a service", `- {address: "192.168.1.110:80", protocol: tcp}`, func(entry value) {
				s := service{scheduler: "wlc"}
				fields(entry, serviceKeys, &s)
				to.services = append(to.services, s)
			})
		},
		write: func(from *document) any { return list(serviceKeys, from.services) },
	},
}

var timeoutKeys = []key[timeouts]{
	{
		name: "tcp", example: "900s",
		read:  func(v value, to *timeouts) { v.seconds(maxTimeout, &to.TCP) },
		write: func(from *timeouts) any { return inSeconds(from.TCP) },
	},
	{
		name: "tcpfin", example: "120s",
		read:  func(v value, to *timeouts) { v.seconds(maxTimeout, &to.TCPFIN) },
		write: func(from *timeouts) any { return inSeconds(from.TCPFIN) },
	},
	{
		name: "udp", example: "300s",
		read:  func(v value, to *timeouts) { v.seconds(maxTimeout, &to.UDP) },
		write: func(from *timeouts) any { return inSeconds(from.UDP) },
	},
	{
		name: "tcpsyn", example: "240s",
		read: func(v value, to *timeouts) {
			v.seconds(maxTimeout, &to.TCPSYN)
			to.tcpsyn = word{line: v.line, column: v.column}
		},
		write: func(from *timeouts) any { return written(inSeconds(from.TCPSYN), from.TCPSYN != 0) },
	},
}

var serviceKeys = []key[service]{
	{
		name: "address", example: "192.168.1.110:80", required: true,
		read:  func(v value, to *service) { v.virtual(&to.address) },
		write: func(from *service) any { return from.address.String() },
	},
	{
		name: "protocol", example: "tcp", required: true,
		read: func(v value, to *service) {
			var name string
			if v.word(&name, "tcp", "udp") {
				to.protocol = protocols[name]
			}
		},
		write: func(from *service) any { return protocolName(from.protocol) },
	},
	{
		name: "scheduler", example: "wlc",
		read:  func(v value, to *service) { v.word(&to.scheduler, scheduler.Names()...) },
		write: func(from *service) any { return from.scheduler },
	},
	{
		name: "flags", example: "[sh-port]",
		read: func(v value, to *service) {
			v.each("a flag", "- sh-port", func(entry value) {
				flag := word{line: entry.line, column: entry.column}
				if entry.word(&flag.text, flagNames...) {
					to.flags = append(to.flags, flag)
				}
			})
		},
		write: func(from *service) any { return written(texts(from.flags), len(from.flags) > 0) },
	},
	{
		name: "persistence", example: "300s",
		read:  func(v value, to *service) { v.seconds(maxPersistence, &to.persistence) },
		write: func(from *service) any { return written(inSeconds(from.persistence), from.persistence != 0) },
	},
	{
		name: "netmask", example: "255.255.255.0",
		read:  func(v value, to *service) { v.netmask(&to.netmask) },
		write: func(from *service) any { return written(from.netmask.String(), from.netmask.bits != 0) },
	},
	{
		name: "one_packet", example: "true",
		read:  func(v value, to *service) { v.truth(&to.onePacket) },
		write: func(from *service) any { return written(from.onePacket, from.onePacket) },
	},
	{
		name: "rotate_ties", example: "true",
		read:  func(v value, to *service) { v.truth(&to.rotateTies.value); to.rotateTies.at(v) },
		write: func(from *service) any { return written(true, from.rotateTies.value) },
	},
	{
		name: "slow_start", example: "30s",
		read: func(v value, to *service) { v.seconds(maxSlowStart, &to.slowStart.value); to.slowStart.at(v) },
		write: func(from *service) any {
			return written(inSeconds(from.slowStart.value), from.slowStart.value != 0)
		},
	},
	{
		name: "realservers", example: "[{address: 10.1.1.2}]",
		read: func(v value, to *service) {
			v.each("a realserver", "- {address: 10.1.1.2}", func(entry value) {
				r := realserver{weight: 1}
				fields(entry, realserverKeys, &r)
				to.realservers = append(to.realservers, r)
			})
		},
		write: func(from *service) any { return list(realserverKeys, from.realservers) },
	},
}

var realserverKeys = []key[realserver]{
	{
		name: "address", example: "10.1.1.2", required: true,
		read:  func(v value, to *realserver) { v.endpoint(&to.address) },
		write: func(from *realserver) any { return from.address.String() },
	},
	{
		name: "weight", example: "1",
		read:  func(v value, to *realserver) { v.integer(0, maxWeight, &to.weight) },
		write: func(from *realserver) any { return from.weight },
	},
	{
		name: "upper_threshold", example: "1000",
		read:  func(v value, to *realserver) { v.integer(0, maxThreshold, &to.upper) },
		write: func(from *realserver) any { return written(from.upper, from.upper != 0) },
	},
	{
		name: "lower_threshold", example: "800",
		read:  func(v value, to *realserver) { v.integer(0, maxThreshold, &to.lower) },
		write: func(from *realserver) any { return written(from.lower, from.lower != 0) },
	},
}

// written is the value of a key that is left out unless it is wanted.
func written(value any, wanted bool) any {
	if !wanted {
		return nil
	}
	return value
}

var protocols = map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP}

func protocolName(number uint8) string {
	if number == unix.IPPROTO_UDP {
		return "udp"
	}
	return "tcp"
}

func inSeconds(d time.Duration) string { return fmt.Sprintf("%ds", d/time.Second) }
