package ipvsadm

import "fmt"

// Exit codes, as ipvsadm's.
const (
	exitDone  = 0
	exitList  = 1   // a listing failed
	exitUsage = 2   // the command line is wrong, or there is no director
	exitError = 255 // the director refused, or popt did
)

// A failure ends a command with a message on stderr.
type failure struct {
	text string
	exit int
}

// Error returns the message.
func (f failure) Error() string { return f.text }

// usage says what is wrong with a command line.
func usage(format string, args ...any) error {
	return failure{text: fmt.Sprintf(format, args...), exit: exitUsage}
}

// Refusals, in the words that ipvsadm has for the kernel's error numbers.
var (
	errServiceExists = failure{"Service already exists", exitError}
	errNoService     = failure{"No such service", exitError}
	errNotDefined    = failure{"Service not defined", exitError}
	errServerExists  = failure{"Destination already exists", exitError}
	errNoServer      = failure{"No such destination", exitError}
	errNoScheduler   = failure{"Scheduler or persistence engine not found", exitError}
	errRange         = failure{"Numerical result out of range", exitError}
	errInvalid       = failure{"Invalid operation.  Possibly wrong module version, address not unicast, ...", exitError}
	errIPv6          = failure{"Operation not supported with IPv6", exitError}
	errNoDaemon      = failure{"No daemon is running", exitError}
)

// Refusals that ipvsadm does not know.
var (
	errMark = failure{"The director knows no firewall marks: packets reach it before the kernel's rules could mark them. " +
		"Add a service for each address and port, or one with port 0 and -p for all ports of an address", exitError}
	errSCTP       = failure{"The director balances TCP and UDP: SCTP is not supported", exitError}
	errSyncDaemon = failure{"The director has no sync daemon yet: connections are not sent to another director", exitError}
	errAllClients = failure{"A netmask of 0.0.0.0 would bind all clients together to one realserver: write a longer one", exitError}
)
