package afpacket

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
	"pgregory.net/rapid"

	"lvsnat/dataplane/interval"
	"lvsnat/dataplane/packet"
)

// datagram is what the program sees of a frame: all from the IPv4 header on.
type datagram struct {
	source, destination         uint32
	sourcePort, destinationPort uint16
	protocol                    uint8
	fragment                    uint16 // flags and offset
	options                     int    // words of IPv4 options
}

func (d datagram) bytes() []byte {
	length := packet.IPv4Len + 4*d.options
	b := make([]byte, length+packet.TCPLen)
	b[0] = 0x40 | byte(length/4)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[6:], d.fragment)
	b[8], b[9] = 64, d.protocol
	binary.BigEndian.PutUint32(b[12:], d.source)
	binary.BigEndian.PutUint32(b[16:], d.destination)
	binary.BigEndian.PutUint16(b[length:], d.sourcePort)
	binary.BigEndian.PutUint16(b[length+2:], d.destinationPort)
	return b
}

// address32 is the prefix of one address in host order.
func address32(addr uint32) netip.Prefix { return range32(addr, 32) }

// range32 is the prefix of that length around an address.
func range32(addr uint32, bits int) netip.Prefix {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], addr)
	return netip.PrefixFrom(netip.AddrFrom4(b), bits).Masked()
}

func addresses32(addrs ...uint32) []netip.Prefix {
	var list []netip.Prefix
	for _, addr := range addrs {
		list = append(list, address32(addr))
	}
	return list
}

// place is the rule of Placement as it reads, for what follows the link header.
func (p Placement) place(b []byte) int {
	if len(b) < packet.IPv4Len {
		return 0
	}
	ip := packet.IPv4(b)
	ported := ip.Protocol() == packet.TCPProtocol || ip.Protocol() == packet.UDPProtocol
	if ip.Version() != 4 || ip.MoreFragments() || ip.FragmentOffset() != 0 || !ported {
		return 0
	}
	address, port := ip.Destination(), ip.HeaderLen()+2
	if slices.ContainsFunc(p.Virtual, func(v netip.Prefix) bool { return v.Contains(address32(ip.Destination()).Addr()) }) {
		address, port = ip.Source(), ip.HeaderLen()
	}
	if len(b) < port+2 {
		return 0
	}
	return packet.Owner(address, binary.BigEndian.Uint16(b[port:]), p.Seed, p.Workers)
}

