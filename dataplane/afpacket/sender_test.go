package afpacket

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"lvsnat/dataplane/packet"
)

// A fakeNIC takes frames from a transmit ring as tpacket_snd does, and from
// messages as packet_snd does.
type fakeNIC struct {
	ring   ring
	head   uint32
	keep   bool     // remember what was sent
	sent   [][]byte // virtio-net header and frame
	kicks  int
	errors []error // for the next frames, one each
}

// refusal is the error for the next frame.
func (k *fakeNIC) refusal() error {
	if len(k.errors) == 0 {
		return nil
	}
	err := k.errors[0]
	k.errors = k.errors[1:]
	return err
}

func (k *fakeNIC) kick() error {
	k.kicks++
	if len(k.errors) > 0 && k.errors[0] == unix.ENETDOWN {
		return k.refusal() // looked at before any slot
	}
	start := k.head
	for k.ring.status(k.head) == unix.TP_STATUS_SEND_REQUEST {
		h := k.ring.header(k.head)
		if h.Len >= vnetLen {
			err := k.refusal()
			if err == unix.EAGAIN && k.head != start {
				return nil // the call returns the bytes sent so far
			}
			if err != nil {
				return err
			}
			k.take(k.ring.slot(k.head)[transmitOffset:][:h.Len])
		}
		k.ring.setStatus(k.head, unix.TP_STATUS_AVAILABLE)
		k.head++
	}
	return nil
}

func (k *fakeNIC) send(messages []unix.Mmsghdr) (int, error) {
	for i := range messages {
		if err := k.refusal(); err != nil {
			if i > 0 {
				return i, nil // as sendmmsg does: the error is met again
			}
			return 0, err
		}
		var whole []byte
		if k.keep {
			h := &messages[i].Hdr
			for _, v := range unsafe.Slice(h.Iov, h.Iovlen) {
				whole = append(whole, unsafe.Slice(v.Base, v.Len)...)
			}
		}
		k.take(whole)
	}
	return len(messages), nil
}

func (k *fakeNIC) take(b []byte) {
	if k.keep {
		k.sent = append(k.sent, bytes.Clone(b))
	}
}

func newFakeSender(slots, slotSize int) (*Sender, *fakeNIC) {
	k := &fakeNIC{ring: plainRing(slots, slotSize), keep: true}
	s := newSender(k.ring, k)
	s.SetMTU(9000)
	return s, k
}

// numbered is a frame that carries its number behind the addresses.
func numbered(length int, number uint32) packet.Frame {
	b := make([]byte, length)
	for i := range b {
		b[i] = byte(i)
	}
	binary.BigEndian.PutUint16(b[12:], packet.TypeIPv4)
	binary.BigEndian.PutUint32(b[14:], number)
	return packet.Frame{Data: b}
}

