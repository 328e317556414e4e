package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"lvsnat/test/oracle/traffic"
	"lvsnat/test/oracle/uml"
)

// A player says what comes next in a scenario.
type player interface {
	// Begin is when a phase begins, false when there is none.
	Begin(phase int) (begin time.Duration, ok bool)

	// Next is the phase's next step, false when there is none. When it is
	// late only what must be comes next.
	Next(late bool) (step traffic.Step, ok bool)

	// Learn tells what became of a step.
	Learn(done traffic.Step)
}

// A known scenario is a player of steps that are known.
type known struct {
	traffic.Scenario
	steps []traffic.Step // of this phase, what is left
}

func (s *known) Begin(phase int) (time.Duration, bool) {
	if phase >= len(s.Phases) {
		return 0, false
	}
	s.steps = s.Phases[phase].Steps
	return s.Phases[phase].Begin, true
}

func (s *known) Next(bool) (step traffic.Step, ok bool) {
	if len(s.steps) == 0 {
		return step, false
	}
	step, s.steps = s.steps[0], s.steps[1:]
	return step, true
}

func (s *known) Learn(traffic.Step) {}

// A stage is where scenarios are played.
type stage struct {
	wire
	start time.Time
}

// setTheStage makes the guest a director between two networks of which this
// program is all hosts: clients in 10.64.0.0/15, realservers in 10.1.1.0/24.
// VIPs are in 172.16.0.0/16.
func setTheStage() (*stage, error) {
	if err := makeTunnelDevice(); err != nil {
		return nil, err
	}
	outside, err := openTunnel("outside")
	if err != nil {
		return nil, err
	}
	inside, err := openTunnel("inside")
	if err != nil {
		return nil, err
	}
	for _, line := range []string{
		"ip addr add 10.64.255.255/32 dev outside",
		"ip route add 10.64.0.0/15 dev outside",
		"ip addr add 10.1.1.1/32 dev inside",
		"ip route add 10.1.1.0/24 dev inside",
		"ip route add local 172.16.0.0/16 dev lo",
		// Every packet that is refused is told so, however many there are.
		"sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000 net.ipv4.icmp_msgs_burst=100000",
	} {
		words := strings.Fields(line)
		if err := uml.Do(words[0], words[1:]...); err != nil {
			return nil, err
		}
	}
	return &stage{wire: wire{outside, inside}}, nil
}

// settle is the pause between two steps of a scenario. A connection that a SYN
// has ended is there until the kernel's clock ticks (ip_vs_conn_expire_now).
const settle = 30 * time.Millisecond

// A part is one scenario while it is played.
type part struct {
	player
	scenario *traffic.Scenario // what has happened
	begin    time.Duration     // of the next phase
	over     bool              // there is none
	turn     turn
	ahead    *traffic.Step // of the next turn
}

// A turn is what happens in a scenario before others have theirs: commands, then
// packets that are sent at once, or a listing.
type turn struct {
	commands []traffic.Step
	packets  []traffic.Step
	list     *traffic.Step
}

// turnPage asks for the next phase.
func (p *part) turnPage() {
	begin, ok := p.Begin(len(p.scenario.Phases))
	p.begin, p.over = begin, !ok
}

// next makes out the turn and reports whether there is anything.
func (p *part) next(late bool) bool {
	p.turn = turn{}
	t := &p.turn
	for t.list == nil {
		step, ok := p.take(late)
		switch {
		case !ok:
			return len(t.commands)+len(t.packets) > 0
		case step.Command != nil && len(t.packets) == 0:
			t.commands = append(t.commands, step)
		case step.Packet != nil && (len(t.packets) == 0 || p.scripted() && step.At == t.packets[0].At):
			if t.packets = append(t.packets, step); !p.scripted() {
				return true
			}
		case step.List && len(t.packets) == 0:
			t.list = &step
		default:
			p.ahead = &step
			return true
		}
	}
	return true
}

// scripted reports whether it is known what comes next without learning what
// has become of a packet.
func (p *part) scripted() bool {
	_, ok := p.player.(*known)
	return ok
}

func (p *part) take(late bool) (step traffic.Step, ok bool) {
	if p.ahead != nil {
		step, p.ahead = *p.ahead, nil
		return step, true
	}
	return p.Next(late)
}

// done takes down what has happened.
func (p *part) done() {
	steps := append(p.turn.commands, p.turn.packets...)
	if p.turn.list != nil {
		steps = append(steps, *p.turn.list)
	}
	for _, step := range steps {
		p.Learn(step)
	}
	phase := &p.scenario.Phases[len(p.scenario.Phases)-1]
	phase.Steps = append(phase.Steps, steps...)
}

