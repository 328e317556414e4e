package ipvsadm

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/scheduler"
)

const (
	defaultScheduler   = "wlc"
	defaultPersistence = 360 // seconds; IPVS_SVC_PERSISTENT_TIMEOUT of libipvs
	maxTimeout         = 31 * 24 * 3600
	maxWeight          = math.MaxInt32
	allOnes            = 0xffff_ffff // the netmask that tells each client from all others
)

// A command is a command line that was understood.
type command struct {
	verb  id
	given [ruled]bool

	service     target
	scheduler   string
	flags       []string
	persistence int    // seconds
	netmask     uint32 // host order
	engine      string

	server  target
	forward byte // m, g or i; 0: not given
	weight  int
	upper   int
	lower   int

	timeouts [3]int // seconds: TCP, TCP after a FIN, UDP; 0: as they are
}

// An answer ends a program that was only asked about itself.
type answer struct{ text string }

// Error returns the answer.
func (a answer) Error() string { return a.text }

// parse reads a command line without the program's name, which messages use.
func parse(program string, words []string, names Names) (*command, error) {
	c := &command{weight: 1, netmask: allOnes}
	s := &scanner{words: words}
	first, ok, err := s.scan()
	if !ok || err != nil || first.option.id < firstCommand {
		return nil, tryHelp(program)
	}
	if err := c.command(program, first); err != nil {
		return nil, err
	}
	for {
		p, ok, err := s.scan()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if p.option.id >= firstCommand {
			return nil, usage("invalid option `%s'", s.word())
		}
		if err := c.option(p, names); err != nil {
			return nil, err
		}
	}
	if err := c.arguments(s.args); err != nil {
		return nil, err
	}
	if err := c.parseFlags(); err != nil {
		return nil, err
	}
	return c, c.check()
}

func tryHelp(program string) error {
	return failure{text: "Try `" + program + " -h' or '" + program + " --help' for more information.", exit: exitError}
}

// command takes in the first option.
func (c *command) command(program string, p parsed) error {
	c.verb = p.option.id
	known := p.value == "master" || p.value == "backup"
	switch {
	case c.verb == help:
		return answer{helpText(program)}
	case c.verb == version:
		return answer{versionLine}
	case c.verb == startDaemon && !known:
		return usage("illegal start-daemon parameter specified")
	case c.verb == stopDaemon && !known:
		return usage("illegal start_daemon specified")
	}
	return nil
}

// option takes in one that is not the first.
func (c *command) option(p parsed, names Names) error {
	o := p.option.id
	if o < ruled {
		if c.given[o] {
			return usage("multiple '%s' options specified", ruledNames[o])
		}
		c.given[o] = true
	}
	switch o {
	case service:
		return c.parseService(p, names)
	case realserver:
		return c.parseServer(p.value, names)
	case netmask:
		return c.parseNetmask(p.value, names)
	case schedulerName:
		c.scheduler = p.value
	case flags:
		c.flags = strings.FieldsFunc(p.value, func(r rune) bool { return r == ',' })
	case engine:
		c.engine = p.value
	case persistent:
		c.persistence = defaultPersistence
		if p.given {
			return parseTimeout(p.value, 1, &c.persistence)
		}
	case forwarding:
		c.forward = p.option.sign
	case ipv6:
		if c.service.mark == 0 {
			return usage("-6 used before -f\n")
		}
	default:
		return c.parseNumber(o, p.value)
	}
	return nil
}

// numbers are the options whose value is a number, and where it goes.
var numbers = map[id]struct {
	least, most int
	message     string
	field       func(*command) *int // nil: the value is only checked
}{
	weight:         {0, maxWeight, "illegal weight specified", func(c *command) *int { return &c.weight }},
	upperThreshold: {0, math.MaxInt32, "illegal u_threshold specified", func(c *command) *int { return &c.upper }},
	lowerThreshold: {0, math.MaxInt32, "illegal l_threshold specified", func(c *command) *int { return &c.lower }},
	syncID:         {0, 255, "illegal syncid specified", nil},
	mcastPort:      {1, 65535, "illegal mcast-port specified", nil},
	mcastTTL:       {1, 255, "illegal mcast-ttl specified", nil},
	syncMaxLen:     {1, 65535 - 20 - 8, "illegal sync-maxlen specified", nil},
	tunPort:        {1, 65535, "illegal tunnel port specified", nil},
}