// Whatever the NIC refuses and whichever way frames take, what is sent is a
// part of what was committed, in its order and as it was rewritten; what is
// missing is counted; and the next frame goes to where the kernel looks.
func TestSenderKeepsOrderAndCountsWhateverTheNICRefuses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, k := newFakeSender(8, 512)
		var committed uint32
		var refusedAtOnce uint64
		want := map[uint32][]byte{}
		t.Repeat(map[string]func(*rapid.T){
			"frame": func(t *rapid.T) {
				length := rapid.OneOf(rapid.IntRange(18, 512), rapid.IntRange(18, 3000)).Draw(t, "length")
				f := numbered(length, committed)
				b := s.Reserve(&f)
				if b == nil {
					refusedAtOnce++
					return
				}
				if len(b) < min(packet.HeadLen, length) || !bytes.Equal(b, f.Data[:len(b)]) {
					t.Fatalf("%d bytes reserved for a frame of %d, or they differ from it", len(b), length)
				}
				b[0] = 0xaa // rewritten
				if rapid.Bool().Draw(t, "commit") {
					s.Commit()
					want[committed] = append([]byte{0xaa}, f.Data[1:]...)
					committed++
				}
			},
			"flush": func(*rapid.T) { s.Flush() },
			"NIC starts refusing": func(t *rapid.T) {
				errors := []error{nil, unix.ENOBUFS, unix.ENOBUFS, unix.EAGAIN, unix.ENETDOWN}
				k.errors = rapid.SliceOfN(rapid.SampledFrom(errors), 1, 20).Draw(t, "errors")
			},
		})
		s.Flush()
		checkSent(t, k.sent, want)
		if s.head != k.head {
			t.Fatalf("sender goes on at slot %d, kernel at %d", s.head, k.head)
		}
		stats := packet.SenderStats{Sent: uint64(len(k.sent)), Dropped: uint64(committed) - uint64(len(k.sent)) + refusedAtOnce}
		if s.Stats() != stats {
			t.Fatalf("stats %+v, want %+v", s.Stats(), stats)
		}

		k.errors = nil
		last := numbered(100, committed)
		if s.Reserve(&last) == nil {
			t.Fatal("no room after all was flushed")
		}
		s.Commit()
		s.Flush()
		if !bytes.Equal(k.sent[len(k.sent)-1][vnetLen:], last.Data) {
			t.Fatal("a frame is not sent though the NIC takes frames again")
		}
	})
}

// checkSent compares what was sent with what was wanted, which may be more.
func checkSent(t *rapid.T, sent [][]byte, want map[uint32][]byte) {
	t.Helper()
	previous := int64(-1)
	for _, b := range sent {
		frame := b[vnetLen:]
		number := binary.BigEndian.Uint32(frame[14:])
		if int64(number) <= previous {
			t.Fatalf("frame %d is sent after frame %d", number, previous)
		}
		previous = int64(number)
		if !bytes.Equal(frame, want[number]) {
			t.Fatalf("frame %d is not sent as it was committed", number)
		}
		if headerLen := int(binary.NativeEndian.Uint16(b[2:])); headerLen > len(frame) || headerLen < min(packet.HeadLen, len(frame)) {
			t.Fatalf("header length %d of a frame of %d bytes", headerLen, len(frame))
		}
	}
}

// One refused frame must not take its batch along, and a full queue must not
// cost a system call for each frame.
func TestAFullQueueLosesOnlyWhatItMust(t *testing.T) {
	tests := []struct {
		name     string
		error    error
		refusals int
		sent     uint64
		kicks    int
	}{
		{"one frame refused by a full queue", unix.ENOBUFS, 1, 31, 2},
		{"queue stays full", unix.ENOBUFS, 1000, 0, maxRefused + 1},
		{"link down", unix.ENETDOWN, 1000, 0, 1},
		{"too much in flight", unix.EAGAIN, 1000, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, k := newFakeSender(64, 512)
			k.errors = slices.Repeat([]error{tt.error}, tt.refusals)
			for i := range uint32(32) {
				s.Reserve(new(numbered(60, i)))
				s.Commit()
			}
			s.Flush()
			if want := (packet.SenderStats{Sent: tt.sent, Dropped: 32 - tt.sent}); s.Stats() != want {
				t.Errorf("stats %+v, want %+v", s.Stats(), want)
			}
			if k.kicks != tt.kicks {
				t.Errorf("%d system calls, want %d", k.kicks, tt.kicks)
			}
		})
	}
}

func TestAFrameThatIsSentLaterFindsTheRingFull(t *testing.T) {
	s, k := newFakeSender(4, 512)
	for i := range uint32(4) {
		s.Reserve(new(numbered(60, i)))
		s.Commit()
	}
	// The NIC has taken the frames but still reads them.
	k.head = 4
	for n := range uint32(4) {
		k.ring.setStatus(n, unix.TP_STATUS_SENDING)
	}
	if s.Reserve(new(numbered(60, 4))) != nil {
		t.Error("a slot is given away that the NIC still reads")
	}
	if want := (packet.SenderStats{Sent: 4, Dropped: 1}); s.Stats() != want {
		t.Errorf("stats %+v, want %+v", s.Stats(), want)
	}
	k.ring.setStatus(0, unix.TP_STATUS_AVAILABLE)
	if s.Reserve(new(numbered(60, 4))) == nil {
		t.Error("no room though the NIC has given a slot back")
	}
}

