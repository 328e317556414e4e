package dataplane

import (
	"context"
	"testing"
	"time"
)

// A box is the load of a dataplane that does not run: what its threads would
// forward depends on how many of them there are.
type box struct {
	*gatherer
	clock *still

	rate map[int]float64 // packets a second, by how many workers a thread carries
	busy float64         // threads' worth of time that takes
	calm bool            // no ring is crowded
	asks bool            // a packet in a thousand is an answer

	turns map[int]time.Duration // of groups by their size
}

func newBox(t *testing.T, workers int) *box {
	all, clock := pipelines(t, workers, 1000)
	b := &box{gatherer: newGatherer(all[0].plane), clock: clock, turns: make(map[int]time.Duration)}
	b.pause = b.pass
	return b
}

// pass lets the load do its work for a time.
func (b *box) pass(_ context.Context, d time.Duration) {
	b.clock.ns += int64(d)
	size := b.plane.groups()
	b.turns[size] += d
	w, t := b.plane.workers[0], b.plane.threads[0]
	packets := uint64(b.rate[size] * d.Seconds())
	w.requests.Add(packets)
	if b.asks {
		w.replies.Add(packets / 1000)
	}
	t.busy.Add(int64(b.busy * float64(d)))
	if !b.calm {
		w.crowded.Add(1)
	}
}

// after lets time pass and returns how many workers a thread carries then.
func (b *box) after(d time.Duration) int {
	for end := b.clock.ns + int64(d); b.clock.ns < end; {
		b.pass(context.Background(), gatherEvery)
		b.look(context.Background())
	}
	return b.plane.groups()
}

func TestTheBetterNumberOfThreadsIsFound(t *testing.T) {
	for name, tt := range map[string]struct {
		workers int
		rate    map[int]float64
		busy    float64
		calm    bool
		want    int
	}{
		"one is better":          {2, map[int]float64{1: 250e3, 2: 300e3}, 0.9, false, 2},
		"two are better":         {2, map[int]float64{1: 120e3, 2: 100e3}, 0.9, false, 1},
		"no difference":          {2, map[int]float64{1: 120e3, 2: 120e3}, 0.9, false, 2},
		"no ring is crowded":     {2, map[int]float64{1: 120e3, 2: 200e3}, 0.9, true, 1},
		"more than one could do": {2, map[int]float64{1: 120e3, 2: 200e3}, 1.5, false, 1},
		"one worker":             {1, map[int]float64{1: 120e3}, 0.9, false, 1},
		"two of three":           {3, map[int]float64{1: 100e3, 2: 200e3, 4: 100e3}, 1.4, false, 2},
		"nothing is forwarded":   {2, map[int]float64{}, 0.9, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, tt.workers)
			b.rate, b.busy, b.calm = tt.rate, tt.busy, tt.calm
			if got := b.after(10 * time.Second); got != tt.want {
				t.Errorf("a thread carries %d workers, want %d", got, tt.want)
			}
		})
	}
}

func TestStepByStepToFewerThreads(t *testing.T) {
	b := newBox(t, 8)
	b.rate, b.busy = map[int]float64{1: 100e3, 2: 200e3, 4: 300e3, 8: 200e3}, 3.6
	if got := b.after(time.Second); got != 2 {
		t.Fatalf("a thread carries %d workers, want 2", got)
	}
	b.busy = 2
	if got := b.after(30 * time.Second); got != 4 {
		t.Errorf("a thread carries %d workers, want 4", got)
	}
}

func TestEachWorkerHasItsThreadWhenTheLoadIsOver(t *testing.T) {
	b := newBox(t, 2)
	b.rate, b.busy = map[int]float64{1: 250e3, 2: 300e3}, 0.9
	if got := b.after(time.Second); got != 2 {
		t.Fatalf("a thread carries %d workers, want 2", got)
	}
	b.rate, b.busy = map[int]float64{1: 100e3, 2: 100e3}, 0.4
	if got := b.after(gatherEvery); got != 1 {
		t.Errorf("a thread carries %d workers, want 1", got)
	}
}

func TestAnsweredTrafficHasAThreadForEachWorker(t *testing.T) {
	b := newBox(t, 2)
	b.rate, b.busy, b.asks = map[int]float64{1: 250e3, 2: 300e3}, 0.9, true
	if got := b.after(10 * time.Second); got != 1 || b.turns[2] > 0 {
		t.Errorf("a thread carries %d workers, and did so for %v, want 1 and never", got, b.turns[2])
	}
	b.asks = false
	if got := b.after(time.Second); got != 2 {
		t.Fatalf("a thread carries %d workers, want 2", got)
	}
	b.asks = true
	if got := b.after(gatherEvery); got != 1 {
		t.Errorf("a thread carries %d workers after an answer, want 1", got)
	}
}

func TestTheLoadIsTriedAgainWhenItHasChanged(t *testing.T) {
	b := newBox(t, 2)
	b.rate, b.busy = map[int]float64{1: 250e3, 2: 300e3}, 0.9
	b.after(time.Second)
	b.rate = map[int]float64{1: 250e3, 2: 200e3} // as much as before with both
	if got := b.after(2 * firstHold); got != 1 {
		t.Errorf("a thread carries %d workers, want 1", got)
	}
}

// What is tried and worse costs little, and less the longer it goes on.
func TestTrialsAreRare(t *testing.T) {
	b := newBox(t, 2)
	b.rate, b.busy = map[int]float64{1: 250e3, 2: 100e3}, 0.9
	b.after(time.Hour)
	if worse := b.turns[2]; worse == 0 || worse > 5*time.Second {
		t.Errorf("for %v of an hour one thread carried both workers", worse)
	}
}

// A thread that is waiting for a worker of its group when the groups change
// goes on with its own.
func TestGroupsMayChangeBeforeAllAreThere(t *testing.T) {
	workers, _ := pipelines(t, 2, 1000)
	d := workers[0].plane
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = d.Run(ctx)
	}()
	defer func() { cancel(); <-ended }()

	started := func() bool {
		m := &workers[1].mailbox
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.stage == running
	}
	for !started() {
		time.Sleep(time.Millisecond)
	}

	busy, release := make(chan struct{}), make(chan struct{})
	go workers[1].do(ctx, func(*worker) { close(busy); <-release })
	defer close(release)
	<-busy
	d.setGroups(2)
	answers := func(patience time.Duration) bool {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return workers[0].do(ctx, func(*worker) {}) == nil
	}
	for answers(10 * time.Millisecond) {
	}
	d.setGroups(1)
	if !answers(10 * time.Second) {
		t.Error("the first worker is carried by nobody")
	}
}
