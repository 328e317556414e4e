package afpacket

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"lvsnat/dataplane/packet"
)

// plainRing is a ring in ordinary memory.
func plainRing(slots, slotSize int) ring {
	return ring{memory: make([]byte, slots*slotSize), slotSize: slotSize, mask: uint32(slots - 1)}
}

// A fakeTap fills a receive ring as tpacket_rcv does.
type fakeTap struct {
	ring    ring
	head    uint32
	queue   [][]byte // what is larger than a slot
	room    int      // how many more fit into queue
	dropped int
}

// Read is recvmsg on the queue.
func (k *fakeTap) Read(b []byte) (int, error) {
	if len(k.queue) == 0 {
		return 0, io.EOF
	}
	n := copy(b, k.queue[0])
	k.queue = k.queue[1:]
	return n, nil
}

// tag is a VLAN tag as the kernel keeps it beside a frame.
type tag struct{ tpid, tci uint16 }

// put receives a frame whose tag, if any, was taken out.
func (k *fakeTap) put(frame []byte, o packet.Offload, t *tag) {
	if k.ring.status(k.head) != unix.TP_STATUS_KERNEL {
		k.dropped++
		return
	}
	const start = 76 // TPACKET_ALIGN(52 + 16) + 10 - 14
	h, slot := k.ring.header(k.head), k.ring.slot(k.head)
	status := uint32(unix.TP_STATUS_USER)
	putVnet(slot[start-vnetLen:], o)
	n := copy(slot[start:], frame)
	if n < len(frame) && k.room > 0 {
		queued := make([]byte, vnetLen, vnetLen+len(frame))
		putVnet(queued, o)
		k.queue = append(k.queue, append(queued, frame...))
		k.room--
		status |= unix.TP_STATUS_COPY
	}
	h.Len, h.Snaplen, h.Mac, h.Net = uint32(len(frame)), uint32(n), start, start+14
	if t != nil {
		h.Vlan_tci, h.Vlan_tpid = t.tci, t.tpid
		status |= unix.TP_STATUS_VLAN_VALID
		if t.tpid != 0 {
			status |= unix.TP_STATUS_VLAN_TPID_VALID
		}
	}
	k.ring.setStatus(k.head, status)
	k.head++
}

// putVnet writes a virtio-net header field by field, as the structure has them.
func putVnet(b []byte, o packet.Offload) {
	b[0], b[1] = o.Flags, o.GSOType
	for i, v := range []uint16{o.HeaderLen, o.GSOSize, o.ChecksumStart, o.ChecksumOffset} {
		binary.NativeEndian.PutUint16(b[2+2*i:], v)
	}
}

// newFakeReceiver is a receiver whose kernel is a fakeTap.
func newFakeReceiver(slots, slotSize int) (*Receiver, *fakeTap) {
	k := &fakeTap{ring: plainRing(slots, slotSize), room: 1 << 30}
	return newReceiver(k.ring, k), k
}

// An arrival is a frame as the tests expect it to be lent.
type arrival struct {
	data    []byte
	offload packet.Offload
}

func drawArrival(t *rapid.T) (frame []byte, o packet.Offload, tg *tag, want arrival) {
	length := rapid.OneOf(rapid.IntRange(14, 500), rapid.IntRange(400, 3000), rapid.Just(65535+14)).Draw(t, "length")
	frame = make([]byte, length)
	seed := rapid.Uint32().Draw(t, "content")
	for i := range frame {
		frame[i] = byte(seed >> (i % 25))
	}
	if rapid.Bool().Draw(t, "partial checksum") {
		o = packet.Offload{Flags: packet.OffloadNeedsChecksum, ChecksumStart: 34, ChecksumOffset: 16}
	}
	if length > 1514 {
		o.GSOType, o.GSOSize, o.HeaderLen = packet.GSOTCPv4, 1448, 66
	}
	want = arrival{bytes.Clone(frame), o}
	if !rapid.Bool().Draw(t, "tagged") {
		return frame, o, nil, want
	}
	tg = &tag{rapid.SampledFrom([]uint16{0, packet.TypeVLAN, packet.TypeSVLAN}).Draw(t, "tpid"), rapid.Uint16().Draw(t, "tci")}
	want.data = tagged(frame, *tg)
	if o.PartialChecksum() {
		want.offload.ChecksumStart += 4
	}
	if o.HeaderLen != 0 {
		want.offload.HeaderLen += 4
	}
	return frame, o, tg, want
}

// tagged is the naive way to put a tag back.
func tagged(frame []byte, t tag) []byte {
	if t.tpid == 0 {
		t.tpid = packet.TypeVLAN
	}
	b := bytes.Clone(frame[:12])
	b = binary.BigEndian.AppendUint16(b, t.tpid)
	b = binary.BigEndian.AppendUint16(b, t.tci)
	return append(b, frame[12:]...)
}

