package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lvsnat/dataplane/packet"
)

// fakeRing is a sender in memory with room for some frames between flushes.
type fakeRing struct {
	room      int
	stuck     bool
	reserved  []byte
	committed [][]byte
	flushed   [][]byte
	flushedAt []time.Time
}

func (r *fakeRing) Reserve(frame *packet.Frame) []byte {
	if r.stuck || len(r.committed) == r.room {
		return nil
	}
	r.reserved = bytes.Clone(frame.Data)
	return r.reserved
}

func (r *fakeRing) Commit() { r.committed = append(r.committed, r.reserved) }

func (r *fakeRing) Flush() {
	r.flushed = append(r.flushed, r.committed...)
	for range r.committed {
		r.flushedAt = append(r.flushedAt, time.Now())
	}
	r.committed = nil
}

func generatorFor(t *testing.T, ring sender, line string) *generator {
	t.Helper()
	o := parse(t, line)
	return newGenerators(&o, testHop, []sender{ring})[0]
}

func sourceOf(frame []byte) uint32 {
	return binary.BigEndian.Uint32(frame[packet.EthernetLen+12:])
}

func TestExactlyThePacketsAskedForAreSent(t *testing.T) {
	for _, room := range []int{1, 10, 1000} {
		ring := &fakeRing{room: room}
		if err := generatorFor(t, ring, "1.2.3.4:80 -packets 1000 -srcnum 300").run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(ring.flushed) != 1000 {
			t.Fatalf("ring of %d: %d packets sent", room, len(ring.flushed))
		}
		for i, frame := range ring.flushed {
			if want := uint32(0x0a000001 + i%300); sourceOf(frame) != want {
				t.Fatalf("ring of %d: packet %d is from %x, want %x", room, i, sourceOf(frame), want)
			}
		}
	}
}

func TestTheRateIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := &fakeRing{room: 1000}
		start := time.Now()
		if err := generatorFor(t, ring, "1.2.3.4:80 -packets 1001 -pps 500").run(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, at := range ring.flushedAt {
			due := time.Duration(i) * time.Second / 500
			if sent := at.Sub(start); sent < due-time.Microsecond || sent > due+time.Microsecond {
				t.Fatalf("packet %d was sent after %v, due after %v", i, sent, due)
			}
		}
	})
}

func TestWorkersShareTheRate(t *testing.T) {
	o := parse(t, "1.2.3.4:80 -pps 900 -workers 3")
	for i, g := range newGenerators(&o, testHop, []sender{&fakeRing{}, &fakeRing{}, &fakeRing{}}) {
		if g.pps != 300 {
			t.Errorf("worker %d sends %v packets/s, want 300", i, g.pps)
		}
	}
}

func TestALateWorkerCatchesUp(t *testing.T) {
	if allowed, _ := due(10*time.Second, 1000, 100); allowed != 10_001-100 {
		t.Errorf("%d packets are due, want 9901", allowed)
	}
}

func TestTheDurationEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := &fakeRing{room: 1000}
		ctx, cancel := withDuration(t.Context(), 2*time.Second)
		defer cancel()
		if err := generatorFor(t, ring, "1.2.3.4:80 -duration 2s -pps 100").run(ctx); err != nil {
			t.Fatal(err)
		}
		if n := len(ring.flushed); n < 200 || n > 201 {
			t.Errorf("%d packets in 2 s at 100 a second", n)
		}
	})
}

func TestANICThatDoesNotSendIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := generatorFor(t, &fakeRing{stuck: true}, "1.2.3.4:80 -packets 10").run(t.Context())
		if !errors.Is(err, errStuck) {
			t.Errorf("got error %v, want errStuck", err)
		}
	})
}

func TestOneFailedWorkerEndsTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := parse(t, "1.2.3.4:80 -packets 0 -i-own-this-network -pps 10")
		generators := newGenerators(&o, testHop, []sender{&fakeRing{room: 1000}, &fakeRing{stuck: true}})
		if err := runAll(t.Context(), generators); !errors.Is(err, errStuck) {
			t.Errorf("got error %v, want errStuck", err)
		}
	})
}

func TestAShareIsNeverLost(t *testing.T) {
	for _, total := range []uint64{0, 1, 7, 64, math.MaxUint64} {
		for n := 1; n <= 8; n++ {
			var sum uint64
			for i := range n {
				sum += share(total, i, n)
			}
			if sum != total {
				t.Errorf("%d dealt out to %d makes %d", total, n, sum)
			}
		}
	}
}

func TestDumpWritesTheBannerAndTheDatagrams(t *testing.T) {
	var stdout, stderr bytes.Buffer
	err := run(context.Background(), strings.Fields("192.168.0.1:80 -udp -size 30 -srcnum 3 -packets 4 -dump"), &stdout, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	if want := "Sending 30-byte UDP packets from 10.0.0.1[3] to 192.168.0.1:80\n"; stderr.String() != want {
		t.Errorf("stderr is %q, want %q", stderr.String(), want)
	}
	if stdout.Len() != 4*30 {
		t.Fatalf("%d bytes dumped, want 120", stdout.Len())
	}
	var sources []string
	for datagram := stdout.Bytes(); len(datagram) > 0; datagram = datagram[30:] {
		sources = append(sources, netip.AddrFrom4([4]byte(datagram[12:16])).String())
	}
	if got := strings.Join(sources, " "); got != "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.1" {
		t.Errorf("sources are %s", got)
	}
}

type brokenWriter struct{}

var errBroken = errors.New("broken")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestAFailedDumpSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stderr bytes.Buffer
		err := run(t.Context(), strings.Fields("192.168.0.1:80 -packets 10000 -dump"), brokenWriter{}, &stderr)
		if !errors.Is(err, errBroken) {
			t.Errorf("got error %v, want that of the writer", err)
		}
	})
}
