package conntrack

// A State is where a connection is in its life, with the meaning that IPVS
// gives it (ip_vs_proto_tcp.c, tcp_states). UDP knows a single one.
type State uint8

// The states, in the order of enum ip_vs_tcp_states (include/net/ip_vs.h),
// which the listings and the sync protocol of IPVS use too.
const (
	None        State = iota // no packet was looked at yet
	Established              // data may flow both ways
	SynSent                  // the realserver sent the first SYN
	SynRecv                  // the client's SYN was seen
	FinWait                  // the realserver closed first
	TimeWait                 // both ends closed
	Close                    // reset
	CloseWait                // the client closed first
	LastAck                  // the last acknowledgement is awaited
	Listen                   // of IPVS's table, never reached from None
	SynAck                   // a SYN was answered; IPVS's table under secure_tcp uses it
	UDP                      // a UDP exchange

	numStates
)

// stateInfo is what there is to know of one state.
type stateInfo struct {
	name   string
	active bool  // tcp_state_active_table of ip_vs_proto_tcp.c
	worth  worth // of an entry whose realserver has answered
}

var states = [numStates]stateInfo{
	None:        {"NONE", false, halfOpen},
	Established: {"ESTABLISHED", true, keep},
	SynSent:     {"SYN_SENT", true, halfOpen},
	SynRecv:     {"SYN_RECV", true, halfOpen},
	FinWait:     {"FIN_WAIT", false, keep},
	TimeWait:    {"TIME_WAIT", false, closing},
	Close:       {"CLOSE", false, closing},
	CloseWait:   {"CLOSE_WAIT", false, keep},
	LastAck:     {"LAST_ACK", false, closing},
	Listen:      {"LISTEN", false, keep},
	SynAck:      {"SYNACK", true, halfOpen},
	UDP:         {"UDP", false, keep},
}

// String returns the state's name as `ipvsadm -Lnc` prints it.
func (s State) String() string {
	if s < numStates {
		return states[s].name
	}
	return "ERR!"
}

// Active reports whether IPVS counts a connection in this state in ActiveConn:
// it is established or about to be.
func (s State) Active() bool { return s < numStates && states[s].active }

// Evictable reports whether a connection in this state may make way for a new
// one when the table is full: it is half-open or closing. An entry whose
// realserver never answered may make way in any state, see [Entry.Evictable].
func (s State) Evictable() bool { return s < numStates && states[s].worth != keep }

// worth says whether an entry is worth its memory when the table is full.
type worth uint8

const (
	keep     worth = iota // established, or closing with data still to flow
	halfOpen              // opened, not established
	closing               // over, only late packets are awaited
)

// worthOf returns the worth of an entry by its state and whether a packet of
// its realserver was seen. Without one there is only the client's word for
// the connection: IPVS's table takes a SYN and an ACK of any content for an
// established connection, and both can be sent under a false address.
func worthOf(s State, replied bool) worth {
	w := states[s].worth
	if w == keep && !replied {
		return halfOpen
	}
	return w
}

// A Direction is the way of a packet through the director.
type Direction uint8

// The directions.
const (
	Request Direction = iota // from the client to the realserver
	Reply                    // from the realserver to the client
)

// An event is what a TCP packet means to the state machine.
type event uint8

const (
	onSYN event = iota
	onFIN
	onACK
	onRST
	onNothing // none of the four flags is set

	numEvents
)

// transitions says where a packet leads: by direction, event and the state
// before. It is tcp_states of ip_vs_proto_tcp.c in Linux 6, in the layout that
// it has there; a packet with none of the flags closes, as in set_tcp_state.
var transitions = func() [2][numEvents][numStates]State {
	const (
		no = None
		es = Established
		ss = SynSent
		sr = SynRecv
		fw = FinWait
		tw = TimeWait
		cl = Close
		cw = CloseWait
		la = LastAck
		li = Listen
		sa = SynAck
	)
	return [2][numEvents][numStates]State{
		Request: {
			//          NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA
			onSYN:     {sr, es, es, sr, sr, sr, sr, sr, sr, sr, sr},
			onFIN:     {cl, cw, ss, tw, tw, tw, cl, cw, la, li, tw},
			onACK:     {es, es, ss, es, fw, tw, cl, cw, cl, li, es},
			onRST:     {cl, cl, cl, sr, cl, cl, cl, cl, la, li, sr},
			onNothing: {cl, cl, cl, cl, cl, cl, cl, cl, cl, cl, cl},
		},
		Reply: {
			//          NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA
			onSYN:     {ss, es, ss, sr, ss, ss, ss, ss, ss, li, sr},
			onFIN:     {tw, fw, ss, tw, fw, tw, cl, tw, la, li, tw},
			onACK:     {es, es, ss, es, fw, tw, cl, cw, la, es, es},
			onRST:     {cl, cl, ss, cl, cl, tw, cl, cl, cl, cl, cl},
			onNothing: {cl, cl, cl, cl, cl, cl, cl, cl, cl, cl, cl},
		},
	}
}()

// TCP flags (RFC 9293 section 3.1), the bits below PSH's and ACK's included.
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK

	numFlags = 1 << iota
)

// eventOf maps the lower five TCP flags to their event. RST goes before SYN,
// SYN before FIN and FIN before ACK, as in tcp_state_idx of ip_vs_proto_tcp.c;
// so a SYN with ACK is a SYN.
var eventOf = func() (events [numFlags]event) {
	for flags := range events {
		switch {
		case flags&flagRST != 0:
			events[flags] = onRST
		case flags&flagSYN != 0:
			events[flags] = onSYN
		case flags&flagFIN != 0:
			events[flags] = onFIN
		case flags&flagACK != 0:
			events[flags] = onACK
		default:
			events[flags] = onNothing
		}
	}
	return events
}()

// afterFlags is transitions by the lower five TCP flags instead of their event,
// and keeps UDP what it is. It has as many states as four bits have, so that a
// look-up is one load, of which no index need be checked.
var afterFlags = func() (after [2][numFlags][1 << 4]State) {
	for dir := range after {
		for flags, event := range eventOf {
			copy(after[dir][flags][:], transitions[dir][event][:])
			after[dir][flags][UDP] = UDP
		}
	}
	return after
}()

// next returns the state after a packet with the given flags, which mean nothing
// to UDP.
func (s State) next(dir Direction, flags uint8) State {
	return afterFlags[dir%2][flags%numFlags][s%(1<<4)]
}
