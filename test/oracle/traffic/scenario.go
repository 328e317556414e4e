// Package traffic has scenarios of packets and commands between clients,
// director and realservers, with what the director did at each step, so that
// what the real IPVS did can be held against what this director does.
//
// A file has many scenarios. They run at the same time, each with a VIP and
// clients of its own, and are written one after the other:
//
//	# a remark
//	== the name of a scenario, and its VIP: 7.12 172.16.5.9
//	-- 16 the second at which a phase begins, for all scenarios
//	0.012 ipvsadm -A -t 172.16.5.9:80 -s rr
//	0.040 tcp 10.64.5.1:1024 > 172.16.5.9:80 S = 10.1.1.2:8000
//	0.071 tcp 10.64.5.1:1024 < 10.1.1.2:8000 SA = 172.16.5.9:80
//	0.102 list
//	  TCP 172.16.5.9:80 rr = 1
//	  -> 10.1.1.2:8000 Masq 1 1 0 = 1
//	  TCP 00:59 SYN_RECV 10.64.5.1:1024 172.16.5.9:80 10.1.1.2:8000
//
// A line begins with the second in which it happened. Packets that follow each
// other with the same time are sent at once, each of another client end. A packet goes from a
// client to a virtual end (>) or to it from a realserver's (<), has TCP flags
// (- for none, and for UDP), and what became of it behind the sign =: at a
// request the realserver's end that got it, at a reply the end that the client
// saw it come from, or one of the words [Unreachable], [Reset] and [Nothing].
//
// A list has what `ipvsadm -Ln` says, with the number of connections of
// `ipvsadm -Ln --stats` behind it, and `ipvsadm -Lnc`, sorted; both without
// title and with single spaces.
package traffic

import (
	"net/netip"
	"time"
)

// What may become of a packet besides being forwarded.
const (
	Unreachable = "unreachable" // answered with ICMP port unreachable
	Reset       = "reset"       // answered with a TCP RST
	Nothing     = "nothing"     // dropped
)

// A Scenario is a story about one VIP.
type Scenario struct {
	Remarks []string // without their sign
	Name    string   // one word
	VIP     netip.Addr
	Phases  []Phase
}

// A Phase is what happens in quick succession, after a pause.
type Phase struct {
	Begin time.Duration // since the beginning of all scenarios; later if they take longer
	Steps []Step
}

// A Step is a command, a packet or a listing.
type Step struct {
	Line    int           // in the file
	At      time.Duration // since the beginning of all scenarios
	Command []string      // the arguments of ipvsadm; nil for the others
	Packet  *Packet       // nil for the others
	Outcome string        // of a packet
	List    bool
	Listing []string
}

// A Packet is a TCP segment or a UDP datagram without data.
type Packet struct {
	Protocol uint8 // IANA number
	Client   netip.AddrPort
	Reply    bool           // from Other to Client
	Other    netip.AddrPort // the virtual end of a request, the realserver's of a reply
	Flags    uint8          // of TCP
}

// Source is the end that the packet comes from.
func (p *Packet) Source() netip.AddrPort {
	if p.Reply {
		return p.Other
	}
	return p.Client
}

// Destination is the end that the packet is sent to.
func (p *Packet) Destination() netip.AddrPort {
	if p.Reply {
		return p.Client
	}
	return p.Other
}