func TestReserveKeepsToTheMTU(t *testing.T) {
	gso := packet.Offload{GSOType: packet.GSOTCPv4, GSOSize: 1448}
	tests := []struct {
		name    string
		length  int
		tagged  bool
		offload packet.Offload
		ok      bool
	}{
		{"frame without a whole Ethernet header", 13, false, packet.Offload{}, false},
		{"smallest frame", 14, false, packet.Offload{}, true},
		{"frame of exactly the MTU", 1514, false, packet.Offload{}, true},
		{"frame one byte over the MTU", 1515, false, packet.Offload{}, false},
		{"tagged frame of exactly the MTU", 1518, true, packet.Offload{}, true},
		{"tagged frame one byte over the MTU", 1519, true, packet.Offload{}, false},
		{"super-packet", 65535, false, gso, true},
		{"frame larger than a slot and than the MTU", 4000, false, packet.Offload{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newFakeSender(8, 2048)
			s.SetMTU(1500)
			b := make([]byte, tt.length)
			if tt.tagged {
				packet.Ethernet(b).SetType(packet.TypeVLAN)
			}
			got := s.Reserve(&packet.Frame{Data: b, Offload: tt.offload}) != nil
			if got != tt.ok {
				t.Errorf("taken: %v, want %v", got, tt.ok)
			}
			if dropped := s.Stats().Dropped == 1; dropped == tt.ok {
				t.Errorf("counted as dropped: %v, want %v", dropped, !tt.ok)
			}
		})
	}
}

func TestOffloadsArePassedOn(t *testing.T) {
	o := packet.Offload{
		Flags: packet.OffloadNeedsChecksum | packet.OffloadDataValid, GSOType: packet.GSOTCPv4 | packet.GSOECN,
		HeaderLen: 66, GSOSize: 1448, ChecksumStart: 34, ChecksumOffset: 16,
	}
	for name, length := range map[string]int{"small": 1000, "large": 60000} {
		t.Run(name, func(t *testing.T) {
			s, k := newFakeSender(8, 2048)
			f := numbered(length, 0)
			f.Offload = o
			s.Reserve(&f)
			s.Commit()
			s.Flush()
			got := readOffload(k.sent[0])
			want := o
			want.Flags = packet.OffloadNeedsChecksum
			want.HeaderLen = got.HeaderLen // checkSent has its rule
			if got != want {
				t.Errorf("sent with %+v, want %+v", got, want)
			}
		})
	}
}

func TestSendingAllocatesNothing(t *testing.T) {
	for name, length := range map[string]int{"small": 1000, "large": 8000} {
		t.Run(name, func(t *testing.T) {
			s, k := newFakeSender(8, 2048)
			k.keep = false
			f := numbered(length, 0)
			allocations := testing.AllocsPerRun(100, func() {
				for range 3 {
					s.Reserve(&f)
					s.Commit()
				}
				s.Flush()
			})
			if allocations != 0 {
				t.Errorf("%v allocations, want 0", allocations)
			}
			if s.Stats().Dropped != 0 {
				t.Errorf("stats %+v, want nothing dropped", s.Stats())
			}
		})
	}
}

// BenchmarkSendToMemory is what the worker itself spends on a frame.
func BenchmarkSendToMemory(b *testing.B) {
	s, k := newFakeSender(256, 2048)
	k.keep = false
	f := numbered(60, 0)
	b.ReportAllocs()
	for b.Loop() {
		for range 64 {
			s.Reserve(&f)
			s.Commit()
		}
		s.Flush()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(s.Stats().Sent), "ns/frame")
}
