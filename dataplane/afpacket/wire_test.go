package afpacket

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"testing"
	"time"

	"lvsnat/checksum"
	"lvsnat/dataplane/packet"
)

func TestFramesOfEverySizeArriveAsTheyWereSent(t *testing.T) {
	c := newCable(t)
	for _, e := range []*end{&c.near, &c.far} {
		e.set(t, mtu(9000))
	}
	var sent []packet.Frame
	// Slots of 2,048 bytes hold payloads of up to 1,930 bytes to be received
	// and of up to 1,964 to be sent.
	for i, payload := range []int{4, 18, 100, 1472, 1929, 1930, 1931, 1963, 1964, 1965, 4000, 4054, 8972} {
		sent = append(sent, c.udp(c.near, c.far, 1000, 2000, payload, uint32(i)))
	}
	for name, o := range map[string]Options{"slots for the MTU": {}, "smaller slots": {SlotSize: 2048}} {
		t.Run(name, func(t *testing.T) {
			s, r := c.near.sender(t, o), c.far.receiver(t, o)
			send(t, s, sent...)
			for i, got := range collect(t, r, len(sent)) {
				if !bytes.Equal(got.Data, sent[i].Data) {
					t.Errorf("frame %d: %d bytes arrived of %d sent, or differ", i, len(got.Data), len(sent[i].Data))
				}
				if got.Offload.GSOType != packet.GSONone || got.Offload.PartialChecksum() {
					t.Errorf("frame %d: offload %+v, want none", i, got.Offload)
				}
			}
			if want := (packet.SenderStats{Sent: uint64(len(sent))}); s.Stats() != want {
				t.Errorf("sender %+v, want %+v", s.Stats(), want)
			}
			if want := (packet.ReceiverStats{Received: uint64(len(sent))}); r.Stats() != want {
				t.Errorf("receiver %+v, want %+v", r.Stats(), want)
			}
		})
	}
}

func TestSmallAndLargeFramesDoNotOvertakeEachOther(t *testing.T) {
	c := newCable(t)
	for _, e := range []*end{&c.near, &c.far} {
		e.set(t, mtu(9000))
	}
	s, r := c.near.sender(t, Options{Slots: 16, SlotSize: 2048}), c.far.receiver(t, Options{SlotSize: 2048})
	var sent []packet.Frame
	for i := range uint32(200) {
		payload := 100
		if i%7 < 3 || i%50 > 30 {
			payload = 5000
		}
		sent = append(sent, c.udp(c.near, c.far, 1000, 2000, payload, i))
	}
	send(t, s, sent...)
	for i, got := range collect(t, r, len(sent)) {
		if numberOf(got) != uint32(i) {
			t.Fatalf("frame %d arrives as number %d", numberOf(got), i)
		}
	}
}

func TestTagsThatTheKernelTakesOutArePutBack(t *testing.T) {
	c := newCable(t)
	s, r := c.near.sender(t, Options{}), c.far.receiver(t, Options{})
	inner := c.udp(c.near, c.far, 1000, 2000, 1000, 1)
	tests := []struct {
		name string
		tags []tag
	}{
		{"one tag", []tag{{packet.TypeVLAN, 0x6064}}},
		{"priority tag", []tag{{packet.TypeVLAN, 0xa000}}},
		{"service tag", []tag{{packet.TypeSVLAN, 100}}},
		{"two tags", []tag{{packet.TypeSVLAN, 200}, {packet.TypeVLAN, 100}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := inner
			for i := len(tt.tags) - 1; i >= 0; i-- {
				f.Data = tagged(f.Data, tt.tags[i])
			}
			send(t, s, f)
			if got := collect(t, r, 1)[0]; !bytes.Equal(got.Data, f.Data) {
				t.Errorf("got % x, want % x", got.Data[:30], f.Data[:30])
			}
		})
	}
}

