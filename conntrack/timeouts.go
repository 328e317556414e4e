package conntrack

import "time"

// A Profile says by which rules a table follows TCP connections.
type Profile uint8

const (
	// IPVS does what the kernel's IPVS does: see [Table.Observe].
	IPVS Profile = iota

	// RFC does what RFC 5382, 7857 and 6146 ask of a NAT: see
	// [Table.ObserveSegment]. It needs 16 bytes more for a connection.
	RFC

	numProfiles
)

// String returns the profile's name in a configuration.
func (p Profile) String() string {
	if p == RFC {
		return "rfc"
	}
	return "ipvs"
}

// Timeouts returns the profile's timeouts.
func (p Profile) Timeouts() Timeouts {
	return Timeouts{profile: p}
}

// Timeouts says how long a connection may be idle in each state. It belongs to
// a profile; the zero value has IPVS's timeouts. Values may be copied and
// compared.
type Timeouts struct {
	profile Profile
	changed [numStates]time.Duration // 0: the profile's
}

// Both are as long as RFC 5382 section 5, REQ-5 allows a NAT to forget an idle
// connection at the earliest, with the four minutes of RFC 7857 section 2.1
// for connections that open, close or were reset.
const (
	rfcEstablished = 2*time.Hour + 4*time.Minute
	rfcTransitory  = 4 * time.Minute
)

// defaultTimeouts are those of each profile.
//
// IPVS's are tcp_timeouts of ip_vs_proto_tcp.c and udp_timeouts of
// ip_vs_proto_udp.c. No packet leads to NONE, so its value is what
// ip_vs_conn_new gives a connection before its first packet is looked at, not
// the two seconds of the table there.
//
// The RFC's UDP is the recommendation of RFC 4787 section 4.3, REQ-5c. A
// connection that only one end has closed is established (RFC 6146 section
// 3.5.2.2: the FIN RCV states). States that it never reaches have no timeout.
var defaultTimeouts = [numProfiles][numStates]time.Duration{
	IPVS: {
		None:        3 * time.Second,
		Established: 15 * time.Minute,
		SynSent:     2 * time.Minute,
		SynRecv:     1 * time.Minute,
		FinWait:     2 * time.Minute,
		TimeWait:    2 * time.Minute,
		Close:       10 * time.Second,
		CloseWait:   1 * time.Minute,
		LastAck:     30 * time.Second,
		Listen:      2 * time.Minute,
		SynAck:      2 * time.Minute,
		UDP:         5 * time.Minute,
	},
	RFC: {
		None:        3 * time.Second,
		SynRecv:     rfcTransitory,
		SynAck:      rfcTransitory,
		Established: rfcEstablished,
		FinWait:     rfcEstablished,
		CloseWait:   rfcEstablished,
		TimeWait:    rfcTransitory,
		Close:       rfcTransitory,
		UDP:         5 * time.Minute,
	},
}

// DefaultTimeouts returns the timeouts of IPVS.
func DefaultTimeouts() Timeouts {
	return IPVS.Timeouts()
}

// Set changes what `ipvsadm --set tcp tcpfin udp` does: the timeouts of
// ESTABLISHED, FIN_WAIT and UDP; under [RFC] tcp is for connections that are
// open in one direction at least, and tcpfin for those that were closed by both
// ends or reset. Zero or less keeps the present value.
func (t *Timeouts) Set(tcp, tcpfin, udp time.Duration) {
	if t.profile == RFC {
		t.set(tcp, Established, FinWait, CloseWait)
		t.set(tcpfin, TimeWait, Close)
	} else {
		t.set(tcp, Established)
		t.set(tcpfin, FinWait)
	}
	t.set(udp, UDP)
}

// SetOpening changes how long a connection may take to be established; only
// RFC 7857 section 2.1 asks for this. Zero or less keeps the present value.
func (t *Timeouts) SetOpening(d time.Duration) {
	t.set(d, SynRecv, SynAck)
}

func (t *Timeouts) set(d time.Duration, states ...State) {
	if d <= 0 {
		return
	}
	for _, s := range states {
		t.changed[s] = d
	}
}

// Of returns how long a connection may be idle in state s.
func (t Timeouts) Of(s State) time.Duration {
	if s >= numStates {
		return 0
	}
	if d := t.changed[s]; d != 0 {
		return d
	}
	return defaultTimeouts[t.profile][s]
}

// ticks converts all timeouts for the table's use.
func (t Timeouts) ticks() (ticks [numStates]Ticks) {
	for s := range numStates {
		ticks[s] = TicksFor(t.Of(s))
	}
	return ticks
}
