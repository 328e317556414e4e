package traffic

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// MaxScenarios is how many scenarios have addresses of their own.
const MaxScenarios = 128

// PhaseLength is how long a phase may take at the most, ListingLength one in
// which nothing is done but to look, and Reserve how long before the end nothing
// new is begun.
const (
	PhaseLength   = 6200 * time.Millisecond
	ListingLength = 1400 * time.Millisecond
	Reserve       = 1200 * time.Millisecond
)

// begins are the seconds at which phases begin. The kernel's timers come late
// by up to an eighth (the timer wheel of kernel/time/timer.c has slots of 0.64
// s for what is 5 to 40 s ahead and of 5.12 s beyond), so that what happened in
// one phase with one of the timeouts
//
//	10 s  CLOSE, and FIN_WAIT and UDP as the scenarios set them
//	20 s  persistence, and not the same as one of the others: when a template
//	      and its last connection end at the same time, chance decides which of
//	      them is the first, and only then the template lives on
//	45 s  ESTABLISHED as the scenarios set it
//	60 s  SYN_RECV, CLOSE_WAIT, a template's extension
//	120 s SYN_SENT, TIME_WAIT
//
// never ends during another phase, nor in the same one.
var begins = []time.Duration{0, 28 * time.Second, 100 * time.Second}

// setTimeouts are the scenarios' timeouts of ESTABLISHED, FIN_WAIT and UDP.
const setTimeouts = "--set 45 10 10"

const (
	stepsOfPhase = 9

	// lastListing is how long after the beginning of the last phase the end is
	// looked at. The kernel adds counters up every two seconds.
	lastListing = 8500 * time.Millisecond

	// Persistence of 20 s is extended when it has connections still, which
	// comes at any time later than the second phase.
	shortPersistence = 20
	shortPhases      = 2
)

// A Generator makes up a scenario while it is carried out, for what may happen
// next depends on what has happened: only a realserver that got a connection
// answers. It leaves out what docs/ipvs-differences.md lists: the answers are
// to be the same.
type Generator struct {
	*rand.Rand
	name     string
	vip      netip.Addr
	clients  []netip.Addr
	phases   int
	left     int    // steps of this phase
	fresh    bool   // nothing but a listing was done in this phase
	port     uint16 // of the next connection's client
	queue    []Step
	services []*service
	conns    []*connection
}

type service struct {
	protocol    uint8
	port        uint16
	scheduler   string
	flags       string
	persistence int // seconds
	netmask     string
	present     bool
	servers     []*server
}

type server struct {
	address netip.AddrPort
	weight  int
	upper   int
	lower   int
	present bool
	alone   bool // removed alone, soon after connections that were not added up
}

type connection struct {
	protocol uint8
	client   netip.AddrPort
	virtual  netip.AddrPort
	real     netip.AddrPort // who got its last request
	service  *service
	alive    bool
	stage    int // how far an ordinary TCP connection has come
}

// NewGenerator makes the scenario of that number, below MaxScenarios, of a
// seed, with up to that many phases.
func NewGenerator(seed uint64, number, phases int) *Generator {
	g := &Generator{
		Rand:   rand.New(rand.NewPCG(seed, uint64(number))),
		name:   fmt.Sprintf("%d.%d", seed, number),
		phases: min(phases, len(begins)),
	}
	n := byte(number)
	g.vip = netip.AddrFrom4([4]byte{172, 16, n, byte(1 + g.IntN(254))})
	// Two networks of 16 bits, one of which has two of 24 bits.
	for _, network := range [][2]byte{{64, n}, {64, n + MaxScenarios}, {65, n}} {
		for range 3 {
			g.clients = append(g.clients, netip.AddrFrom4([4]byte{10, network[0], network[1], byte(1 + g.IntN(254))}))
		}
	}
	g.port = uint16(1024 + g.IntN(20000))
	g.setUp()
	return g
}

