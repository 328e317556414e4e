package packettest

import (
	"bytes"
	"testing"
	"time"

	"lvsnat/dataplane/packet"
)

func TestReceiverLendsWhatWasInjectedUntilRelease(t *testing.T) {
	r := NewReceiver(t)
	first, second := TCP(client, virtual, SYN), TCP(client, virtual, ACK, GSO(1448))
	r.Inject(first, second)
	r.Inject(first)
	r.Lose(4)

	frames := make([]packet.Frame, 2)
	if n := r.Receive(frames); n != 2 {
		t.Fatalf("received %d frames, want 2", n)
	}
	Check(t, frames[0], Flags(SYN))
	Check(t, frames[1], Flags(ACK), GSO(1448))
	if n := r.Pending(); n != 1 {
		t.Errorf("%d frames pending, want 1", n)
	}
	r.Release()
	if kept := frames[0].Data; !bytes.Equal(kept, bytes.Repeat([]byte{poison}, len(kept))) {
		t.Errorf("a frame that was kept still reads % x", kept)
	}
	if n := r.Receive(frames); n != 1 {
		t.Errorf("received %d frames, want 1", n)
	}
	if n := r.Receive(frames); n != 0 {
		t.Errorf("received %d frames, want none", n)
	}
	r.Release()
	if got, want := r.Stats(), (packet.ReceiverStats{Received: 3, Dropped: 4}); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
}

func TestReceiverReportsWritesToLentMemory(t *testing.T) {
	var rec recorder
	r := NewReceiver(&rec)
	r.Inject(TCP(client, virtual, SYN))
	frames := make([]packet.Frame, 1)
	r.Receive(frames)
	frames[0].Data[20] ^= 1
	r.Release()
	rec.expect(t, "received memory was written: byte 20")
}

func TestSenderJoinsTheRewrittenHeadWithTheRestOfTheFrame(t *testing.T) {
	s := NewSender(t)
	frame := TCP(client, virtual, ACK, GSO(1448), Payload(Pattern(9000)))
	before := bytes.Clone(frame.Data)

	head := s.Reserve(&frame)
	if len(head) != packet.HeadLen || cap(head) != packet.HeadLen {
		t.Fatalf("head has %d bytes of %d, want exactly %d", len(head), cap(head), packet.HeadLen)
	}
	packet.Ethernet(head).SetAddresses(&DefaultSource, &DefaultDestination)
	s.Commit()
	if sent := s.Sent(); len(sent) != 0 {
		t.Errorf("%d frames were sent before Flush", len(sent))
	}
	s.Flush()

	Check(t, Only(t, s.Sent()), MACs(DefaultDestination, DefaultSource), GSO(1448), Payload(Pattern(9000)), ChecksumsRight())
	if !bytes.Equal(frame.Data, before) {
		t.Error("the frame itself was written")
	}
	if sent := s.Sent(); len(sent) != 0 {
		t.Errorf("%d frames were sent twice", len(sent))
	}
}

func TestSenderForgetsWhatIsNotCommitted(t *testing.T) {
	s := NewSender(t)
	s.Reserve(new(TCP(client, virtual, SYN)))
	s.Reserve(new(TCP(client, virtual, ACK)))
	s.Commit()
	s.Reserve(new(TCP(client, virtual, FIN)))
	s.Flush()
	Check(t, Only(t, s.Sent()), Flags(ACK))
}

func TestSenderRefusesWhatDoesNotFit(t *testing.T) {
	s := NewSender(t)
	s.SetMTU(1000)
	full := TCP(client, virtual, ACK, VLAN(1), Payload(Pattern(960)))
	if s.Reserve(&full) == nil {
		t.Error("a datagram of the MTU's size in a VLAN is refused")
	}
	if s.Reserve(new(TCP(client, virtual, ACK, Payload(Pattern(961))))) != nil {
		t.Error("a datagram of one byte more than the MTU is taken")
	}
	if s.Reserve(new(TCP(client, virtual, ACK, Payload(Pattern(961)), GSO(500)))) == nil {
		t.Error("a super-packet is refused")
	}
	s.SetRoom(1)
	if s.Reserve(&full) == nil {
		t.Error("the first frame is refused")
	}
	s.Commit()
	if s.Reserve(&full) != nil {
		t.Error("a second frame is taken where there is room for one")
	}
	s.Flush()
	if s.Reserve(&full) == nil {
		t.Error("after Flush there is no room")
	}
}

func TestSenderLosesAndCountsWhatTheLinkDoesNotTake(t *testing.T) {
	s := NewSender(t)
	for _, down := range []bool{true, false} {
		s.SetDown(down)
		s.Reserve(new(TCP(client, virtual, SYN)))
		s.Commit()
		s.Flush()
	}
	if got, want := s.Stats(), (packet.SenderStats{Sent: 1, Dropped: 1}); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
	Only(t, s.Sent())
}

