package ipvsadm

// An id tells options apart; long and short names of one option share it.
type id int

// The options that take part in the rules of what goes together, in ipvsadm's
// order: when several rules are broken, the first one is reported.
const (
	numeric id = iota
	connections
	service
	schedulerName
	persistent
	netmask
	realserver
	forwarding
	weight
	upperThreshold
	lowerThreshold
	mcastInterface
	timeout
	daemon
	stats
	rate
	thresholds
	persistentConn
	noSort
	syncID
	exact
	onePacket
	engine
	flags
	mcastGroup
	mcastPort
	mcastTTL
	syncMaxLen
	tunInfo
	tunType
	tunPort
	tunNoCsum
	tunCsum
	tunRemCsum
	dryRun
	ruled // their number
)

// Options without a rule, and the commands.
const (
	sort id = ruled + 1 + iota
	ipv6
	firstCommand
	addService
	editService
	deleteService
	clearAll
	list
	addServer
	deleteServer
	editServer
	setTimeouts
	startDaemon
	stopDaemon
	restore
	save
	zero
	help
	version
)

// ruledNames are what messages call the options.
var ruledNames = [ruled]string{
	"numeric", "connection", "service-address", "scheduler", "persistent", "netmask", "real-server",
	"forwarding-method", "weight", "u-threshold", "l-threshold", "mcast-interface", "timeout", "daemon",
	"stats", "rate", "thresholds", "persistent-conn", "nosort", "syncid", "exact", "ops", "pe", "sched-flags",
	"mcast-group", "mcast-port", "mcast-ttl", "sync-maxlen", "tun-info", "tun-type", "tun-port", "tun-nocsum",
	"tun-csum", "tun-remcsum", "dry-run",
}

// commandNames are what messages call the commands.
var commandNames = map[id]string{
	addService: "add-service", editService: "edit-service", deleteService: "delete-service",
	clearAll: "flush", list: "list", addServer: "add-server", deleteServer: "delete-server",
	editServer: "edit-server", setTimeouts: "set", startDaemon: "start-daemon", stopDaemon: "stop-daemon",
	restore: "restore", save: "save", zero: "zero",
}

// Whether an option has a value.
type valued int

const (
	noValue valued = iota
	hasValue
	mayHaveValue
)

// An option is one name of an option.
type option struct {
	long  string
	short byte // 0: none
	id    id
	value valued
	sign  byte // tells -t from -u, and -m from -g, where they share an id
}

var options = []option{
	{"add-service", 'A', addService, noValue, 0},
	{"edit-service", 'E', editService, noValue, 0},
	{"delete-service", 'D', deleteService, noValue, 0},
	{"clear", 'C', clearAll, noValue, 0},
	{"list", 'L', list, noValue, 0},
	{"", 'l', list, noValue, 0},
	{"zero", 'Z', zero, noValue, 0},
	{"add-server", 'a', addServer, noValue, 0},
	{"edit-server", 'e', editServer, noValue, 0},
	{"delete-server", 'd', deleteServer, noValue, 0},
	{"set", 0, setTimeouts, noValue, 0},
	{"help", 'h', help, noValue, 0},
	{"version", 'v', version, noValue, 0},
	{"restore", 'R', restore, noValue, 0},
	{"save", 'S', save, noValue, 0},
	{"start-daemon", 0, startDaemon, hasValue, 0},
	{"stop-daemon", 0, stopDaemon, hasValue, 0},
	{"tcp-service", 't', service, hasValue, 't'},
	{"udp-service", 'u', service, hasValue, 'u'},
	{"sctp-service", 0, service, hasValue, 's'},
	{"fwmark-service", 'f', service, hasValue, 'f'},
	{"scheduler", 's', schedulerName, hasValue, 0},
	{"persistent", 'p', persistent, mayHaveValue, 0},
	{"netmask", 'M', netmask, hasValue, 0},
	{"real-server", 'r', realserver, hasValue, 0},
	{"masquerading", 'm', forwarding, noValue, 'm'},
	{"ipip", 'i', forwarding, noValue, 'i'},
	{"gatewaying", 'g', forwarding, noValue, 'g'},
	{"weight", 'w', weight, hasValue, 0},
	{"u-threshold", 'x', upperThreshold, hasValue, 0},
	{"l-threshold", 'y', lowerThreshold, hasValue, 0},
	{"numeric", 'n', numeric, noValue, 0},
	{"connection", 'c', connections, noValue, 0},
	{"mcast-interface", 0, mcastInterface, hasValue, 0},
	{"syncid", 0, syncID, hasValue, 0},
	{"timeout", 0, timeout, noValue, 0},
	{"daemon", 0, daemon, noValue, 0},
	{"stats", 0, stats, noValue, 0},
	{"rate", 0, rate, noValue, 0},
	{"thresholds", 0, thresholds, noValue, 0},
	{"persistent-conn", 0, persistentConn, noValue, 0},
	{"nosort", 0, noSort, noValue, 0},
	{"sort", 0, sort, noValue, 0},
	{"exact", 'X', exact, noValue, 0},
	{"ipv6", '6', ipv6, noValue, 0},
	{"ops", 'o', onePacket, noValue, 0},
	{"pe", 0, engine, hasValue, 0},
	{"sched-flags", 'b', flags, hasValue, 0},
	{"mcast-group", 0, mcastGroup, hasValue, 0},
	{"mcast-port", 0, mcastPort, hasValue, 0},
	{"mcast-ttl", 0, mcastTTL, hasValue, 0},
	{"sync-maxlen", 0, syncMaxLen, hasValue, 0},
	{"tun-info", 0, tunInfo, noValue, 0},
	{"tun-type", 0, tunType, hasValue, 0},
	{"tun-port", 0, tunPort, hasValue, 0},
	{"tun-nocsum", 0, tunNoCsum, noValue, 0},
	{"tun-csum", 0, tunCsum, noValue, 0},
	{"tun-remcsum", 0, tunRemCsum, noValue, 0},
	{"dry-run", 0, dryRun, noValue, 0},
}

func shortOption(name byte) (option, bool) {
	for _, o := range options {
		if o.short == name {
			return o, true
		}
	}
	return option{}, false
}

func longOption(name string) (option, bool) {
	for _, o := range options {
		if o.long == name && name != "" {
			return o, true
		}
	}
	return option{}, false
}