// play carries out scenarios, all at the same time and step by step, and
// writes down what happened. With less they may end early.
func (s *stage) play(parts []*part, less bool) error {
	s.start = time.Now()
	for _, p := range parts {
		p.turnPage()
	}
	for {
		var begin time.Duration
		var playing []*part
		for _, p := range parts {
			switch {
			case p.over || len(playing) > 0 && p.begin > begin:
			case len(playing) == 0 || p.begin < begin:
				begin, playing = p.begin, []*part{p}
			default:
				playing = append(playing, p)
			}
		}
		if len(playing) == 0 {
			return nil
		}
		time.Sleep(begin - s.now())
		for _, p := range playing {
			p.scenario.Phases = append(p.scenario.Phases, traffic.Phase{Begin: begin})
		}
		err := s.playPhase(playing, begin)
		if less && errors.Is(err, errStalled) && cut(parts, playing) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("phase at %v: %w", begin, err)
		}
		for _, p := range playing {
			p.turnPage()
		}
	}
}

// errStalled says that the guest stood still for longer than the kernel's timers
// allow. A box that does much else has been seen to do so for ten seconds.
var errStalled = errors.New("the guest stood still")

// cut ends scenarios before the phase in which the guest stood still, and reports
// whether that leaves something of each.
func cut(parts, playing []*part) bool {
	if slices.ContainsFunc(parts, func(p *part) bool { return len(p.scenario.Phases) <= 1 }) {
		return false
	}
	for _, p := range playing {
		p.scenario.Phases = p.scenario.Phases[:len(p.scenario.Phases)-1]
	}
	return true
}

func (s *stage) now() time.Duration { return time.Since(s.start) }

func (s *stage) playPhase(playing []*part, begin time.Duration) error {
	limit := traffic.ListingLength
	for {
		var now []*part
		late := s.now() > begin+traffic.PhaseLength-traffic.Reserve
		for _, p := range playing {
			if p.next(late) {
				now = append(now, p)
			}
		}
		if len(now) == 0 {
			break
		}
		if err := s.takeTurn(now); err != nil {
			return err
		}
		for _, p := range now {
			if p.turn.list == nil {
				limit = traffic.PhaseLength
			}
			p.done()
		}
		time.Sleep(settle)
	}
	if took := s.now() - begin; took > limit {
		return fmt.Errorf("%w: a phase took %v", errStalled, took)
	}
	return nil
}

// takeTurn does one turn of each scenario: commands, then packets, then
// listings.
func (s *stage) takeTurn(parts []*part) error {
	var lines []string
	var packets []*traffic.Step
	var listing []*part
	for _, p := range parts {
		for i := range p.turn.commands {
			step := &p.turn.commands[i]
			step.At = s.now()
			lines = append(lines, strings.Join(step.Command, " "))
		}
		for i := range p.turn.packets {
			packets = append(packets, &p.turn.packets[i])
		}
		if p.turn.list != nil {
			listing = append(listing, p)
		}
	}
	if err := restore(lines); err != nil {
		return err
	}
	at := s.now()
	for _, step := range packets {
		step.At = at
	}
	if err := s.exchange(packets); err != nil {
		return err
	}
	if took := s.now() - at; took > longestExchange {
		return fmt.Errorf("%w: packets took %v", errStalled, took)
	}
	return s.list(listing)
}

// longestExchange is how far the times that are written down may be from those
// at which the kernel saw the packets.
const longestExchange = 1500 * time.Millisecond

// restore carries out command lines in order. All of them must succeed.
func restore(lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	cmd := exec.Command("ipvsadm", "-R")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	output, err := cmd.CombinedOutput()
	if err != nil || len(output) > 0 {
		return fmt.Errorf("ipvsadm -R: %v: %s\nof %q", err, output, lines)
	}
	return nil
}

// list looks at the tables for scenarios.
func (s *stage) list(parts []*part) error {
	if len(parts) == 0 {
		return nil
	}
	var texts [3]string
	var at time.Duration
	for i, arguments := range [3]string{"-Ln", "-Ln --stats --exact", "-Lnc"} {
		var stdout bytes.Buffer
		cmd := exec.Command("ipvsadm", strings.Fields(arguments)...)
		cmd.Stdout = &stdout
		before := s.now()
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("ipvsadm %s: %w", arguments, err)
		}
		texts[i] = stdout.String()
		at = (before + s.now()) / 2 // of the last, which is the one that has times
	}
	for _, p := range parts {
		p.turn.list.At = at
		var err error
		if p.turn.list.Listing, err = traffic.Listing(p.scenario.VIP, texts[0], texts[1], texts[2]); err != nil {
			return err
		}
	}
	return nil
}