// Whatever arrives, and however batches are taken and released, each frame that
// found room is lent once, in order and as it was on the wire, and stays so
// until it is released.
func TestReceiverLendsEachFrameOnceAndInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, k := newFakeReceiver(8, 512)
		var expected []arrival
		lent := make([]packet.Frame, 0, 64)
		var lentWant []arrival
		t.Repeat(map[string]func(*rapid.T){
			"frame arrives": func(t *rapid.T) {
				frame, o, tg, want := drawArrival(t)
				before := k.dropped
				k.put(frame, o, tg)
				if k.dropped == before {
					expected = append(expected, want)
				}
			},
			"worker receives": func(t *rapid.T) {
				var frames [5]packet.Frame
				n := r.Receive(frames[:rapid.IntRange(1, len(frames)).Draw(t, "batch")])
				if n > len(expected) {
					t.Fatalf("%d frames lent, only %d arrived", n, len(expected))
				}
				lent = append(lent, frames[:n]...)
				lentWant = append(lentWant, expected[:n]...)
				expected = expected[n:]
			},
			"worker releases": func(*rapid.T) {
				r.Release()
				lent, lentWant = lent[:0], lentWant[:0]
			},
			"": func(t *rapid.T) {
				for i, f := range lent {
					if !bytes.Equal(f.Data, lentWant[i].data) || f.Offload != lentWant[i].offload {
						t.Fatalf("lent frame %d: %d bytes %+v, want %d bytes %+v", i, len(f.Data), f.Offload, len(lentWant[i].data), lentWant[i].offload)
					}
				}
			},
		})
	})
}

func TestFramesThatCannotBeFetchedAreCountedAndPassedOver(t *testing.T) {
	r, k := newFakeReceiver(8, 512)
	k.room = 1
	small, big := make([]byte, 60), make([]byte, 2000)
	for _, frame := range [][]byte{small, big, big, small, big} {
		k.put(frame, packet.Offload{}, nil)
	}
	var frames [8]packet.Frame
	n := r.Receive(frames[:])
	if n != 3 || len(frames[0].Data) != 60 || len(frames[1].Data) != 2000 || len(frames[2].Data) != 60 {
		t.Errorf("%d frames of %d, %d and %d bytes lent, want 60, 2000 and 60", n, len(frames[0].Data), len(frames[1].Data), len(frames[2].Data))
	}
	if want := (packet.ReceiverStats{Received: 3, Truncated: 2}); r.stats != want {
		t.Errorf("stats %+v, want %+v", r.stats, want)
	}
	r.Release()
	for n := range r.ring.slots() {
		if s := r.ring.status(n); s != unix.TP_STATUS_KERNEL {
			t.Errorf("slot %d has status %#x after Release, want the kernel's", n, s)
		}
	}
}

func TestABatchEndsWhenAllBigBuffersAreLent(t *testing.T) {
	r, k := newFakeReceiver(64, 512)
	for range bigBuffers + 3 {
		k.put(make([]byte, 3000), packet.Offload{}, nil)
	}
	var frames [64]packet.Frame
	if n := r.Receive(frames[:]); n != bigBuffers {
		t.Errorf("first batch has %d frames, want %d", n, bigBuffers)
	}
	if n := r.Receive(frames[:]); n != 0 {
		t.Errorf("%d frames lent while all buffers are out, want 0", n)
	}
	r.Release()
	if n := r.Receive(frames[:]); n != 3 {
		t.Errorf("batch after the release has %d frames, want 3", n)
	}
}

func TestReceivingAllocatesNothing(t *testing.T) {
	frame, jumbo := make([]byte, 1000), make([]byte, 3000)
	queued := append(make([]byte, vnetLen), jumbo...)
	for name, put := range map[string]func(*fakeTap){
		"a plain frame":  func(k *fakeTap) { k.put(frame, packet.Offload{}, nil) },
		"a tagged frame": func(k *fakeTap) { k.put(frame, packet.Offload{}, &tag{0x8100, 5}) },
		"a large frame": func(k *fakeTap) {
			k.room = 0
			k.put(jumbo, packet.Offload{}, nil)
			k.ring.setStatus(k.head-1, unix.TP_STATUS_USER|unix.TP_STATUS_COPY)
			k.queue = append(k.queue[:0], queued)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, k := newFakeReceiver(8, 2048)
			k.queue = make([][]byte, 0, 1)
			first := k.queue
			frames := make([]packet.Frame, 4)
			allocations := testing.AllocsPerRun(100, func() {
				k.queue = first
				put(k)
				if n := r.Receive(frames); n != 1 {
					t.Fatalf("%d frames lent, want 1", n)
				}
				r.Release()
			})
			if allocations != 0 {
				t.Errorf("%v allocations, want 0", allocations)
			}
		})
	}
}

// BenchmarkReceiveFromMemory is what the worker itself spends on a frame.
func BenchmarkReceiveFromMemory(b *testing.B) {
	r, k := newFakeReceiver(1024, 2048)
	frame := make([]byte, 60)
	for range r.ring.slots() {
		k.put(frame, packet.Offload{}, nil)
	}
	frames := make([]packet.Frame, 64)
	b.ReportAllocs()
	received := 0
	for b.Loop() {
		received += r.Receive(frames)
		for ; r.oldest != r.next; r.oldest++ {
			r.ring.setStatus(r.oldest, unix.TP_STATUS_KERNEL)
			r.ring.setStatus(r.oldest, unix.TP_STATUS_USER)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(received), "ns/frame")
}
