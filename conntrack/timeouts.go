package conntrack

import "time"

// Timeouts says how long a connection may be idle in each state. The zero
// value has IPVS's timeouts. Values may be copied and compared.
type Timeouts struct {
	changed [numStates]time.Duration // 0: IPVS's
}

// ipvsTimeouts are tcp_timeouts of ip_vs_proto_tcp.c and udp_timeouts of
// ip_vs_proto_udp.c. No packet leads to NONE, so its value is what
// ip_vs_conn_new gives a connection before its first packet is looked at, not
// the two seconds of the table there.
var ipvsTimeouts = [numStates]time.Duration{
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
}

// DefaultTimeouts returns the timeouts of IPVS.
func DefaultTimeouts() Timeouts {
	return Timeouts{}
}

// Set changes what `ipvsadm --set tcp tcpfin udp` does: the timeouts of
// ESTABLISHED, FIN_WAIT and UDP. Zero or less keeps the present value.
func (t *Timeouts) Set(tcp, tcpfin, udp time.Duration) {
	for state, d := range map[State]time.Duration{Established: tcp, FinWait: tcpfin, UDP: udp} {
		if d > 0 {
			t.changed[state] = d
		}
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
	return ipvsTimeouts[s]
}

// ticks converts all timeouts for the table's use.
func (t Timeouts) ticks() (ticks [numStates]Ticks) {
	for s := range numStates {
		ticks[s] = TicksFor(t.Of(s))
	}
	return ticks
}
