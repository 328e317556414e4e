package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lvsnat/test/oracle/traffic"
	"lvsnat/test/oracle/transcript"
	"lvsnat/test/oracle/uml"
)

// guest does the kind of work on the file in dir and leaves a report.
func guest(kind, dir string, arguments []string) error {
	report := ""
	if err := work(kind, dir, arguments); err != nil {
		report = err.Error()
	}
	return os.WriteFile(filepath.Join(dir, reportName), []byte(report), 0o600)
}

func work(kind, dir string, arguments []string) error {
	if err := uml.SetUp("ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_lc", "ip_vs_wlc", "ip_vs_lblc", "ip_vs_lblcr", "ip_vs_dh",
		"ip_vs_sh", "ip_vs_sed", "ip_vs_nq", "ip_vs_fo", "ip_vs_ovf", "ip_vs_mh", "veth", "tun"); err != nil {
		return err
	}
	name := filepath.Join(dir, copyName)
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	switch kind {
	case transcriptKind:
		text, err = answer(text)
	case scriptKind:
		text, err = playScript(text)
	default:
		text, err = playSample(arguments)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(name, text, 0o600)
}

// answer fills in a transcript.
func answer(text []byte) ([]byte, error) {
	if err := network(); err != nil {
		return nil, err
	}
	steps, err := transcript.Parse(text)
	if err != nil {
		return nil, err
	}
	if err := perform(steps); err != nil {
		return nil, err
	}
	return transcript.Format(steps), nil
}

// playScript plays scenarios anew.
func playScript(text []byte) ([]byte, error) {
	script, err := traffic.Parse(text)
	if err != nil {
		return nil, err
	}
	scenarios := make([]traffic.Scenario, len(script))
	players := make([]player, len(script))
	for i, s := range script {
		scenarios[i] = traffic.Scenario{Remarks: s.Remarks, Name: s.Name, VIP: s.VIP}
		players[i] = &known{Scenario: s}
	}
	return play(scenarios, players, false)
}

// orLess is what a sample may be when the guest stands still: shorter.
const orLess = "or-less"

// playSample plays scenarios that are made up: the arguments are a seed and
// the numbers of scenarios and phases, and perhaps orLess.
func playSample(arguments []string) ([]byte, error) {
	var seed uint64
	var count, phases int
	if _, err := fmt.Sscan(strings.Join(arguments, " "), &seed, &count, &phases); err != nil {
		return nil, fmt.Errorf("a sample has a seed and numbers of scenarios and phases, not %q: %w", arguments, err)
	}
	if count > traffic.MaxScenarios {
		return nil, fmt.Errorf("%d scenarios are more than %d", count, traffic.MaxScenarios)
	}
	scenarios := make([]traffic.Scenario, count)
	players := make([]player, count)
	for i := range count {
		g := traffic.NewGenerator(seed, i, phases)
		scenarios[i], players[i] = g.Scenario(), g
	}
	return play(scenarios, players, slices.Contains(arguments, orLess))
}

func play(scenarios []traffic.Scenario, players []player, less bool) ([]byte, error) {
	s, err := setTheStage()
	if err != nil {
		return nil, err
	}
	parts := make([]*part, len(scenarios))
	for i := range scenarios {
		parts[i] = &part{player: players[i], scenario: &scenarios[i]}
	}
	if err := s.play(parts, less); err != nil {
		return nil, err
	}
	return traffic.Format(scenarios), nil
}

// network makes a client of its own (192.168.1.254), and a network of
// realservers where nobody answers: 10.1.1.0/24. All of 192.168.1.96/27 are
// VIPs.
func network() error {
	for _, line := range []string{
		"ip netns add client",
		"ip link add vip0 type veth peer name eth0 netns client",
		"ip addr add 192.168.1.1/24 dev vip0",
		"ip link set vip0 up",
		"ip -n client addr add 192.168.1.254/24 dev eth0",
		"ip -n client link set eth0 up",
		"ip -n client route add default via 192.168.1.1",
		"ip link add dip0 type veth peer name rs0",
		"ip addr add 10.1.1.1/24 dev dip0",
		"ip link set dip0 up",
		"ip link set rs0 up",
		"ip route add local 192.168.1.96/27 dev lo",
	} {
		words := strings.Fields(line)
		if err := uml.Do(words[0], words[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// perform runs the steps and fills in the answers.
func perform(steps []transcript.Step) error {
	for i := range steps {
		s := &steps[i]
		if s.Event != nil {
			if err := happen(s.Event); err != nil {
				return fmt.Errorf("line %d: %w", s.Line, err)
			}
			continue
		}
		var stdout, stderr bytes.Buffer
		cmd := exec.Command(s.Command[0], s.Command[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(s.Stdin), &stdout, &stderr
		if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
			return fmt.Errorf("line %d: %w", s.Line, err)
		}
		s.Stdout, s.Stderr, s.Exit = stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
	}
	return nil
}

// happen makes the client send something: protocol, its own end, the service.
// What follows says what the test expects. Or it lets time pass.
func happen(event []string) error {
	if len(event) == 2 && event[0] == "wait" {
		pause, err := time.ParseDuration(event[1])
		time.Sleep(pause)
		return err
	}
	if len(event) < 3 {
		return fmt.Errorf("an event has a protocol, a client and a service: %v", event)
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	return uml.Do("ip", "netns", "exec", "client", program, sendVerb, event[0], event[1], event[2])
}

// send sends an empty datagram, or opens a connection that nobody accepts.
func send(protocol, from, to string) error {
	var dialer net.Dialer
	switch protocol {
	case "udp":
		local, err := net.ResolveUDPAddr("udp4", from)
		if err != nil {
			return err
		}
		dialer.LocalAddr = local
	case "tcp":
		local, err := net.ResolveTCPAddr("tcp4", from)
		if err != nil {
			return err
		}
		dialer.LocalAddr = local
		// Less than a second, after which the client repeats its SYN.
		dialer.Timeout = 200 * time.Millisecond
	}
	conn, err := dialer.Dial(protocol+"4", to)
	if protocol == "tcp" {
		return nil
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write(nil)
	return err
}
