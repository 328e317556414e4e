package dataplane_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"lvsnat/dataplane"
	"lvsnat/dataplane/packettest"
)

func TestGroupsOf(t *testing.T) {
	for _, tt := range []struct {
		worker, workers int
		want            []int
	}{
		{0, 1, []int{1}},
		{0, 2, []int{1, 2}},
		{1, 2, []int{1}},
		{0, 3, []int{1, 2, 4}},
		{2, 3, []int{1, 2}},
		{4, 6, []int{1, 2, 4}},
		{5, 6, []int{1}},
		{0, 256, []int{1, 2, 4, 8, 16, 32, 64, 128, 256}},
	} {
		if got := dataplane.GroupsOf(tt.worker, tt.workers); !slices.Equal(got, tt.want) {
			t.Errorf("groups of %d workers that begin with %d: %v, want %v", tt.workers, tt.worker, got, tt.want)
		}
	}
}

// regroup has one thread carry so many workers.
func (d *director) regroup(size int) {
	d.group = size
	d.SetGroups(size)
	d.settle()
}

func TestOneThreadCarriesSeveralWorkers(t *testing.T) {
	for _, count := range []int{2, 3, 6} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			d := start(t, http, workers(count))
			port := 1000
			for _, size := range []int{1, 2, 4, 8, 2, 1} {
				if size >= 2*count {
					continue
				}
				d.regroup(size)
				if got, want := d.stats().Threads, (count+size-1)/size; got != want {
					t.Errorf("%d threads carry %d workers in groups of %d, want %d", got, count, size, want)
				}
				for range 20 { // both ends of connections of all workers
					port++
					d.handshake(fmt.Sprintf("%s:%d", client, port), vip+":80", rip1+":8000")
				}
				for worker := range count { // and what came to the wrong one
					d.vip[worker].Inject(ack(fmt.Sprintf("%s:%d", client, port), vip+":80", fromVIP))
					packettest.Check(t, d.toRealservers(1)[0], packettest.Destination(rip1+":8000"))
				}
			}
			for i, w := range d.stats().Workers {
				if w.Connections == 0 {
					t.Errorf("worker %d has no connection: the test proves nothing", i)
				}
			}
		})
	}
}

// Threads change over while frames, calls and the clock go on.
func TestWorkersChangeThreadsUnderLoad(t *testing.T) {
	const flows, rounds = 64, 100
	d := start(t, http, workers(4))
	var at []int // each flow's worker
	for i := range flows {
		from := fmt.Sprintf("%s:%d", client, 1000+i)
		d.handshake(from, vip+":80", rip1+":8000")
		at = append(at, d.owner(syn(from, vip+":80"), true))
	}
	before := d.verdicts()[dataplane.ForwardedRequest]
	var running sync.WaitGroup
	running.Go(func() {
		for range rounds {
			for i, worker := range at {
				d.vip[worker].Inject(ack(fmt.Sprintf("%s:%d", client, 1000+i), vip+":80", fromVIP))
			}
		}
	})
	running.Go(func() {
		for range rounds {
			for _, size := range []int{2, 4, 1, 4} {
				d.SetGroups(size)
				d.clock.Advance(time.Millisecond)
			}
		}
	})
	running.Go(func() {
		for range rounds {
			if _, err := d.Stats(context.Background()); err != nil {
				t.Errorf("stats: %v", err)
			}
		}
	})
	running.Wait()
	d.regroup(1)
	if got := d.verdicts()[dataplane.ForwardedRequest] - before; got != flows*rounds {
		t.Errorf("%d packets of %d were forwarded", got, flows*rounds)
	}
}

func TestADataplaneEndsInAnyGroups(t *testing.T) {
	for _, size := range []int{1, 2, 4} {
		d := start(t, http, workers(4))
		d.regroup(size)
		d.stop()
		if _, err := d.Stats(context.Background()); err != dataplane.ErrStopped {
			t.Errorf("groups of %d: %v, want ErrStopped", size, err)
		}
	}
}
