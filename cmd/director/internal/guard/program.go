package guard

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/net/bpf"

	"lvsnat/dataplane/interval"
	"lvsnat/dataplane/packet"
)

// What a classifier's program returns (linux/pkt_cls.h).
const (
	actionDrop = 2         // TC_ACT_SHOT
	actionPass = 1<<32 - 1 // TC_ACT_UNSPEC: on to the next filter, and to the guard's rules
)

// Offsets of fields in a frame, where a classifier's data begins. A VLAN tag is
// out of it. They are not relative to the network header (SKF_NET_OFF), because
// such loads fail on kernels before 6.16 when the headers lie in a page
// fragment. A load past the end of the frame ends the program with 0
// (TC_ACT_OK), which passes.
const (
	frameType        = 12
	frameIPv4        = packet.EthernetLen
	frameLength      = frameIPv4 + 2
	frameFragment    = frameIPv4 + 6
	frameProtocol    = frameIPv4 + protocolOffset
	frameDestination = frameIPv4 + daddrOffset
)

// A part is one of the two things that a program can do.
type part int

const (
	allToVIPs  part = 1 << iota // drop all to addresses that are the director's alone
	toServices                  // drop what is sent to services at the box's own addresses
)

// programOf is a classic BPF program that drops requests as the rules of these
// contents do, and as much of that as fits: rules hold any number of services,
// a program some hundred intervals of addresses and ports. It returns no
// program when there is nothing to drop, and the parts that are missing.
func programOf(c contents) (program []bpf.RawInstruction, missing part, err error) {
	vips, groups := c.vipIntervals(), c.serviceGroups()
	for _, parts := range []part{allToVIPs | toServices, allToVIPs, toServices} {
		var w programWriter
		if parts&allToVIPs != 0 {
			w.vips = vips
		}
		if parts&toServices != 0 {
			w.groups = groups
		}
		if len(w.vips)+len(w.groups) == 0 {
			continue
		}
		if w.write(); w.Len() <= interval.MaxInstructions {
			program, err = w.Assemble()
			return program, (allToVIPs | toServices) &^ parts, err
		}
	}
	if len(vips)+len(groups) > 0 {
		missing = allToVIPs | toServices
	}
	return nil, missing, nil
}

// vipIntervals are the addresses that are the director's alone.
func (c contents) vipIntervals() []interval.Interval {
	var all []interval.Interval
	for key := range c[vips] {
		all = append(all, single(field(key, 0)))
	}
	for key := range c[vipRanges] {
		all = append(all, interval.Interval{First: field(key, 0), Last: field(key, 1)})
	}
	return interval.Join(all)
}

// requests are what an address has services for.
type requests struct {
	whole map[uint8]bool // protocols with all ports
	ports map[uint8][]interval.Interval
}

// A group is addresses that have the same services.
type group struct {
	addresses []interval.Interval
	requests
}

// serviceGroups are the box's own addresses that have services, in a settled
// order.
func (c contents) serviceGroups() []group {
	byAddr := make(map[uint32]requests)
	at := func(key string) (requests, uint8) {
		r, is := byAddr[field(key, 0)]
		if !is {
			r = requests{make(map[uint8]bool), make(map[uint8][]interval.Interval)}
			byAddr[field(key, 0)] = r
		}
		return r, key[4]
	}
	for key := range c[wholeServices] {
		r, protocol := at(key)
		r.whole[protocol] = true
	}
	for key := range c[services] {
		r, protocol := at(key)
		r.ports[protocol] = append(r.ports[protocol], single(port(key, 2)))
	}
	for key := range c[serviceRanges] {
		r, protocol := at(key)
		r.ports[protocol] = append(r.ports[protocol], interval.Interval{First: port(key, 2), Last: port(key, 5)})
	}
	byRequests := make(map[string]group)
	for addr, r := range byAddr {
		for protocol, ports := range r.ports {
			r.ports[protocol] = interval.Join(ports)
		}
		name := fmt.Sprint(r) // which has maps in order
		g := byRequests[name]
		g.requests, g.addresses = r, append(g.addresses, single(addr))
		byRequests[name] = g
	}
	var groups []group
	for _, name := range slices.Sorted(maps.Keys(byRequests)) {
		g := byRequests[name]
		g.addresses = interval.Join(g.addresses)
		groups = append(groups, g)
	}
	return groups
}

