package traffic

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// statePaths lead to each state that packets lead to, written as in a file: the
// sign of the direction and flags. LAST_ACK and LISTEN are in the kernel's table,
// but nothing leads to them, and to SYNACK only what secure_tcp puts in the
// table's place.
var statePaths = []struct{ name, path string }{
	{"NONE", ""},
	{"SYN_RECV", ">S"},
	{"ESTABLISHED", ">S <SA >A"},
	{"FIN_WAIT", ">S <SA >A <FA"},
	{"CLOSE_WAIT", ">S <SA >A >FA"},
	{"TIME_WAIT", ">S <SA >A >FA <FA"},
	{"CLOSE", ">S <SA >A <R"},
	{"SYN_SENT", ">S <SA >A >FA <FA <S"},
}

// stateEvents are all the flags that count, in all ways to have them together,
// and some of those that do not.
var stateEvents = []string{
	"-", "F", "S", "FS", "R", "FR", "SR", "FSR", "A", "FA", "SA", "FSA", "RA", "FRA", "SRA", "FSRA",
	"P", "PA", "U", "SEC",
}

// StateTable is the script of the TCP state table: one scenario for each state,
// in which of many connections in that state each gets another packet.
func StateTable() []Scenario {
	scenarios := make([]Scenario, len(statePaths))
	for i, state := range statePaths {
		s := Scenario{
			Remarks: []string{fmt.Sprintf("Connections that have come to %s by %q get one packet more.", state.name, state.path)},
			Name:    state.name,
			VIP:     netip.AddrFrom4([4]byte{172, 16, 0, byte(1 + i)}),
		}
		s.Phases = []Phase{
			{Steps: stateSteps(s.VIP, byte(i), strings.Fields(state.path))},
			{Begin: lastListing, Steps: []Step{{At: lastListing, List: true}}},
		}
		scenarios[i] = s
	}
	return scenarios
}

// timeOfTurn tells the turns of a script that was never run from each other.
func timeOfTurn(n int) time.Duration { return time.Duration(n) * time.Second }

func stateSteps(vip netip.Addr, network byte, path []string) []Step {
	virtual := netip.AddrPortFrom(vip, 80)
	server := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 1, 2}), 8000)
	steps := []Step{
		{Command: strings.Fields(fmt.Sprintf("-A -t %s -s rr", virtual))},
		{Command: strings.Fields(fmt.Sprintf("-a -t %s -r %s -m", virtual, server))},
	}
	var last []*Packet
	for n, reply := range []bool{false, true} {
		if reply && len(path) == 0 {
			continue // a reply before any request belongs to nothing
		}
		for i, event := range stateEvents {
			flags, err := parseFlags(event)
			if err != nil {
				panic(err) // the list above is wrong
			}
			p := &Packet{
				Protocol: unix.IPPROTO_TCP,
				Client:   netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 64, network, byte(1 + n)}), 1000+uint16(i)),
				Reply:    reply, Other: virtual, Flags: flags,
			}
			if reply {
				p.Other = server
			}
			last = append(last, p)
		}
	}
	for n, packet := range append(slices.Clone(path), "") {
		for _, p := range last {
			step := Step{At: timeOfTurn(n), Packet: p}
			if packet != "" {
				before := *p
				before.Reply, before.Other = packet[0] == '<', virtual
				if before.Reply {
					before.Other = server
				}
				before.Flags, _ = parseFlags(packet[1:])
				step.Packet = &before
			}
			steps = append(steps, step)
		}
	}
	return steps
}