func TestSenderReportsMisuse(t *testing.T) {
	long := TCP(client, virtual, ACK, Payload(Pattern(500)))
	tests := []struct {
		name string
		use  func(s *Sender)
		want string
	}{
		{"Commit without Reserve", func(s *Sender) { s.Commit() }, "Commit without a frame"},
		{"Commit twice", func(s *Sender) { s.Reserve(&long); s.Commit(); s.Commit() }, "Commit without a frame"},
		{"Commit after Flush", func(s *Sender) { s.Reserve(&long); s.Flush(); s.Commit() }, "Commit without a frame"},
		{"a head written after Commit", func(s *Sender) {
			head := s.Reserve(&long)
			s.Commit()
			head[0] ^= 1
			s.Flush()
		}, "written after Commit"},
		{"a frame released before Flush", func(s *Sender) {
			r := NewReceiver(t)
			r.Inject(long)
			frames := make([]packet.Frame, 1)
			r.Receive(frames)
			s.Reserve(&frames[0])
			s.Commit()
			r.Release()
			s.Flush()
		}, "changed between Reserve and Flush"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r recorder
			tt.use(NewSender(&r))
			r.expect(t, tt.want)
		})
	}
}

func TestWaitEndsByFrameByWakeAndByTime(t *testing.T) {
	var clock Clock
	r := NewReceiver(t)
	w := NewWaiter(&clock, r)
	start := clock.Now()

	reasons := []struct {
		name   string
		happen func()
	}{
		{"a frame", func() { r.Inject(TCP(client, virtual, SYN)) }},
		{"Wake", w.Wake},
		{"the clock", func() { clock.Advance(time.Second) }},
	}
	for _, reason := range reasons {
		returned := make(chan struct{})
		go func() {
			w.Wait(time.Second)
			close(returned)
		}()
		AwaitIdle(t, w)
		clock.Advance(time.Second - 1)
		AwaitIdle(t, w)
		reason.happen()
		<-returned
		r.Receive(make([]packet.Frame, 1))
		r.Release()
	}
	if n := w.Wakes(); n != 1 {
		t.Errorf("%d wakes, want 1", n)
	}
	if got, want := clock.Now()-start, int64(4*time.Second-3); got != want {
		t.Errorf("clock moved by %d ns, want %d", got, want)
	}

	w.Wake()
	w.Wait(time.Hour) // a Wake before Wait is not lost
}

func TestIdleMeansThatHandedOverWorkIsDoneToo(t *testing.T) {
	var clock Clock
	r := NewReceiver(t)
	first, second := NewWaiter(&clock, r), NewWaiter(&clock)
	inbox, done := make(chan packet.Frame, 100), 0
	stop := make(chan struct{})
	run := func(w *Waiter, turn func()) chan struct{} {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				select {
				case <-stop:
					return
				default:
					turn()
					w.Wait(time.Hour)
				}
			}
		}()
		return ended
	}
	ends := []chan struct{}{
		run(first, func() {
			frames := make([]packet.Frame, 1)
			for r.Receive(frames) > 0 {
				inbox <- packet.Frame{Data: bytes.Clone(frames[0].Data)}
				second.Wake()
				r.Release()
			}
		}),
		run(second, func() {
			for len(inbox) > 0 {
				<-inbox
				done++
			}
		}),
	}
	for i := range 50 {
		r.Inject(TCP(client, virtual, SYN))
		AwaitIdle(t, first, second)
		if done != i+1 {
			t.Fatalf("idle with %d of %d frames done", done, i+1)
		}
	}
	close(stop)
	first.Wake()
	second.Wake()
	for _, ended := range ends {
		<-ended
	}
}

func TestBenchmarkPortsDoNotAllocate(t *testing.T) {
	r := NewRepeater(TCP(client, virtual, SYN), TCP(client, virtual, ACK, Payload(Pattern(1000))))
	var s Discarder
	frames := make([]packet.Frame, 3)
	allocs := testing.AllocsPerRun(100, func() {
		for _, f := range frames[:r.Receive(frames)] {
			if head := s.Reserve(&f); len(head) != min(len(f.Data), packet.HeadLen) {
				t.Fatalf("head has %d bytes", len(head))
			}
			s.Commit()
		}
		s.Flush()
		r.Release()
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	if got := s.Stats().Sent; got != r.Stats().Received || got == 0 {
		t.Errorf("sent %d frames, received %d", got, r.Stats().Received)
	}
}
