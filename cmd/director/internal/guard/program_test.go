package guard

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
	"pgregory.net/rapid"

	"lvsnat/dataplane/interval"
	"lvsnat/dataplane/packet"
	"lvsnat/scheduler"
)

// requestDropped is what the rules say of a request, for a state as it is
// written and a frame without a VLAN tag.
func requestDropped(s State, frame []byte) bool {
	if len(frame) < packet.EthernetLen+packet.IPv4Len || binary.BigEndian.Uint16(frame[12:]) != packet.TypeIPv4 {
		return false
	}
	ip := frame[packet.EthernetLen:]
	to, _ := netip.AddrFromSlice(ip[16:20])
	local := slices.Contains(s.Local, to)
	for _, service := range s.Services {
		if !service.Addr.Prefix().Contains(to) {
			continue
		}
		if !local {
			return true
		}
		if laterFragment := binary.BigEndian.Uint16(ip[6:])&0x1fff != 0; laterFragment || ip[9] != service.Protocol {
			continue
		}
		if service.Addr.AllPorts() {
			return true
		}
		header, total := int(ip[0]&0xf)*4, int(binary.BigEndian.Uint16(ip[2:]))
		wellFormed := ip[0]>>4 == 4 && header >= packet.IPv4Len && header <= total && total <= len(ip)
		if !wellFormed || len(ip) < header+4 {
			continue
		}
		port := binary.BigEndian.Uint16(ip[header+2:])
		if first, last := service.Addr.Ports(); first <= port && port <= last {
			return true
		}
	}
	return false
}

// classify runs a program on a frame.
func classify(t interface{ Fatal(...any) }, vm *bpf.VM, frame []byte) (dropped bool) {
	action, err := vm.Run(frame)
	if err != nil {
		t.Fatal(err)
	}
	if action != actionDrop && action != actionPass && action != 0 {
		t.Fatal("action ", action)
	}
	return action == actionDrop
}

// program is a state's program, nil when there is none.
func program(t interface{ Fatal(...any) }, s State) (*bpf.VM, part) {
	c, err := contentsOf(s)
	if err != nil {
		t.Fatal(err)
	}
	raw, missing, err := programOf(c)
	if err != nil || len(raw) > interval.MaxInstructions {
		t.Fatal(len(raw), err)
	}
	if len(raw) == 0 {
		return nil, missing
	}
	instructions, _ := bpf.Disassemble(raw)
	vm, err := bpf.NewVM(instructions)
	if err != nil {
		t.Fatal(err)
	}
	return vm, missing
}

// Few addresses and ports, so that packets meet services and just miss them.
var (
	drawnAddr    = rapid.Map(rapid.IntRange(0, 24), func(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}) })
	drawnPort    = rapid.OneOf(rapid.Uint16Range(1, 12), rapid.SampledFrom([]uint16{0, 1<<16 - 1}))
	drawnPorts   = rapid.SampledFrom([]string{"0", "1", "3", "5", "3-5", "4-9", "11-65535", "65535", "1-65535"})
	drawnService = rapid.Custom(func(t *rapid.T) Endpoint {
		prefix := netip.PrefixFrom(drawnAddr.Filter(func(a netip.Addr) bool { return a.As4()[3] != 0 }).Draw(t, "address"),
			rapid.SampledFrom([]int{32, 32, 32, 31, 30, 28}).Draw(t, "bits")).Masked()
		text := prefix.String()
		if prefix.IsSingleIP() {
			text = prefix.Addr().String()
		}
		return Endpoint{
			rapid.SampledFrom([]uint8{6, 17}).Draw(t, "protocol"),
			scheduler.MustParseAddress(text + ":" + drawnPorts.Draw(t, "ports")),
		}
	})
)

func drawState(t *rapid.T) State {
	return State{
		Services: rapid.SliceOfN(drawnService, 0, 16).Draw(t, "services"),
		Local:    rapid.SliceOfN(drawnAddr, 0, 12).Draw(t, "local"),
	}
}

