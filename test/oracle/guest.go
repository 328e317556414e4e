package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"lvsnat/test/oracle/transcript"
	"lvsnat/test/oracle/uml"
)

// guest works through the file in dir and leaves a report.
func guest(dir string) error {
	report := ""
	if err := work(dir); err != nil {
		report = err.Error()
	}
	return os.WriteFile(filepath.Join(dir, reportName), []byte(report), 0o600)
}

func work(dir string) error {
	if err := uml.SetUp("ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_lc", "ip_vs_wlc", "ip_vs_lblc", "ip_vs_lblcr", "ip_vs_dh",
		"ip_vs_sh", "ip_vs_sed", "ip_vs_nq", "ip_vs_fo", "ip_vs_ovf", "ip_vs_mh", "veth"); err != nil {
		return err
	}
	if err := network(); err != nil {
		return err
	}
	name := filepath.Join(dir, copyName)
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	steps, err := transcript.Parse(text)
	if err != nil {
		return err
	}
	if err := perform(steps); err != nil {
		return err
	}
	return os.WriteFile(name, transcript.Format(steps), 0o600)
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