// Scenario is the one to be filled, with its name and VIP.
func (g *Generator) Scenario() Scenario { return Scenario{Name: g.name, VIP: g.vip} }

// Begin is when a phase begins; it reports false when there is none. Phases
// begin with a listing, and the last one is nothing but that.
func (g *Generator) Begin(phase int) (time.Duration, bool) {
	if phase > 0 {
		g.queue = append(g.queue, Step{List: true})
	}
	switch {
	case phase > g.phases:
		return 0, false
	case phase == g.phases:
		return begins[phase-1] + lastListing, true
	}
	g.fresh = phase > 0
	g.left = stepsOfPhase + g.IntN(5)
	return begins[phase], true
}

// Next is the phase's next step; it reports false when there is none. When it
// is late nothing new is begun.
func (g *Generator) Next(late bool) (Step, bool) {
	for len(g.queue) == 0 {
		if g.left--; g.left < 0 || late {
			g.left = 0
			return Step{}, false
		}
		if g.fresh {
			g.fresh = false
			g.changeServices()
			continue
		}
		switch n := g.IntN(100); {
		case n < 38:
			g.open()
		case n < 80:
			g.goOn()
		case n < 84:
			g.stray()
		default:
			g.change()
		}
	}
	step := g.queue[0]
	g.queue = g.queue[1:]
	return step, true
}

func (g *Generator) one(words ...string) string { return words[g.IntN(len(words))] }

// command puts a command on the queue.
func (g *Generator) command(format string, args ...any) {
	g.queue = append(g.queue, Step{Command: strings.Fields(fmt.Sprintf(format, args...))})
}

// setUp makes one to three services.
func (g *Generator) setUp() {
	g.command(setTimeouts)
	for _, kind := range g.Perm(4)[:1+g.IntN(3)] {
		s := &service{protocol: unix.IPPROTO_TCP, port: []uint16{80, 443, 53, 0}[kind]}
		if kind == 2 {
			s.protocol = unix.IPPROTO_UDP
		}
		s.chooseScheduler(g)
		if s.port == 0 || g.IntN(4) == 0 {
			s.choosePersistence(g)
		}
		g.services = append(g.services, s)
		g.addService(s)
	}
	for _, s := range g.services {
		if s.persistence == shortPersistence {
			g.phases = min(g.phases, shortPhases)
		}
	}
}

func (s *service) chooseScheduler(g *Generator) {
	s.scheduler = g.one("rr", "wrr", "lc", "wlc", "sed", "nq", "dh", "sh", "mh", "lblc", "lblcr", "fo", "ovf")
	s.flags = ""
	switch s.scheduler {
	case "sh":
		s.flags = g.one("", "sh-port", "sh-fallback", "sh-fallback,sh-port")
	case "mh":
		s.flags = g.one("", "mh-port", "mh-fallback", "mh-fallback,mh-port")
	}
}

func (s *service) choosePersistence(g *Generator) {
	s.persistence = []int{shortPersistence, 300, 360}[g.IntN(3)]
	s.netmask = g.one("", "255.255.255.0", "255.255.0.0")
}

// name is the service in ipvsadm's words.
func (g *Generator) serviceName(s *service) string {
	option := "-t"
	if s.protocol == unix.IPPROTO_UDP {
		option = "-u"
	}
	return fmt.Sprintf("%s %s:%d", option, g.vip, s.port)
}

func (g *Generator) serviceWords(s *service) string {
	words := "-s " + s.scheduler
	if s.flags != "" {
		words += " -b " + s.flags
	}
	if s.persistence != 0 {
		words += fmt.Sprintf(" -p %d", s.persistence)
	}
	if s.netmask != "" {
		words += " -M " + s.netmask
	}
	return words
}

// addService adds a service with a few realservers. One that comes back has
// the realservers of before if they have connections left.
func (g *Generator) addService(s *service) {
	s.present = true
	g.command("-A %s %s", g.serviceName(s), g.serviceWords(s))
	for _, rs := range s.servers {
		if g.hasConnections(s, rs) && !rs.alone {
			g.addServer(s, rs)
		}
	}
	for range 1 + g.IntN(4) {
		g.newServer(s)
	}
}

