package network

import (
	"log/slog"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lvsnat/cmd/director/internal/nstest"
)

func TestTheWatcherNeedsNoMoreThanItsCapabilities(t *testing.T) {
	box := newBox(t)
	box.Do(func() {
		nstest.WithCapabilities(t, func() {
			w, err := New([]string{"eth0", "eth1"}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if err := w.use(neighbour2); err != nil {
				t.Errorf("resolve: %v", err)
			}
		}, unix.CAP_NET_ADMIN, unix.CAP_NET_RAW)
	})
}

func TestAMissingCapabilityIsNamed(t *testing.T) {
	box := newBox(t)
	var lines strings.Builder
	box.Do(func() {
		nstest.WithCapabilities(t, func() {
			w, err := New([]string{"eth0", "eth1"}, slog.New(slog.NewTextHandler(&lines, nil)))
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			for range 3 {
				if err := w.use(neighbour2); err != nil {
					w.complain(neighbour2, err)
				}
			}
		})
	})
	if strings.Count(lines.String(), "CAP_NET_ADMIN") != 1 || !strings.Contains(lines.String(), "10.1.1.2") {
		t.Errorf("the log says %q, want one line that names CAP_NET_ADMIN", lines.String())
	}
}
