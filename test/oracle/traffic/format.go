package traffic

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Parse reads a file.
func Parse(text []byte) ([]Scenario, error) {
	var r reader
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if err := r.line(i+1, line); err != nil {
			return nil, fmt.Errorf("line %d: %q: %w", i+1, line, err)
		}
	}
	return r.scenarios, nil
}

// A reader takes a file apart, line by line.
type reader struct {
	remarks   []string
	scenarios []Scenario
}

func (r *reader) line(number int, line string) error {
	switch {
	case line == "":
		return nil
	case strings.HasPrefix(line, "# "):
		r.remarks = append(r.remarks, line[2:])
		return nil
	case strings.HasPrefix(line, "== "):
		name, vip, _ := strings.Cut(line[3:], " ")
		s := Scenario{Remarks: r.remarks, Name: name}
		r.remarks = nil
		var err error
		s.VIP, err = netip.ParseAddr(vip)
		r.scenarios = append(r.scenarios, s)
		return err
	}
	if len(r.scenarios) == 0 {
		return fmt.Errorf("stands before any scenario")
	}
	s := &r.scenarios[len(r.scenarios)-1]
	if begin, ok := strings.CutPrefix(line, "-- "); ok {
		at, err := parseSeconds(begin)
		s.Phases = append(s.Phases, Phase{Begin: at})
		return err
	}
	if len(s.Phases) == 0 {
		return fmt.Errorf("stands before any phase")
	}
	phase := &s.Phases[len(s.Phases)-1]
	if row, ok := strings.CutPrefix(line, "  "); ok {
		if len(phase.Steps) == 0 || !phase.Steps[len(phase.Steps)-1].List {
			return fmt.Errorf("belongs to no listing")
		}
		last := &phase.Steps[len(phase.Steps)-1]
		last.Listing = append(last.Listing, row)
		return nil
	}
	step, err := parseStep(line)
	step.Line = number
	phase.Steps = append(phase.Steps, step)
	return err
}

func parseStep(line string) (step Step, err error) {
	words := strings.Fields(line)
	if len(words) < 2 {
		return step, fmt.Errorf("a step has a time and a word that says what it is")
	}
	if step.At, err = parseSeconds(words[0]); err != nil {
		return step, err
	}
	switch words[1] {
	case "ipvsadm":
		step.Command = words[2:]
	case "list":
		step.List = true
	case "tcp", "udp":
		step.Packet, step.Outcome, err = parsePacket(words[1:])
	default:
		err = fmt.Errorf("a step is ipvsadm, list, tcp or udp, not %s", words[1])
	}
	return step, err
}

// parsePacket reads the words from the protocol on. The outcome may be missing
// in a script that was never run.
func parsePacket(words []string) (p *Packet, outcome string, err error) {
	if len(words) != 5 && len(words) != 7 {
		return nil, "", fmt.Errorf("a packet has a protocol, a client, a direction, another end and flags")
	}
	p = &Packet{Protocol: unix.IPPROTO_TCP, Reply: words[2] == "<"}
	if words[0] == "udp" {
		p.Protocol = unix.IPPROTO_UDP
	}
	if p.Client, err = netip.ParseAddrPort(words[1]); err != nil {
		return nil, "", err
	}
	if p.Other, err = netip.ParseAddrPort(words[3]); err != nil {
		return nil, "", err
	}
	if p.Flags, err = parseFlags(words[4]); err != nil {
		return nil, "", err
	}
	if len(words) == 7 {
		outcome = words[6]
	}
	return p, outcome, nil
}

// Format writes scenarios as Parse reads them.
func Format(scenarios []Scenario) []byte {
	var b bytes.Buffer
	for i, s := range scenarios {
		if i > 0 {
			b.WriteByte('\n')
		}
		for _, remark := range s.Remarks {
			fmt.Fprintf(&b, "# %s\n", remark)
		}
		fmt.Fprintf(&b, "== %s %s\n", s.Name, s.VIP)
		for _, phase := range s.Phases {
			fmt.Fprintf(&b, "-- %g\n", phase.Begin.Seconds())
			for _, step := range phase.Steps {
				fmt.Fprintf(&b, "%.3f %s\n", step.At.Seconds(), step)
				for _, row := range step.Listing {
					fmt.Fprintf(&b, "  %s\n", row)
				}
			}
		}
	}
	return b.Bytes()
}

// String is the step as it is written, without its time and listing.
func (s Step) String() string {
	switch {
	case s.Command != nil:
		return "ipvsadm " + strings.Join(s.Command, " ")
	case s.List:
		return "list"
	case s.Outcome == "":
		return s.Packet.String()
	}
	return s.Packet.String() + " = " + s.Outcome
}

// String is the packet as it is written.
func (p *Packet) String() string {
	protocol, sign := "tcp", ">"
	if p.Protocol == unix.IPPROTO_UDP {
		protocol = "udp"
	}
	if p.Reply {
		sign = "<"
	}
	return fmt.Sprintf("%s %s %s %s %s", protocol, p.Client, sign, p.Other, formatFlags(p.Flags))
}

// flagLetters are the letters of TCP's flags, from the lowest bit on.
const flagLetters = "FSRPAUEC"

func formatFlags(flags uint8) string {
	text := ""
	for i, letter := range flagLetters {
		if flags>>i&1 != 0 {
			text += string(letter)
		}
	}
	if text == "" {
		return "-"
	}
	return text
}

func parseFlags(text string) (flags uint8, err error) {
	if text == "-" {
		return 0, nil
	}
	for _, letter := range text {
		i := strings.IndexRune(flagLetters, letter)
		if i < 0 {
			return 0, fmt.Errorf("there is no TCP flag %c", letter)
		}
		flags |= 1 << i
	}
	return flags, nil
}

func parseSeconds(text string) (time.Duration, error) {
	seconds, err := strconv.ParseFloat(text, 64)
	return time.Duration(seconds * float64(time.Second)), err
}