// newServer adds a realserver that the service never had.
func (g *Generator) newServer(s *service) {
	port := s.port
	if s.port != 0 && g.IntN(2) == 0 {
		port += 8000
	}
	host := byte(2 + len(s.servers))
	rs := &server{address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 1, host}), port)}
	s.servers = append(s.servers, rs)
	g.addServer(s, rs)
}

func (g *Generator) addServer(s *service, rs *server) {
	rs.present, rs.alone = true, false
	rs.choose(g)
	g.command("-a %s -r %s -m %s", g.serviceName(s), rs.address, rs.words())
}

func (rs *server) choose(g *Generator) {
	rs.weight = []int{0, 1, 1, 1, 2, 3, 4, 10}[g.IntN(8)]
	rs.upper, rs.lower = 0, 0
	if g.IntN(4) == 0 {
		rs.upper = 1 + g.IntN(4)
		rs.lower = g.IntN(rs.upper + 1)
	}
}

func (rs *server) words() string {
	words := fmt.Sprintf("-w %d", rs.weight)
	if rs.upper != 0 {
		words += fmt.Sprintf(" -x %d", rs.upper)
	}
	if rs.lower != 0 {
		words += fmt.Sprintf(" -y %d", rs.lower)
	}
	return words
}

// change edits a service or its realservers.
func (g *Generator) change() {
	s := g.services[g.IntN(len(g.services))]
	if !s.present {
		return
	}
	present := slices.DeleteFunc(slices.Clone(s.servers), func(rs *server) bool { return !rs.present })
	switch n := g.IntN(10); {
	case n < 2 || len(present) == 0:
		g.newServer(s)
	case n < 6:
		rs := present[g.IntN(len(present))]
		for before := *rs; *rs == before; { // an edit that changes nothing is on the list of differences
			rs.choose(g)
		}
		g.command("-e %s -r %s -m %s", g.serviceName(s), rs.address, rs.words())
	case n < 7:
		if s.chooseScheduler(g); s.persistence > shortPersistence {
			s.persistence = 300 + 60*g.IntN(2)
		}
		g.command("-E %s %s", g.serviceName(s), g.serviceWords(s))
	case s.persistence != 0:
		// Templates of what was removed are on the list of differences.
	default:
		rs := present[g.IntN(len(present))]
		rs.present, rs.alone = false, true
		g.command("-d %s -r %s", g.serviceName(s), rs.address)
		if g.IntN(2) == 0 && g.hasConnections(s, rs) {
			g.addServer(s, rs)
		}
	}
}

// changeServices removes services, adds them again, and zeroes counters. It is
// done after a pause only: the kernel takes all these for the counters' zero as
// they were added up last, up to two seconds before.
func (g *Generator) changeServices() {
	for _, s := range g.services {
		if s.present && s.persistence == 0 && g.IntN(6) == 0 {
			g.removeService(s)
		}
		if !s.present && g.IntN(2) == 0 {
			g.addService(s)
		}
		if s.present && g.IntN(8) == 0 {
			g.command("-Z %s", g.serviceName(s))
		}
	}
}

func (g *Generator) removeService(s *service) {
	s.present = false
	for _, rs := range s.servers {
		rs.present = false
	}
	g.command("-D %s", g.serviceName(s))
}

// hasConnections reports whether a realserver surely has some.
func (g *Generator) hasConnections(s *service, rs *server) bool {
	return slices.ContainsFunc(g.conns, func(c *connection) bool {
		return c.alive && c.service == s && s.serverOf(c) == rs
	})
}

// serverOf is the realserver of a connection.
func (s *service) serverOf(c *connection) *server {
	for _, rs := range s.servers {
		if rs.address == c.real || rs.address.Port() == 0 && rs.address.Addr() == c.real.Addr() {
			return rs
		}
	}
	return nil
}