// drawFrame makes a packet that has one fault at the most.
func drawFrame(t *rapid.T, s State) []byte {
	kind, version, words, length, offset, missing := uint16(packet.TypeIPv4), byte(4), 5, 0, uint16(0), 0
	switch rapid.IntRange(0, 9).Draw(t, "fault") {
	case 0:
		kind = rapid.SampledFrom([]uint16{0x806, 0x8100, 0x86dd}).Draw(t, "type")
	case 1:
		version = rapid.SampledFrom([]byte{0, 3, 5, 6}).Draw(t, "version")
	case 2:
		words = rapid.IntRange(0, 15).Draw(t, "words of the header")
	case 3:
		length = rapid.SampledFrom([]int{1, -7, -8, -9, -1000}).Draw(t, "length")
	case 4:
		offset = rapid.SampledFrom([]uint16{0x4000, 0x2000, 0x2001, 0x0001, 0x1000}).Draw(t, "fragment")
	case 5:
		missing = rapid.IntRange(1, 42).Draw(t, "missing bytes")
	}
	frame := make([]byte, packet.EthernetLen+max(4*words, packet.IPv4Len)+8)
	binary.BigEndian.PutUint16(frame[12:], kind)
	ip := frame[packet.EthernetLen:]
	ip[0] = version<<4 | byte(words)
	binary.BigEndian.PutUint16(ip[2:], uint16(max(len(ip)+length, 0)))
	binary.BigEndian.PutUint16(ip[6:], offset)
	ip[9] = rapid.SampledFrom([]byte{6, 6, 17, 17, 1}).Draw(t, "protocol")
	to := drawnAddr
	if len(s.Local) > 0 {
		to = rapid.OneOf(to, rapid.SampledFrom(s.Local))
	}
	copy(ip[16:], to.Draw(t, "destination").AsSlice())
	for _, at := range []int{4 * words, packet.IPv4Len} { // both, for headers that are too short
		binary.BigEndian.PutUint16(ip[at+2:], drawnPort.Draw(t, "port"))
	}
	return frame[:max(len(frame)-missing, 0)]
}

func TestTheProgramDropsRequestsAsTheRulesDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawState(t)
		vm, missing := program(t, s)
		if missing != 0 {
			t.Fatal("the program is not complete")
		}
		for range 50 {
			frame := drawFrame(t, s)
			want := requestDropped(s, frame)
			if got := vm != nil && classify(t, vm, frame); got != want {
				t.Fatalf("%x: dropped %v, want %v", frame, got, want)
			}
		}
	})
}

func FuzzTheProgramDropsRequestsAsTheRulesDo(f *testing.F) {
	mac := []byte{2, 0, 0, 0, 0, 1}
	for _, p := range [][]byte{
		tcp(client, 1024, ownVIP, 80), tcp(client, 1024, ownVIP, 22), udp(client, 1024, ownVIP, 53), echo(client, foreignVIP),
		fragment(udp(client, 1024, ownVIP, 53), 185, false), withOptions(tcp(client, 1024, ownVIP, 5999)), tcp(client, 1024, wholeVIP, 1),
	} {
		f.Add(ethernet(mac, packet.TypeIPv4, p))
	}
	vm, _ := program(f, handled)
	f.Fuzz(func(t *testing.T, frame []byte) {
		if got, want := classify(t, vm, frame), requestDropped(handled, frame); got != want {
			t.Errorf("dropped %v, want %v", got, want)
		}
	})
}

// scattered is a state with so many services that do not touch: at the box's
// own address by ports, elsewhere by addresses.
func scattered(ports, vips int) State {
	s := State{Local: []netip.Addr{netip.MustParseAddr(ownVIP)}}
	for i := range ports {
		s.Services = append(s.Services, Endpoint{6, scheduler.MustParseAddress(fmt.Sprintf("%s:%d", ownVIP, 2*i+1))})
	}
	for i := range vips {
		addr := netip.AddrFrom4([4]byte{198, 18, byte(i >> 7), byte(2*i + 1)})
		s.Services = append(s.Services, Endpoint{6, scheduler.MustParseAddress(addr.String() + ":80")})
	}
	return s
}

func TestWhatDoesNotFitIsLeftToTheRules(t *testing.T) {
	mac := []byte{2, 0, 0, 0, 0, 1}
	toOwn := ethernet(mac, packet.TypeIPv4, tcp(client, 1024, ownVIP, 1001))
	toVIP := ethernet(mac, packet.TypeIPv4, tcp(client, 1024, "198.18.3.101", 22))
	for _, tt := range []struct {
		ports, vips int
		missing     part
		own, vip    bool // dropped
	}{
		{0, 0, 0, false, false},
		{501, 501, 0, true, true},
		{1000, 501, toServices, false, true},
		{5000, 501, toServices, false, true},
		{501, 5000, allToVIPs, true, false},
		{5000, 5000, allToVIPs | toServices, false, false},
	} {
		t.Run(fmt.Sprintf("%d ports, %d VIPs", tt.ports, tt.vips), func(t *testing.T) {
			vm, missing := program(t, scattered(tt.ports, tt.vips))
			if missing != tt.missing {
				t.Errorf("missing %d, want %d", missing, tt.missing)
			}
			own, vip := vm != nil && classify(t, vm, toOwn), vm != nil && classify(t, vm, toVIP)
			if own != tt.own || vip != tt.vip {
				t.Errorf("dropped: %v to an own address, %v to a VIP, want %v, %v", own, vip, tt.own, tt.vip)
			}
		})
	}
}

// The same state makes the same program, so that nothing is changed for it.
func TestProgramsAreSettled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawState(t)
		c, err := contentsOf(s)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := programOf(c)
		for range 5 {
			s.Services = rapid.Permutation(s.Services).Draw(t, "services")
			again, err := contentsOf(s)
			if err != nil {
				t.Fatal(err)
			}
			if next, _, _ := programOf(again); !slices.Equal(next, first) {
				t.Fatalf("%v, then %v", first, next)
			}
		}
	})
}
