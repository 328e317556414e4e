package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/control"
)

func TestAReloadAppliesTheDifference(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		r := start(t, oneService, nil)
		r.write(strings.Replace(oneService, "max_connections: 1000", "max_connections: 2000", 1) + `
  - {address: "192.168.1.111:53", protocol: udp, realservers: [{address: 10.1.1.2}, {address: 10.1.1.3, weight: 3}]}
timeouts: {tcp: 60s}
`)
		done, err := r.Reload(t.Context())
		must(t, err)
		want := []string{
			"timeouts: tcp 1m0s, tcpfin 2m0s, udp 5m0s, were 15m0s, 2m0s, 5m0s",
			"service udp 192.168.1.111:53: added, with 2 realservers",
		}
		if !slices.Equal(done.Changes, want) || !slices.Equal(done.Restart, []string{"max_connections"}) {
			t.Errorf("changes %q, restart %q", done.Changes, done.Restart)
		}
		eventually(t, "the new VIP is known everywhere", func() bool { return len(r.status().VIPs) == 2 })
		s := r.status()
		if s.Connections.Limit != 1000 || !slices.Equal(s.Config.Restart, []string{"max_connections"}) {
			t.Errorf("status %+v", s)
		}

		r.write(oneService)
		done, err = r.Reload(t.Context())
		must(t, err)
		if want := "service udp 192.168.1.111:53: removed"; !slices.Contains(done.Changes, want) || len(done.Restart) != 0 {
			t.Errorf("changes %q, restart %q", done.Changes, done.Restart)
		}
		eventually(t, "the VIP is gone", func() bool { return len(r.status().VIPs) == 1 })

		done, err = r.Reload(t.Context())
		if err != nil || len(done.Changes) != 0 {
			t.Errorf("a reload of the same file: %+v, %v", done, err)
		}
		r.end()
	})
}

func TestABrokenFileChangesNothing(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		r := start(t, oneService, nil)
		r.write(strings.Replace(oneService, "scheduler: rr", "scheduler: rrr", 1))
		_, err := r.Reload(t.Context())
		if err == nil || !strings.HasPrefix(err.Error(), r.file+":8:") {
			t.Errorf("got %v", err)
		}
		s := r.status()
		if !strings.Contains(s.Config.Error, "rrr") || len(s.VIPs) != 1 {
			t.Errorf("status %+v", s)
		}
		r.write(oneService)
		_, err = r.Reload(t.Context())
		must(t, err)
		if s := r.status(); s.Config.Error != "" {
			t.Errorf("the error is still there: %s", s.Config.Error)
		}
		r.end()
	})
}

func TestReloadsAndQuestionsAtOnce(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		r := start(t, oneService, nil)
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				for range 20 {
					var err error
					switch i % 4 {
					case 0:
						_, err = r.Reload(t.Context())
					case 1:
						_, err = r.Status(t.Context())
					case 2:
						_, err = r.Services(t.Context())
					case 3:
						_, err = r.Connections(t.Context(), control.Filter{}, func(control.Connection) error { return nil })
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		r.end()
	})
}

// A transaction of the guard may wait for the kernel, for seconds when the
// processors are busy.
func TestAChangeThatTakesLongKeepsNobodyFromLooking(t *testing.T) {
	namespaced(t, func(t *testing.T) {
		box(t)
		file := filepath.Join(t.TempDir(), "director.yaml")
		must(t, os.WriteFile(file, []byte(oneService), 0o600))
		cfg, err := config.Load(file)
		must(t, err)
		dir := filepath.Join(t.TempDir(), "state")
		d := newDirector(Options{File: file, StateDir: dir, Log: slog.New(slog.DiscardHandler)}, cfg)
		must(t, d.setUp(t.Context()))
		must(t, d.start(t.Context()))

		d.mu.Lock()
		client := control.NewClient(dir)
		if _, err := client.Status(t.Context()); err != nil {
			t.Errorf("status: %v", err)
		}
		if _, err := client.Services(t.Context()); err != nil {
			t.Errorf("services: %v", err)
		}
		d.Facts()
		impatient, giveUp := context.WithCancel(t.Context())
		reloaded := make(chan error)
		go func() {
			_, err := d.Reload(impatient)
			reloaded <- err
		}()
		giveUp()
		d.mu.Unlock()
		if err := <-reloaded; !errors.Is(err, context.Canceled) {
			t.Errorf("the reload of somebody who has gone ended with %v", err)
		}
		must(t, d.stop())
		nothingLeft(t, dir)
	})
}