func machine(t testing.TB, p Placement) *bpf.VM {
	t.Helper()
	raw, err := p.Program()
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > interval.MaxInstructions {
		t.Fatalf("%d instructions, the kernel allows %d", len(raw), interval.MaxInstructions)
	}
	program, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the program has instructions that cannot be read back")
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

// newVM is machine for a property.
func newVM(t *rapid.T, p Placement) *bpf.VM {
	raw, err := p.Program()
	if err != nil {
		t.Fatal(err)
	}
	program, _ := bpf.Disassemble(raw)
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

func run(t testing.TB, vm *bpf.VM, b []byte) int {
	t.Helper()
	n, err := vm.Run(b)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var workerCounts = rapid.IntRange(1, 9)

func TestProgramPlacesAsTheRuleSays(t *testing.T) {
	// Few different addresses, neighbours among them, so that hits and near
	// misses are common.
	addresses := rapid.OneOf(rapid.Uint32Range(0x0a000000, 0x0a000020), rapid.Uint32(), rapid.SampledFrom([]uint32{0, 1<<32 - 1}))
	prefixes := rapid.Custom(func(t *rapid.T) netip.Prefix {
		return range32(addresses.Draw(t, "address"), rapid.SampledFrom([]int{32, 32, 31, 30, 28, 20, 0}).Draw(t, "bits"))
	})
	rapid.Check(t, func(t *rapid.T) {
		p := Placement{
			Workers:      workerCounts.Draw(t, "workers"),
			Seed:         rapid.Uint32().Draw(t, "seed"),
			Virtual:      rapid.SliceOfN(prefixes, 0, 60).Draw(t, "virtual"),
			FacesClients: rapid.Bool().Draw(t, "faces clients"),
		}
		vm := newVM(t, p)
		for range 20 {
			d := datagram{
				source: addresses.Draw(t, "source"), destination: addresses.Draw(t, "destination"),
				sourcePort: rapid.Uint16().Draw(t, "source port"), destinationPort: rapid.Uint16().Draw(t, "destination port"),
				protocol: rapid.SampledFrom([]uint8{1, 6, 6, 6, 17, 17, 47, 132}).Draw(t, "protocol"),
				fragment: rapid.SampledFrom([]uint16{0, 0, 0x4000, 0x2000, 0x0001, 0x2005}).Draw(t, "fragment"),
				options:  rapid.IntRange(0, 10).Draw(t, "options"),
			}
			got, err := vm.Run(d.bytes())
			if err != nil {
				t.Fatal(err)
			}
			if want := p.place(d.bytes()); got != want {
				t.Fatalf("%+v goes to worker %d, want %d", d, got, want)
			}
		}
	})
}

// Both directions of a connection have the same worker, on two NICs or one.
func TestRequestAndReplyHaveTheSameWorker(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vip := rapid.Uint32().Draw(t, "VIP")
		vips := range32(vip, rapid.IntRange(20, 32).Draw(t, "bits"))
		p := Placement{Workers: workerCounts.Draw(t, "workers"), Seed: rapid.Uint32().Draw(t, "seed"), Virtual: append(addresses32(1, 2, 3), vips)}
		noVIP := func(address uint32) bool { return !vips.Contains(address32(address).Addr()) }
		client, server := rapid.Uint32Min(4).Filter(noVIP).Draw(t, "CIP"), rapid.Uint32Min(4).Draw(t, "RIP")
		port := rapid.Uint16().Draw(t, "cport")
		request := datagram{source: client, sourcePort: port, destination: vip, destinationPort: 80, protocol: 6}
		reply := datagram{source: server, sourcePort: 8000, destination: client, destinationPort: port, protocol: 6}
		want := packet.Owner(client, port, p.Seed, p.Workers)
		vm := newVM(t, p)
		for what, packet := range map[string]datagram{"request": request, "reply": reply} {
			if got, err := vm.Run(packet.bytes()); err != nil || got != want {
				t.Fatalf("the %s has worker %d, the owner is %d", what, got, want)
			}
		}
	})
}

func TestOtherFramesGoToTheFirstWorker(t *testing.T) {
	vm := machine(t, Placement{Workers: 1 << 16, Seed: 5})
	whole := datagram{source: 1, destination: 2, sourcePort: 3, destinationPort: 4, protocol: 6}.bytes()
	if run(t, vm, whole) == 0 {
		t.Fatal("the whole packet goes to worker 0: the test shows nothing")
	}
	for n := range packet.IPv4Len + 4 {
		if w := run(t, vm, whole[:n]); w != 0 {
			t.Errorf("the first %d bytes go to worker %d, want 0", n, w)
		}
	}
	for version := range byte(16) {
		if b := slices.Clone(whole); version != 4 {
			b[0] = version<<4 | 5
			if w := run(t, vm, b); w != 0 {
				t.Errorf("IP version %d goes to worker %d, want 0", version, w)
			}
		}
	}
}

func TestSearchFindsEachOfManyAddresses(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{0, 1, 2, 4, 5, 8, 9, 100, 255, 256, 257, 1000, 1200} {
		t.Run(fmt.Sprintf("%d addresses", n), func(t *testing.T) {
			p := Placement{Workers: 1 << 16, Seed: 9}
			for range n {
				p.Virtual = append(p.Virtual, address32(random.Uint32()))
			}
			vm := machine(t, p)
			d := datagram{source: 1, sourcePort: 2, destinationPort: 3, protocol: 17}
			for _, prefix := range p.Virtual {
				b := prefix.Addr().As4()
				v := binary.BigEndian.Uint32(b[:])
				for _, d.destination = range []uint32{v - 1, v, v + 1} {
					if got, want := run(t, vm, d.bytes()), p.place(d.bytes()); got != want {
						t.Errorf("packet to %#x goes to worker %d, want %d", d.destination, got, want)
					}
				}
			}
		})
	}
}

func TestAThousandRangesFit(t *testing.T) {
	p := Placement{Workers: 1 << 16, Seed: 9}
	for i := range uint32(1000) {
		p.Virtual = append(p.Virtual, range32(i<<8|0x40, 28))
	}
	vm := machine(t, p)
	d := datagram{source: 1, sourcePort: 2, destinationPort: 3, protocol: 17}
	for i := range uint32(1000) {
		for _, low := range []uint32{0x3f, 0x40, 0x48, 0x4f, 0x50} {
			d.destination = i<<8 | low
			if got, want := run(t, vm, d.bytes()), p.place(d.bytes()); got != want {
				t.Errorf("packet to %#x goes to worker %d, want %d", d.destination, got, want)
			}
		}
	}
}

func TestNeighboursShareInstructions(t *testing.T) {
	one, err := Placement{Workers: 2, Virtual: []netip.Prefix{range32(0xc0a80100, 24)}}.Program()
	if err != nil {
		t.Fatal(err)
	}
	var all []netip.Prefix
	for i := range uint32(256) {
		all = append(all, address32(0xc0a801ff-i))
	}
	same, err := Placement{Workers: 2, Virtual: all}.Program()
	if err != nil || !slices.Equal(one, same) {
		t.Errorf("256 addresses in a row take %d instructions, their range %d (%v)", len(same), len(one), err)
	}
}

func TestTooManyAddressesArePlacedByNIC(t *testing.T) {
	p := Placement{Workers: 1 << 16}
	for i := range uint32(100_000) {
		p.Virtual = append(p.Virtual, address32(i*5))
	}
	d := datagram{source: 1, sourcePort: 2, destination: 3, destinationPort: 4, protocol: 6}
	p.FacesClients = true
	if got, want := run(t, machine(t, p), d.bytes()), packet.Owner(1, 2, 0, p.Workers); got != want {
		t.Errorf("worker %d by the source, want %d", got, want)
	}
	p.FacesClients = false
	if got, want := run(t, machine(t, p), d.bytes()), packet.Owner(3, 4, 0, p.Workers); got != want {
		t.Errorf("worker %d by the destination, want %d", got, want)
	}
}

// FuzzProgram holds the program to the rule for whatever a NIC may hand up.
func FuzzProgram(f *testing.F) {
	p := Placement{Workers: 1 << 16, Seed: 7, Virtual: append(addresses32(0x0a000001, 0x0a000002, 0x0a000009, 0xffffffff), range32(0xc0a80160, 28))}
	for _, d := range []datagram{
		{source: 1, destination: 0x0a000002, sourcePort: 3, destinationPort: 4, protocol: 6},
		{source: 1, destination: 0x0a000003, sourcePort: 3, destinationPort: 4, protocol: 17, options: 10},
		{source: 1, destination: 0x0a000009, protocol: 6, fragment: 0x2000},
		{source: 1, destination: 0xc0a8016e, sourcePort: 3, destinationPort: 4, protocol: 6},
	} {
		f.Add(d.bytes())
	}
	f.Add([]byte{})
	f.Add([]byte{0x40, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}) // a header of no length
	vm := machine(f, p)
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := run(t, vm, b), p.place(b); got != want {
			t.Errorf("% x goes to worker %d, want %d", b, got, want)
		}
	})
}