func single(n uint32) interval.Interval { return interval.Interval{First: n, Last: n} }

// field is a field of an element's key as a number.
func field(key string, n int) uint32 { return binary.BigEndian.Uint32([]byte(key)[4*n:]) }

// port is a field that is a port.
func port(key string, n int) uint32 { return field(key, n) >> 16 }

// A programWriter writes a classifier's program. What most packets are is
// tested first: of the address alone most need nothing else.
type programWriter struct {
	interval.Program
	vips       []interval.Interval
	groups     []group
	drop, pass interval.Label
}

func (w *programWriter) write() {
	w.drop, w.pass = w.Label(), w.Label()
	branches := interval.To(w.drop, w.vips...)
	var labels []interval.Label
	for _, g := range w.groups {
		label := w.Label()
		labels = append(labels, label)
		branches = append(branches, interval.To(label, g.addresses...)...)
	}
	w.Add(bpf.LoadAbsolute{Off: frameType, Size: 2})
	w.Unless(bpf.JumpEqual, packet.TypeIPv4, w.pass)
	w.Add(bpf.LoadAbsolute{Off: frameDestination, Size: 4})
	w.Search(branches, w.pass)
	for i, g := range w.groups {
		w.Place(labels[i])
		w.group(g)
	}
	w.Place(w.drop)
	w.Add(bpf.RetConstant{Val: actionDrop})
	w.Place(w.pass)
	w.Add(bpf.RetConstant{Val: actionPass})
}

// group goes on with a packet to one of the box's own addresses.
func (w *programWriter) group(g group) {
	w.Add(bpf.LoadAbsolute{Off: frameFragment, Size: 2})
	w.Unless(bpf.JumpBitsNotSet, 0x1fff, w.pass) // later fragments have no ports
	w.Add(bpf.LoadAbsolute{Off: frameProtocol, Size: 1})
	for _, protocol := range slices.Sorted(maps.Keys(g.whole)) {
		w.Unless(bpf.JumpNotEqual, uint32(protocol), w.drop)
	}
	var labels []interval.Label
	protocols := slices.Sorted(maps.Keys(g.ports))
	for _, protocol := range protocols {
		label := w.Label()
		labels = append(labels, label)
		w.Unless(bpf.JumpNotEqual, uint32(protocol), label)
	}
	w.Jump(w.pass)
	for i, protocol := range protocols {
		w.Place(labels[i])
		w.loadPort()
		w.Search(interval.To(w.drop, g.ports[protocol]...), w.pass)
	}
}

// loadPort loads the destination port, if nft would: of a header that is not
// well-formed it reads no ports (nft_set_pktinfo_ipv4_validate,
// net/netfilter/nf_tables_ipv4.h).
func (w *programWriter) loadPort() {
	w.Add(bpf.LoadAbsolute{Off: frameIPv4, Size: 1})
	w.Unless(bpf.JumpGreaterOrEqual, 0x45, w.pass) // IPv4, header of 20 bytes
	w.Unless(bpf.JumpLessOrEqual, 0x4f, w.pass)
	w.Add(
		bpf.LoadExtension{Num: bpf.ExtLen},
		bpf.ALUOpConstant{Op: bpf.ALUOpSub, Val: frameIPv4},
		bpf.TAX{},
		bpf.LoadAbsolute{Off: frameLength, Size: 2},
		bpf.JumpIfX{Cond: bpf.JumpLessOrEqual, SkipTrue: 1},
	)
	w.Jump(w.pass) // longer than the frame
	w.Add(
		bpf.LoadMemShift{Off: frameIPv4}, // X: length of the IPv4 header
		bpf.JumpIfX{Cond: bpf.JumpGreaterOrEqual, SkipTrue: 1},
	)
	w.Jump(w.pass) // shorter than its header
	w.Add(bpf.LoadIndirect{Off: frameIPv4 + dportOffset, Size: 2})
}
