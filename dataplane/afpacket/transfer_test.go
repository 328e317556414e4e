package afpacket

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"lvsnat/dataplane/packet"
)

// A bridge made of two receivers and two senders joins two cables, and TCP with
// its default offloads crosses it: super-packets and partial checksums in both
// directions.
func TestTCPWithDefaultOffloadsCrossesTwoCables(t *testing.T) {
	for _, size := range []int{1500, 9000} {
		t.Run(fmt.Sprintf("MTU %d", size), func(t *testing.T) { testTransfer(t, size) })
	}
}

func testTransfer(t *testing.T, size int) {
	n := newBridgedNetwork(t, size)
	n.transfer(t, 16<<20, func() {})
	n.bridge.finish()
	if b := n.bridge; b.superPackets == 0 || b.partial == 0 {
		t.Errorf("%d super-packets and %d partial checksums of %d frames: the test has not met offloads", b.superPackets, b.partial, b.frames)
	}
}

// A transfer goes on after its links were down for a moment, while frames of
// every size are on their way.
func TestATransferSurvivesLinksThatGoDown(t *testing.T) {
	n := newBridgedNetwork(t, 1500)
	n.transfer(t, 8<<20, func() {
		for _, e := range []end{n.left.far, n.right.near, n.left.far} {
			e.set(t, down)
			e.set(t, up)
			n.left.waitForCarrier(t)
			n.right.waitForCarrier(t)
		}
	})
}

// A bridgedNetwork is two hosts with a bridge between them.
//
//	client ---- left ---- bridge ---- right ---- server
type bridgedNetwork struct {
	left, right    *cable
	client, server *end
	bridge         *bridge
}

func newBridgedNetwork(t *testing.T, size int) *bridgedNetwork {
	left, right := newCable(t), newCable(t)
	for _, e := range []*end{&left.near, &left.far, &right.near, &right.far} {
		e.set(t, mtu(size))
	}
	// The kernel must not answer for the hosts behind the bridge.
	left.far.set(t, noAddress)
	right.near.set(t, noAddress)
	// Each host believes that the bridge's NIC next to it is the other host.
	client, server := &left.near, &right.far
	client.neighbour(t, server.addr, left.far.mac)
	server.neighbour(t, client.addr, right.near.mac)
	b := &bridge{
		sides: [2]side{
			{left.far.receiver(t, Options{}), left.far.sender(t, Options{}), left.far.mac, client.mac},
			{right.near.receiver(t, Options{}), right.near.sender(t, Options{}), right.near.mac, server.mac},
		},
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	b.start(t)
	return &bridgedNetwork{left: left, right: right, client: client, server: server, bridge: b}
}

// transfer sends total bytes to the server and back again, with what happens
// meanwhile.
func (n *bridgedNetwork) transfer(t *testing.T, total int64, meanwhile func()) {
	t.Helper()
	received := n.echo(t, total)
	var connection net.Conn
	n.client.in(t, func() { connection = must(net.DialTimeout("tcp4", n.server.addr.String()+":7000", patience)) })
	defer connection.Close()
	must(0, connection.SetDeadline(time.Now().Add(6*patience)))

	sent := make(chan [32]byte, 1)
	go func() {
		h := sha256.New()
		_, _ = io.Copy(io.MultiWriter(h, connection), io.LimitReader(&pattern{}, total))
		sent <- [32]byte(h.Sum(nil))
	}()
	echoed := sha256.New()
	half, err := io.CopyN(echoed, connection, total/2)
	meanwhile()
	rest, err2 := io.CopyN(echoed, connection, total-total/2)
	if err := errors.Join(err, err2); err != nil {
		t.Fatalf("%d of %d bytes came back: %v", half+rest, total, err)
	}
	want := <-sent
	if <-received != want || [32]byte(echoed.Sum(nil)) != want {
		t.Error("the bytes differ from those that were sent")
	}
}

// echo starts a server that sends total bytes back and tells their digest.
func (n *bridgedNetwork) echo(t *testing.T, total int64) <-chan [32]byte {
	t.Helper()
	var listener net.Listener
	n.server.in(t, func() { listener = must(net.Listen("tcp4", n.server.addr.String()+":7000")) })
	t.Cleanup(func() { listener.Close() })
	received := make(chan [32]byte, 1)
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		defer connection.Close()
		h := sha256.New()
		_, _ = io.Copy(io.MultiWriter(h, connection), io.LimitReader(connection, total))
		received <- [32]byte(h.Sum(nil))
	}()
	return received
}

// pattern is an endless source of bytes that do not repeat soon.
type pattern struct{ state uint64 }

func (p *pattern) Read(b []byte) (int, error) {
	var word [8]byte
	for i := range b {
		if i%8 == 0 {
			p.state = p.state*6364136223846793005 + 1442695040888963407
			binary.LittleEndian.PutUint64(word[:], p.state)
		}
		b[i] = word[i%8]
	}
	return len(b), nil
}

// neighbour makes the end send frames for addr to mac.
func (e *end) neighbour(t testing.TB, addr net.IP, mac net.HardwareAddr) {
	t.Helper()
	e.set(t, func(h *netlink.Handle, l netlink.Link) error {
		return h.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, State: netlink.NUD_PERMANENT, IP: addr, HardwareAddr: mac})
	})
}

func noAddress(h *netlink.Handle, l netlink.Link) error {
	addresses, err := h.AddrList(l, netlink.FAMILY_V4)
	for i := range addresses {
		err = errors.Join(err, h.AddrDel(l, &addresses[i]))
	}
	return err
}

// A bridge carries frames between two sides and changes only link addresses.
type bridge struct {
	sides         [2]side
	stop, stopped chan struct{}

	frames, superPackets, partial int // owned by run until it has stopped
}

type side struct {
	receiver  *Receiver
	sender    *Sender
	own, peer net.HardwareAddr
}

func (b *bridge) start(t testing.TB) {
	t.Helper()
	waiter := must(NewWaiter(b.sides[0].receiver, b.sides[1].receiver))
	t.Cleanup(func() { waiter.Close() })
	t.Cleanup(b.finish)
	go func() {
		<-b.stop
		waiter.Wake()
	}()
	go b.run(waiter)
}

// finish stops the bridge; it may be called twice.
func (b *bridge) finish() {
	select {
	case <-b.stopped:
	default:
		close(b.stop)
		<-b.stopped
	}
}

func (b *bridge) run(waiter *Waiter) {
	defer close(b.stopped)
	for {
		select {
		case <-b.stop:
			return
		default:
		}
		if b.carry(0, 1)+b.carry(1, 0) == 0 {
			waiter.Wait(time.Second)
		}
	}
}

func (b *bridge) carry(from, to int) int {
	var frames [64]packet.Frame
	source, target := b.sides[from], b.sides[to]
	n := source.receiver.Receive(frames[:])
	for _, f := range frames[:n] {
		b.frames++
		if f.Offload.GSOType != packet.GSONone {
			b.superPackets++
		}
		if f.Offload.PartialChecksum() {
			b.partial++
		}
		if head := target.sender.Reserve(&f); head != nil {
			packet.Ethernet(head).SetAddresses(new(packet.MAC(target.peer)), new(packet.MAC(target.own)))
			target.sender.Commit()
		}
	}
	target.sender.Flush()
	source.receiver.Release()
	return n
}
