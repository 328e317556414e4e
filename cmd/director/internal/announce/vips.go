package announce

import (
	"net/netip"
	"slices"
	"time"

	"lvsnat/cmd/director/internal/network"
	"lvsnat/dataplane"
	"lvsnat/dataplane/packet"
)

const (
	// Announcements are repeated, because a single frame may be lost: switches
	// drop the first ones after a link has come up. RFC 5227 section 2.3 asks
	// for two, 2 s apart.
	repeats  = 3
	interval = time.Second

	// defendInterval is DEFEND_INTERVAL of RFC 5227 section 1.1. Two machines
	// that both defend would otherwise fill the network with announcements.
	defendInterval = 10 * time.Second

	// warnInterval is how often the conflict about one VIP is to be logged.
	warnInterval = time.Minute

	// At most burst announcements go out together, and the next burstPause
	// later, so that a thousand VIPs do not overrun a switch.
	burst      = 64
	burstPause = 10 * time.Millisecond
)

// broadcast addresses all stations.
var broadcast = packet.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// A Conflict is another machine's claim to a VIP.
type Conflict struct {
	VIP   netip.Addr
	MAC   packet.MAC // who claimed it last
	Count uint64     // claims so far
	Last  time.Time
}

// vips are the VIPs and what is to be said about them. Nothing is sent or
// logged here, and the time is given.
type vips struct {
	nic   network.NIC // the VIP NIC
	own   []packet.MAC
	order []*vip // by address
	known map[netip.Addr]*vip
}

type vip struct {
	owned    bool      // by the kernel, which then answers
	left     int       // announcements still to be made
	next     time.Time // when the first of them is due
	defended time.Time
	warned   time.Time
	conflict Conflict
}

// announce asks for a number of announcements, the first at once.
func (v *vip) announce(now time.Time, times int) {
	v.left = max(v.left, times)
	v.next = now
}

// set takes the box's state and the wanted VIPs over.
func (v *vips) set(now time.Time, s network.State, wanted []netip.Addr) {
	nic := s.NICs[dataplane.VIPPort]
	again := nic.Index != v.nic.Index || nic.MAC != v.nic.MAC || nic.Up && !v.nic.Up
	v.nic = nic
	v.own = v.own[:0]
	for _, nic := range s.NICs {
		v.own = append(v.own, nic.MAC)
	}
	before := v.known
	v.known = make(map[netip.Addr]*vip, len(wanted))
	v.order = v.order[:0]
	for _, addr := range slices.Compact(slices.SortedFunc(slices.Values(wanted), netip.Addr.Compare)) {
		_, owned := slices.BinarySearchFunc(s.Local, addr, netip.Addr.Compare)
		this, known := before[addr]
		if !known {
			this = &vip{conflict: Conflict{VIP: addr}}
		}
		if isNew := !known || this.owned; !owned && (isNew || again) {
			this.announce(now, repeats)
		}
		this.owned = owned
		v.known[addr] = this
		v.order = append(v.order, this)
	}
}

// due returns the announcements to be made now, and when it is to be asked
// again; the zero time means not before something has changed.
func (v *vips) due(now time.Time) (frames [][]byte, again time.Time) {
	for _, this := range v.order {
		if this.owned || this.left == 0 {
			continue
		}
		if !this.next.After(now) {
			if len(frames) == burst {
				return frames, now.Add(burstPause)
			}
			frames = append(frames, v.announcement(this.conflict.VIP))
			this.left--
			this.next = now.Add(interval)
		}
		if this.left > 0 && (again.IsZero() || this.next.Before(again)) {
			again = this.next
		}
	}
	return frames, again
}

// announcement is the ARP announcement of RFC 5227 section 2.3: a request for
// the address from the address itself.
func (v *vips) announcement(addr netip.Addr) []byte {
	m := message{operation: request, sender: party{v.nic.MAC, addr}, target: party{addr: addr}}
	return m.marshal(broadcast)
}

// A finding is what a received frame calls for.
type finding struct {
	reply    []byte   // to be sent, when not nil
	conflict Conflict // another machine's claim, when Count is not 0
	warn     bool     // the conflict is to be logged
	defend   bool     // an announcement has become due
}

// handle looks at a received frame.
func (v *vips) handle(now time.Time, frame []byte) finding {
	m, ok := parse(frame)
	if !ok || m.sender.mac.Multicast() || slices.Contains(v.own, m.sender.mac) {
		return finding{}
	}
	if claimed := v.known[m.sender.addr]; claimed != nil {
		return v.claim(now, claimed, m.sender.mac)
	}
	asked := v.known[m.target.addr]
	if m.operation != request || asked == nil || asked.owned {
		return finding{}
	}
	// A probe comes from 0.0.0.0 and is answered like any other request: that is
	// how the prober learns that the address is taken (RFC 5227 section 2.1.1).
	answer := message{operation: reply, sender: party{v.nic.MAC, m.target.addr}, target: m.sender}
	return finding{reply: answer.marshal(m.sender.mac)}
}

// claim notes that another machine uses a VIP.
func (v *vips) claim(now time.Time, this *vip, mac packet.MAC) finding {
	this.conflict.MAC, this.conflict.Last = mac, now
	this.conflict.Count++
	f := finding{conflict: this.conflict}
	if now.Sub(this.warned) >= warnInterval {
		f.warn, this.warned = true, now
	}
	if !this.owned && now.Sub(this.defended) >= defendInterval {
		f.defend, this.defended = true, now
		this.announce(now, 1)
	}
	return f
}

// conflicts lists the VIPs that others have claimed.
func (v *vips) conflicts() []Conflict {
	var list []Conflict
	for _, this := range v.order {
		if c := this.conflict; c.Count > 0 {
			list = append(list, c)
		}
	}
	return list
}
