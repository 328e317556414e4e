package afpacket

import (
	"runtime"
	"testing"

	"lvsnat/dataplane/packet"
)

const benchBatch = 64

// benchFrames are the kinds of frames that a director meets.
func benchFrames(c *cable) map[string]packet.Frame {
	super := c.udp(c.near, c.far, 1000, 2000, 60_000, 0)
	super.Offload = packet.Offload{
		Flags: packet.OffloadNeedsChecksum, GSOType: packet.GSOUDPL4, GSOSize: 1400,
		HeaderLen: 42, ChecksumStart: 34, ChecksumOffset: 6,
	}
	return map[string]packet.Frame{
		"60 bytes":     c.udp(c.near, c.far, 1000, 2000, 18, 0),
		"1514 bytes":   c.udp(c.near, c.far, 1000, 2000, 1472, 0),
		"super-packet": super,
	}
}

// elsewhere makes a frame one for another host, which the kernel drops before
// it looks into it.
func elsewhere(head []byte) { head[5] ^= 1 }

// BenchmarkSend sends over a cable to a host that drops everything: with the
// peer's part of the way, which runs on the sender's processor.
func BenchmarkSend(b *testing.B) {
	c := newCable(b)
	for name, frame := range benchFrames(c) {
		b.Run(name, func(b *testing.B) {
			s := c.near.sender(b, Options{})
			frame := packet.Frame{Data: append([]byte(nil), frame.Data...), Offload: frame.Offload}
			elsewhere(frame.Data)
			b.ReportAllocs()
			for b.Loop() {
				for range benchBatch {
					if s.Reserve(&frame) == nil {
						b.Fatal("no room")
					}
					s.Commit()
				}
				s.Flush()
			}
			reportRate(b, s.Stats().Sent)
		})
	}
}

// BenchmarkForward sends over one cable, and takes what arrives and sends it
// over another. It runs on one thread, so that the figure is the whole cost.
func BenchmarkForward(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	first, second := newCable(b), newCable(b)
	first.far.set(b, noAddress)
	for name, frame := range benchFrames(first) {
		b.Run(name, func(b *testing.B) {
			generator := first.near.sender(b, Options{})
			receiver, sender := first.far.receiver(b, Options{}), second.near.sender(b, Options{})
			frames := make([]packet.Frame, benchBatch)
			b.ReportAllocs()
			for b.Loop() {
				for range benchBatch {
					generator.Reserve(&frame)
					generator.Commit()
				}
				generator.Flush()
				for n := receiver.Receive(frames); n != 0; n = receiver.Receive(frames) {
					for _, f := range frames[:n] {
						elsewhere(sender.Reserve(&f))
						sender.Commit()
					}
					sender.Flush()
					receiver.Release()
				}
			}
			if r, s := receiver.Stats(), sender.Stats(); r.Dropped+r.Truncated+s.Dropped != 0 {
				b.Errorf("lost on the way: %+v %+v", r, s)
			}
			reportRate(b, sender.Stats().Sent)
		})
	}
}

func reportRate(b *testing.B, packets uint64) {
	b.Helper()
	b.ReportMetric(float64(packets)/b.Elapsed().Seconds(), "packets/s")
	b.ReportMetric(0, "ns/op") // of a batch, which says nothing
}
