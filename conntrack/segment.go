package conntrack

// A Segment is what [Table.ObserveSegment] looks at of a TCP segment, in host
// order.
type Segment struct {
	Sequence       uint32
	Acknowledgment uint32 // of no meaning without ACK
	Length         uint32 // of the data, in bytes; of a super-packet all of it
	Flags          uint8  // the low byte of TCP's flags field
}

// has reports whether one of the flags is set.
func (s *Segment) has(flags uint8) bool { return s.Flags&flags != 0 }

// end returns the sequence number behind the segment. SYN and FIN take one each
// (RFC 9293 section 3.4).
func (s *Segment) end() uint32 {
	end := s.Sequence + s.Length
	if s.has(flagSYN) {
		end++
	}
	if s.has(flagFIN) {
		end++
	}
	return end
}

// numbers are what a table of profile RFC knows of a connection's sequence
// numbers, both by direction. They lie beside the entries, not in them, so that
// a table of profile IPVS has none.
//
// Replies come from the realservers' side and are believed. Requests may come
// from anybody who writes the client's address into them, so they move nothing
// beyond what the two ends have really said: data counts when it continues what
// was there, and an acknowledgment when what it acknowledges has been sent.
type numbers struct {
	next  [2]uint32 // behind the last byte of all that was sent: what its receiver expects next, when it has got all that passed here
	acked [2]uint32 // the furthest acknowledgment that was sent: what its sender expects of the other end
}

// numbersSize is the size of numbers, in bytes.
const numbersSize = 16

// maxWindow is the largest window there is (RFC 7323 section 2.3).
const maxWindow = 1 << 30

// lately is how many bytes, at most, a connection is taken to have carried when
// a copy of its first segment can still come.
const lately = 1 << 24

// after reports whether sequence number a comes after b (RFC 9293 section 3.4).
func after(a, b uint32) bool { return int32(a-b) > 0 }

// between reports whether n is one of first, ..., last.
func between(first, n, last uint32) bool { return n-first <= last-first }

// ObserveSegment is [Table.Observe] for a segment of a TCP connection in a
// table of profile [RFC]. The states have IPVS's names, and this is the state
// machine of RFC 6146 section 3.5.2, which RFC 7857 section 2 recommends:
//
//	            client's SYN            realserver's SYN         client's ACK of it
//	NONE -----------------------> SYN_RECV ----------> SYNACK ----------> ESTABLISHED
//
//	             client's FIN -> CLOSE_WAIT  realserver's FIN
//	ESTABLISHED <                           >--------------------> TIME_WAIT
//	             realserver's -> FIN_WAIT    client's FIN
//
//	            exact RST          anything else
//	any of them ----------> CLOSE --------------> ESTABLISHED
//
// It differs from RFC 6146 in these points. A connection is established not by
// the second SYN but by its acknowledgment, with the right number; so a flood of
// SYNs under false addresses leaves half-open connections only. A reset closes
// half-closed connections, too. CLOSE leads back only to what was established
// before, or a SYN, its reset and an ACK, all under a false address, would make
// a connection. And a reset counts only when its number is exactly the one that
// its receiver expects: any other is ignored there, or challenged when it is in
// the window (RFC 5961 section 3.2, RFC 9293 section 3.10.7.4).
//
// What changes nothing, such as a reset that does not count, does not prolong
// the connection's life either (RFC 7857 section 7).
func (t *Table) ObserveSegment(e *Entry, dir Direction, s Segment, now Ticks) int {
	state, alive := t.numbers[e.self].observe(e.State, e.flags&proven != 0, dir, &s)
	if !alive {
		return 0
	}
	e.lastSeen = now
	flags := e.flags
	if dir == Reply {
		flags |= replied
	}
	switch state {
	case SynRecv, SynAck:
		flags &^= proven
	case Established, CloseWait, FinWait:
		flags |= proven
	}
	if state == e.State && flags == e.flags {
		return 0
	}
	return t.move(e, state, flags)
}

// observe returns the state after a segment, and whether the segment keeps the
// connection alive. Proven tells that the handshake was completed.
func (n *numbers) observe(state State, proven bool, dir Direction, s *Segment) (next State, alive bool) {
	switch {
	case s.has(flagRST):
		return n.reset(state, dir, s)
	case s.has(flagSYN) && dir == Request:
		return n.requestSYN(state, s)
	case s.has(flagSYN):
		return n.replySYN(state, s)
	case !s.has(flagACK):
		return state, false // its receiver drops it (RFC 9293 section 3.10.7.4, fifth)
	}
	switch state {
	case None, SynRecv:
		// A realserver that still has an earlier connection challenges the
		// SYN (RFC 5961 section 4.2); and nobody else has anything to say yet.
		return state, dir == Reply
	case SynAck:
		if dir == Reply {
			n.follow(dir, s) // data that answers data in the SYN (RFC 7413 section 4.2)
			return state, true
		}
		if !n.completes(s) {
			return state, false
		}
		state = Established
	case Close:
		if !proven {
			return state, false
		}
		state = Established // RFC 6146 section 3.5.2.2, TRANS
	}
	n.follow(dir, s)
	if s.has(flagFIN) && n.inWindow(dir, s.end()) {
		state = closedBy(state, dir)
	}
	return state, true
}