func TestOnlyIPv4ForThisHostReachesTheRing(t *testing.T) {
	c := newCable(t)
	s, r := c.near.sender(t, Options{}), c.far.receiver(t, Options{})
	with := func(change func(b []byte)) packet.Frame {
		f := c.udp(c.near, c.far, 1000, 2000, 50, 0)
		change(f.Data)
		return f
	}
	send(t, s,
		with(func(b []byte) { packet.Ethernet(b).SetType(packet.TypeARP) }),
		with(func(b []byte) { packet.Ethernet(b).SetType(packet.TypeIPv6) }),
		with(func(b []byte) { b[5] ^= 1 }),                           // another host's
		with(func(b []byte) { copy(b, "\xff\xff\xff\xff\xff\xff") }), // broadcast
		with(func(b []byte) { copy(b, "\x01\x00\x5e\x01\x02\x03") }), // multicast
		c.udp(c.near, c.far, 1000, 2000, 50, 99),
	)
	if got := collect(t, r, 1); len(got) != 1 || numberOf(got[0]) != 99 {
		t.Errorf("%d frames arrive, want only the last", len(got))
	}
	// What the far end itself sends must not come back to it.
	far := c.far.sender(t, Options{})
	send(t, far, c.udp(c.far, c.near, 1, 2, 50, 1))
	send(t, s, c.udp(c.near, c.far, 1000, 2000, 50, 100))
	if got := collect(t, r, 1); len(got) != 1 || numberOf(got[0]) != 100 {
		t.Errorf("%d frames arrive, want only the one from the wire", len(got))
	}
}

func TestAPartialChecksumIsCompletedForASocket(t *testing.T) {
	c := newCable(t)
	s := c.near.sender(t, Options{})
	var socket net.PacketConn
	c.far.in(t, func() { socket = must(net.ListenPacket("udp4", c.far.addr.String()+":2000")) })
	defer socket.Close()
	must(0, socket.SetDeadline(time.Now().Add(patience)))

	f := c.udp(c.near, c.far, 1000, 2000, 1000, 7)
	ip := f.Data[packet.EthernetLen:]
	binary.BigEndian.PutUint16(ip[10:], ^checksum.Sum(ip[:20], 0))
	udp := ip[packet.IPv4Len:]
	pseudo := binary.BigEndian.AppendUint16(bytes.Clone(ip[12:20]), packet.UDPProtocol)
	pseudo = binary.BigEndian.AppendUint16(pseudo, uint16(len(udp)))
	binary.BigEndian.PutUint16(udp[6:], checksum.Sum(pseudo, 0))
	f.Offload = packet.Offload{Flags: packet.OffloadNeedsChecksum, ChecksumStart: 34, ChecksumOffset: 6}
	send(t, s, f)
	var b [2000]byte
	n, _, err := socket.ReadFrom(b[:])
	if err != nil || !bytes.Equal(b[:n], udp[8:]) {
		t.Errorf("%d bytes received, error %v, want the datagram", n, err)
	}
}

func TestFramesWithoutRoomInTheRingAreCounted(t *testing.T) {
	c := newCable(t)
	s, r := c.near.sender(t, Options{}), c.far.receiver(t, Options{Slots: 16})
	const frames = 100
	for i := range uint32(frames) {
		send(t, s, c.udp(c.near, c.far, 1000, 2000, 50, i))
	}
	eventually(t, func() string {
		if got := r.Stats().Dropped; got != frames-16 {
			return fmt.Sprintf("%d frames dropped, want %d", got, frames-16)
		}
		return ""
	})
	for i, f := range collect(t, r, 16) {
		if numberOf(f) != uint32(i) {
			t.Errorf("frame %d has number %d", i, numberOf(f))
		}
	}
	send(t, s, c.udp(c.near, c.far, 1000, 2000, 50, 1000))
	if got := collect(t, r, 1)[0]; numberOf(got) != 1000 {
		t.Errorf("after the overflow frame %d arrives, want 1000", numberOf(got))
	}
	if got := r.Stats(); got.Dropped != frames-16 || got.Received != 17 {
		t.Errorf("stats %+v, want 17 received, %d dropped", got, frames-16)
	}
}
