package conntrack

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A peer is one end of a TCP connection, as simple as it can be made: it sends
// what it has in any portions, sends again what was not acknowledged, and obeys
// a reset as RFC 5961 says. It has no timers; whoever plays it says when.
type peer struct {
	script   []Segment // all that it will send, in order: SYN, data, FIN
	sent     int       // of these, sent so far
	una      uint32    // what the other end has acknowledged
	expected uint32    // of the other end
	synced   bool      // the other end's SYN is there
	early    []Segment // came before what precedes them
	over     bool      // aborted, or reset
}

// newPeer returns an end that sends data of these lengths.
func newPeer(first uint32, lengths []uint32) *peer {
	p := &peer{una: first, script: []Segment{{Sequence: first, Flags: flagSYN}}}
	for _, length := range lengths {
		p.script = append(p.script, Segment{Sequence: p.script[len(p.script)-1].end(), Length: length})
	}
	p.script = append(p.script, Segment{Sequence: p.script[len(p.script)-1].end(), Flags: flagFIN})
	return p
}

// next is the number behind all that it has sent.
func (p *peer) next() uint32 { return p.script[p.sent-1].end() }

// complete returns a segment as it goes out at this moment.
func (p *peer) complete(s Segment) Segment {
	if p.synced {
		s.Flags |= flagACK
		s.Acknowledgment = p.expected
	}
	return s
}

// send sends one segment more, if it may.
func (p *peer) send() []Segment {
	connected := p.synced && p.una != p.script[0].Sequence
	if p.over || p.sent == len(p.script) || p.sent > 0 && !connected {
		return nil
	}
	p.sent++
	return []Segment{p.complete(p.script[p.sent-1])}
}

// resend sends everything again that was not acknowledged, or a keep-alive.
func (p *peer) resend() (list []Segment) {
	if p.over || p.sent == 0 {
		return nil
	}
	for _, s := range p.script[:p.sent] {
		if after(s.end(), p.una) {
			list = append(list, p.complete(s))
		}
	}
	if len(list) == 0 {
		list = append(list, p.complete(Segment{Sequence: p.next() - 1}))
	}
	return list
}

// abort forgets the connection and says so.
func (p *peer) abort() []Segment {
	if p.over || p.sent == 0 || !p.synced {
		return nil
	}
	p.over = true
	return []Segment{p.complete(Segment{Sequence: p.next(), Flags: flagRST})}
}

// receive takes a segment and returns the answers.
func (p *peer) receive(s Segment) []Segment {
	switch {
	case s.has(flagRST) && p.synced && s.Sequence == p.expected,
		s.has(flagRST) && !p.synced && p.sent > 0 && s.has(flagACK) && s.Acknowledgment == p.next():
		p.over = true
		return nil
	case s.has(flagRST) && (p.over || !p.synced || !between(p.expected, s.Sequence, p.expected+maxWindow)):
		return nil
	case s.has(flagRST):
		return []Segment{p.complete(Segment{Sequence: p.next()})} // challenge
	case p.over && !s.has(flagACK):
		return []Segment{{Acknowledgment: s.end(), Flags: flagRST | flagACK}}
	case p.over:
		return []Segment{{Sequence: s.Acknowledgment, Flags: flagRST}}
	case s.has(flagSYN) && !p.synced:
		p.synced, p.expected = true, s.end()
		p.acknowledged(s)
		if p.sent == 0 {
			return p.send()
		}
		return []Segment{p.complete(Segment{Sequence: p.next()})}
	case !p.synced:
		return nil
	}
	p.acknowledged(s)
	if s.end() == s.Sequence {
		return nil
	}
	p.early = append(p.early, s)
	p.join()
	return []Segment{p.complete(Segment{Sequence: p.next()})}
}

func (p *peer) acknowledged(s Segment) {
	if s.has(flagACK) && after(s.Acknowledgment, p.una) {
		p.una = s.Acknowledgment
	}
}

// join takes over what has come early and is not early any more.
func (p *peer) join() {
	for i := 0; i < len(p.early); i++ {
		if s := p.early[i]; !after(s.Sequence, p.expected) {
			if after(s.end(), p.expected) {
				p.expected = s.end()
			}
			p.early = slices.Delete(p.early, i, i+1)
			i = -1
		}
	}
}

// A conversation is two peers and the director's table between them.
type conversation struct {
	t     *rapid.T
	table *Table
	entry *Entry
	peers [2]*peer // by the direction of what they send
	wire  []onWire
}

type onWire struct {
	Segment
	dir    Direction
	passed bool // the director
}

func (c *conversation) put(dir Direction, segments []Segment) {
	for _, s := range segments {
		c.wire = append(c.wire, onWire{Segment: s, dir: dir})
	}
}

// carry brings one segment a step on.
func (c *conversation) carry(i int) {
	s := &c.wire[i]
	if !s.passed {
		s.passed = true
		if s.Flags == flagSYN && c.entry.State == TimeWait {
			return // a late copy: to the table it is a new connection, which is not the matter here
		}
		c.table.ObserveSegment(c.entry, s.dir, s.Segment, 0)
		return
	}
	dir, segment := s.dir, s.Segment
	c.wire = slices.Delete(c.wire, i, i+1)
	c.put(1-dir, c.peers[1-dir].receive(segment))
}

// drain lets both peers finish over a wire that loses nothing.
func (c *conversation) drain() {
	for range 50 {
		for dir, p := range c.peers {
			for more := p.send(); more != nil; more = p.send() {
				c.put(Direction(dir), more)
			}
			c.put(Direction(dir), p.resend())
		}
		for steps := 0; len(c.wire) > 0; steps++ {
			if steps > 100_000 {
				c.t.Fatalf("the peers never stop: %+v", c.wire)
			}
			c.carry(0)
		}
	}
}