func (c *command) parseNumber(o id, text string) error {
	switch o {
	case tunType:
		if !slices.Contains([]string{"ipip", "gue", "gre"}, text) {
			return usage("illegal tunnel type specified")
		}
		return nil
	case mcastGroup:
		return checkGroup(text)
	}
	rule, ok := numbers[o]
	if !ok {
		return nil // an option without a value
	}
	n, ok := number(text, rule.least, rule.most)
	if !ok {
		return usage("%s", rule.message)
	}
	if rule.field != nil {
		*rule.field(c) = n
	}
	return nil
}

func checkGroup(text string) error {
	family := "IPv4"
	if strings.Contains(text, ":") {
		family = "IPv6"
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || !addr.IsMulticast() || addr.Zone() != "" {
		return usage("invalid %s mcast-group `%s'", family, text)
	}
	return nil
}

func parseTimeout(text string, least int, to *int) error {
	n, ok := number(text, least, maxTimeout)
	if !ok {
		return usage("invalid timeout value `%s' specified", text)
	}
	*to = n
	return nil
}

func (c *command) parseService(p parsed, names Names) error {
	if p.option.sign == 'f' {
		var err error
		c.service.addr = netip.IPv4Unspecified()
		c.service.mark, err = parseMark(p.value)
		return err
	}
	c.service.protocol = map[byte]uint8{'t': tcp, 'u': udp, 's': sctp}[p.option.sign]
	return parseVirtual(p.value, &c.service, names)
}

// parseServer reads a realserver, whose port is the service's unless it has one
// of its own.
func (c *command) parseServer(text string, names Names) error {
	c.server = target{protocol: c.service.protocol}
	if !c.service.address().ManyPorts() {
		c.server.port = c.service.port
	}
	if ok, _ := parseTarget(text, &c.server, names); !ok {
		return usage("illegal real server address[:port] specified")
	}
	return nil
}

func (c *command) parseNetmask(text string, names Names) error {
	if c.service.addr.Is6() {
		if n, ok := number(text, 1, 128); !ok || n == 0 {
			return usage("illegal ipv6 netmask specified")
		}
		return nil
	}
	addr, ok := parseHost(text, names)
	if !ok || !addr.Is4() {
		return usage("illegal virtual server persistent mask specified")
	}
	b := addr.As4()
	c.netmask = binary.BigEndian.Uint32(b[:])
	return nil
}

// arguments takes in the words that are no options.
func (c *command) arguments(args []string) error {
	if c.verb == setTimeouts {
		if len(args) < len(c.timeouts) {
			return usage("--set option requires 3 timeout values")
		}
		for i := range c.timeouts {
			if err := parseTimeout(args[i], 0, &c.timeouts[i]); err != nil {
				return err
			}
		}
		args = args[len(c.timeouts):]
	}
	if len(args) > 0 {
		return usage("unexpected argument %s", args[0])
	}
	return nil
}

// parseFlags turns the numbered flags into the scheduler's own, and refuses
// those of another scheduler.
func (c *command) parseFlags() error {
	name := c.schedulerOrDefault()
	for i, flag := range c.flags {
		switch flag {
		case "flag-1", "flag-2", "flag-3":
			c.flags[i] = config.NumberedFlag(name, flag)
			continue
		}
		switch owner := config.SetFlag(new(scheduler.Flags), flag); owner {
		case name:
		case "":
			return usage("invalid scheduler flag `%s'", flag)
		default:
			return usage("incompatible scheduler flag `%s'", flag)
		}
	}
	return nil
}

func (c *command) schedulerOrDefault() string {
	if c.scheduler == "" {
		return defaultScheduler
	}
	return c.scheduler
}

// spec is the service that the command describes, without realservers.
func (c *command) spec() scheduler.ServiceSpec {
	spec := scheduler.ServiceSpec{
		Address:   c.service.address(),
		Protocol:  c.service.protocol,
		Scheduler: c.schedulerOrDefault(),
		OnePacket: c.given[onePacket],
	}
	for _, flag := range c.flags {
		config.SetFlag(&spec.Flags, flag)
	}
	if c.given[persistent] {
		spec.Persistence = time.Duration(c.persistence) * time.Second
		if c.netmask != allOnes {
			spec.Netmask = c.netmask
		}
	}
	return spec
}

// serverSpec is the realserver that the command describes.
func (c *command) serverSpec() scheduler.RealserverSpec {
	return scheduler.RealserverSpec{Address: c.serverAddress(), Weight: c.weight, Upper: c.upper, Lower: c.lower}
}

// serverAddress is where the realserver listens. Port 0 means the port that the
// client asked for (ip_vs_schedule in ip_vs_core.c), which a service with a
// single port knows.
func (c *command) serverAddress() netip.AddrPort {
	port := c.server.port
	if port == 0 && !c.service.address().ManyPorts() {
		port = c.service.port
	}
	return netip.AddrPortFrom(c.server.addr, port)
}
