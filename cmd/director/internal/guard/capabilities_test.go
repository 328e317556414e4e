package guard

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lvsnat/cmd/director/internal/nstest"
)

func TestTheGuardNeedsNoMoreThanItsCapabilities(t *testing.T) {
	box := newBox(t)
	g := box.guard(t)
	box.Do(func() {
		nstest.WithCapabilities(t, func() {
			if f, err := g.Gather(handled); err != nil || f.Unsupported != nil {
				t.Errorf("gather: %v, %v", err, f.Unsupported)
			}
			if err := g.Set(handled); err != nil {
				t.Error(err)
			}
			if err := g.Remove(); err != nil {
				t.Error(err)
			}
		}, unix.CAP_NET_ADMIN, unix.CAP_NET_RAW)
	})
}

func TestAMissingCapabilityIsNamed(t *testing.T) {
	box := newBox(t)
	g := box.guard(t)
	box.Do(func() {
		nstest.WithCapabilities(t, func() {
			for name, err := range map[string]error{"Supported": g.Supported(), "Set": g.Set(handled), "Remove": g.Remove()} {
				if err == nil || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
					t.Errorf("%s: %v", name, err)
				}
			}
		}, unix.CAP_NET_RAW)
	})
}