func newConversation(t *rapid.T) *conversation {
	lengths := rapid.SliceOfN(rapid.Uint32Range(1, 60_000), 0, 6)
	c := &conversation{t: t, peers: [2]*peer{
		newPeer(rapid.Uint32().Draw(t, "client's first number"), lengths.Draw(t, "request")),
		newPeer(rapid.Uint32().Draw(t, "realserver's first number"), lengths.Draw(t, "reply")),
	}}
	var err error
	if c.table, err = New(Options{Capacity: 4, Profile: RFC, Timeouts: RFC.Timeouts()}); err != nil {
		t.Fatal(err)
	}
	c.entry = insert(c.table, numbered(1, protocolTCP), 0)
	c.put(Request, c.peers[Request].send())
	return c
}

// rage does these actions in any order and number. With orderly, no segment
// overtakes another one of its direction.
func (c *conversation) rage(orderly bool, actions ...string) {
	dirs := rapid.SampledFrom([]Direction{Request, Reply})
	for _, action := range rapid.SliceOfN(rapid.SampledFrom(actions), 0, 60).Draw(c.t, "actions") {
		dir := dirs.Draw(c.t, "direction")
		aborted := c.peers[Request].over || c.peers[Reply].over
		switch p := c.peers[dir]; action {
		case "send":
			if p.sent > 0 { // the realserver waits for the client
				c.put(dir, p.send())
			}
			continue
		case "resend":
			c.put(dir, p.resend())
			continue
		case "abort", "vanish":
			if aborted {
				continue
			}
			if reset := p.abort(); action == "abort" {
				c.put(dir, reset)
			}
			continue
		}
		if len(c.wire) == 0 {
			continue
		}
		i := rapid.IntRange(0, len(c.wire)-1).Draw(c.t, "segment")
		if s := c.wire[i]; orderly {
			i = slices.IndexFunc(c.wire, func(w onWire) bool { return w.dir == s.dir && w.passed == s.passed })
		}
		switch action {
		case "carry":
			c.carry(i)
		case "lose":
			// What crosses a reset and is then lost, or its answer is, makes
			// the connection look alive with nobody left to say that it is not.
			if !aborted {
				c.wire = slices.Delete(c.wire, i, i+1)
			}
		case "repeat":
			c.wire = append(c.wire, c.wire[i])
		}
	}
}

func TestAConversationThatEndsInOrderIsClosed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newConversation(t)
		defer c.table.Close()
		c.rage(false, "carry", "carry", "carry", "carry", "send", "resend", "lose", "repeat")
		c.drain()
		if c.entry.State != TimeWait {
			t.Errorf("both ends have closed, and the state is %v; numbers %+v", c.entry.State, c.table.numbers[c.entry.self])
		}
	})
}

func TestAConversationThatIsAbortedIsClosed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newConversation(t)
		defer c.table.Close()
		c.rage(true, "carry", "carry", "carry", "carry", "send", "resend", "lose", "abort", "vanish")
		c.drain()
		if !c.peers[Request].over && !c.peers[Reply].over {
			return
		}
		if !c.peers[Request].over || !c.peers[Reply].over {
			t.Fatalf("only one end knows that the connection is over")
		}
		// A SYN that was repeated behind the reset may have the last word.
		if s := c.entry.State; RFC.Timeouts().Of(s) > rfcTransitory {
			t.Errorf("both ends are gone, and the state is %v; numbers %+v", s, c.table.numbers[c.entry.self])
		}
	})
}

func TestWhoMustGuessTheNumbersChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newConversation(t)
		defer c.table.Close()
		for range rapid.IntRange(1, 10).Draw(t, "pieces") {
			c.rage(false, "carry", "carry", "carry", "send", "resend", "lose", "repeat")
			c.forge()
		}
		c.drain()
		if c.entry.State != TimeWait {
			t.Errorf("both ends have closed, and the state is %v", c.entry.State)
		}
	})
}

// forge shows the director what somebody sends who knows the ends' addresses and
// ports but not their numbers, and must guess.
func (c *conversation) forge() {
	s := Segment{
		Sequence:       rapid.Uint32().Draw(c.t, "guessed number"),
		Acknowledgment: rapid.Uint32().Draw(c.t, "guessed acknowledgment"),
		Length:         rapid.Uint32Range(0, 1460).Draw(c.t, "length"),
		Flags:          rapid.SampledFrom([]uint8{flagRST, flagRST | flagACK, flagACK, flagSYN, 0}).Draw(c.t, "flags"),
	}
	before, known := c.entry.State, c.table.numbers[c.entry.self]
	near := func(number uint32) bool { return between(number-2000, s.Sequence, number+2000) }
	opens := s.has(flagSYN) && (before == None || before == SynRecv || before == TimeWait)
	completes := before == SynAck && between(known.acked[Request], s.Acknowledgment, known.next[Reply])
	if near(known.next[Request]) || near(known.acked[Reply]) || opens || completes {
		return // a good guess, or a SYN where nobody can tell that it is false
	}
	c.table.ObserveSegment(c.entry, Request, s, 0)
	if now := c.table.numbers[c.entry.self]; c.entry.State != before || now.next != known.next {
		c.t.Fatalf("%+v led from %v to %v, and numbers from %+v to %+v", s, before, c.entry.State, known, now)
	}
}