// reset goes on with an RST. A closed connection stays as long as it would
// without (RFC 6146 section 3.5.2.2: V4 FIN + V6 FIN RCV, and TRANS).
func (n *numbers) reset(state State, dir Direction, s *Segment) (next State, alive bool) {
	exact := s.Sequence == n.next[dir] || s.Sequence == n.acked[1-dir]
	if dir == Reply && (state == SynRecv || state == SynAck) {
		// A client that has no answer yet looks whether the reset acknowledges
		// its SYN (RFC 9293 section 3.10.7.3).
		exact = exact && state == SynAck || s.has(flagACK) && s.Acknowledgment == n.next[Request]
	}
	if !exact || state == None || state == TimeWait || state == Close {
		return state, false
	}
	return Close, true
}

// requestSYN goes on with a client's SYN. Once the realserver has answered one,
// it decides what another one means: it challenges it, and the client resets the
// old connection if it has forgotten it (RFC 5961 section 4.2).
func (n *numbers) requestSYN(state State, s *Segment) (next State, alive bool) {
	switch state {
	case SynAck:
		if s.Sequence+1 == n.next[Request] && n.completes(s) {
			return Established, true // both ends opened at the same time
		}
		return state, false
	case Established, CloseWait, FinWait:
		return state, false
	}
	n.next[Request] = s.end()
	n.acked[Reply] = s.Sequence // nothing of it yet
	return SynRecv, true
}

// replySYN goes on with a realserver's SYN, which has ACK unless both ends
// open at the same time.
func (n *numbers) replySYN(state State, s *Segment) (next State, alive bool) {
	switch state {
	case SynRecv:
		if s.has(flagACK) && !between(n.acked[Reply], s.Acknowledgment, n.next[Request]) {
			return state, true // of an earlier connection
		}
	case SynAck, Established, CloseWait, FinWait:
		switch {
		case !s.has(flagACK):
			return state, false
		case state == SynAck && s.Sequence == n.acked[Request]:
			n.follow(Reply, s) // repeated, or with the ACK of a client that opened at the same time
			return state, true
		case between(n.next[Reply]-lately, s.end(), n.next[Reply]) &&
			between(n.acked[Reply]-lately, s.Acknowledgment, n.next[Request]):
			return state, false // repeated: the client's ACK was lost, or data has overtaken it
		}
		// With a connection of these ends, it would have challenged the
		// client's SYN: it knows of none any more, and opens a new one.
		n.next[Request] = s.Acknowledgment
	default:
		return state, false
	}
	n.next[Reply] = s.end()
	n.acked[Request] = s.Sequence
	if s.has(flagACK) {
		n.acked[Reply] = s.Acknowledgment
	}
	return SynAck, true
}

// completes reports whether a request in SYNACK acknowledges the realserver's
// SYN, whose number is in acked until then, and fits the realserver's window,
// with one number for the client's SYN or a keep-alive before it.
func (n *numbers) completes(s *Segment) bool {
	return s.has(flagACK) && between(n.acked[Request]+1, s.Acknowledgment, n.next[Reply]) &&
		between(n.acked[Reply]-1, s.Sequence, n.acked[Reply]+maxWindow)
}

// follow moves the numbers on with a segment that has ACK.
func (n *numbers) follow(dir Direction, s *Segment) {
	end, ack := s.end(), s.Acknowledgment
	if dir == Request {
		if !after(s.Sequence, n.next[Request]) && after(end, n.next[Request]) {
			n.next[Request] = end
		}
		if after(ack, n.acked[Request]) && !after(ack, n.next[Reply]) {
			n.acked[Request] = ack
		}
		return
	}
	if after(end, n.next[Reply]) {
		n.next[Reply] = end
	}
	if after(ack, n.acked[Reply]) {
		n.acked[Reply] = ack
		// It has received more than was seen in order: a segment had been
		// lost before it came here and was then sent again.
		if after(ack, n.next[Request]) {
			n.next[Request] = ack
		}
	}
}

// inWindow reports whether a segment that ends there can be new to its
// receiver and fit its window.
func (n *numbers) inWindow(dir Direction, end uint32) bool {
	return between(n.acked[1-dir], end, n.acked[1-dir]+maxWindow)
}

// closedBy returns the state after a FIN. Only both close the connection
// (RFC 6146 section 3.5.2.2).
func closedBy(state State, dir Direction) State {
	switch {
	case state == Established && dir == Request:
		return CloseWait
	case state == Established:
		return FinWait
	case state == CloseWait && dir == Reply, state == FinWait && dir == Request:
		return TimeWait
	}
	return state
}
