package ipvsadm

// What a command says to an option.
type rule byte

const (
	illegal   rule = iota
	optional       // may be there
	required       // must be there
	exclusive      // at most one of these may be there
)

// rules say which options go with which command; those that are not named are
// illegal with it.
var rules = map[id]map[id]rule{
	addService:    serviceRules,
	editService:   serviceRules,
	deleteService: {service: required},
	clearAll:      {},
	list: {
		numeric: optional, connections: exclusive, service: exclusive, timeout: exclusive, daemon: exclusive,
		stats: optional, rate: optional, thresholds: optional, persistentConn: optional, noSort: optional,
		syncID: optional, exact: optional, tunInfo: optional,
	},
	addServer:    serverRules,
	deleteServer: {service: required, realserver: required},
	editServer:   serverRules,
	setTimeouts:  {},
	startDaemon: {
		mcastInterface: optional, syncID: optional, mcastGroup: optional, mcastPort: optional,
		mcastTTL: optional, syncMaxLen: optional,
	},
	stopDaemon: {syncID: optional},
	restore:    {dryRun: optional},
	save:       {numeric: optional},
	zero:       {service: optional},
}

var serviceRules = map[id]rule{
	service: required, schedulerName: optional, persistent: optional, netmask: optional,
	onePacket: optional, engine: optional, flags: optional,
}

var serverRules = map[id]rule{
	service: required, realserver: required, forwarding: optional, weight: optional,
	upperThreshold: optional, lowerThreshold: optional, tunType: optional, tunPort: optional,
	tunNoCsum: optional, tunCsum: optional, tunRemCsum: optional,
}

// check refuses options that do not go with the command or with one another.
func (c *command) check() error {
	if err := c.checkRules(); err != nil {
		return err
	}
	switch c.verb {
	case addService, editService:
		return c.checkService()
	case addServer, editServer:
		return c.checkServer()
	case list:
		return c.checkList()
	}
	return nil
}

func (c *command) checkRules() error {
	last := ruled
	for o := range ruled {
		rule := rules[c.verb][o]
		switch given := c.given[o]; {
		case !given && rule == required:
			return usage("You need to supply the '%s' option for the '%s' command", ruledNames[o], commandNames[c.verb])
		case !given:
		case rule == illegal:
			return usage("Illegal '%s' option with the '%s' command", ruledNames[o], commandNames[c.verb])
		case rule == exclusive && last != ruled:
			return usage("The option '%s' conflicts with the '%s' option in the '%s' command", ruledNames[o], ruledNames[last], commandNames[c.verb])
		case rule == exclusive:
			last = o
		}
	}
	return nil
}

func (c *command) checkService() error {
	if c.service.mark == 0 && c.service.port == 0 && !c.given[persistent] {
		return usage("Zero port specified for non-persistent service")
	}
	if c.given[onePacket] && c.service.mark == 0 && c.service.protocol != udp {
		return usage("One-Packet Scheduling is only for UDP virtual services")
	}
	return nil
}

func (c *command) checkServer() error {
	switch c.forward {
	case 'g':
		return usage("The director only masquerades, which routes replies back through it: leave -g away, or write -m")
	case 'i':
		return usage("The director only masquerades, and realservers need no tunnel for that: leave -i away, or write -m")
	}
	if c.server.addr.Is4() != c.service.addr.Is4() {
		return usage("Different address family is allowed only for tunneling servers")
	}
	for _, o := range []id{tunType, tunPort, tunNoCsum, tunCsum, tunRemCsum} {
		if c.given[o] {
			return usage("Tunnel options conflict with forward method")
		}
	}
	return nil
}

func (c *command) checkList() error {
	counters := c.given[stats] || c.given[rate] || c.given[thresholds]
	settings := c.given[timeout] || c.given[daemon]
	if (c.given[connections] || settings) && counters || settings && c.given[persistentConn] {
		return usage("options conflicts in the list command")
	}
	return nil
}
