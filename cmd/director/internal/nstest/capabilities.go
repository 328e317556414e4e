package nstest

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// WithCapabilities runs f on the caller's goroutine with no effective
// capabilities but the given ones (unix.CAP_...).
func WithCapabilities(t testing.TB, f func(), capabilities ...uint) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var had [2]unix.CapUserData // 32 capabilities each
	if err := unix.Capget(&header, &had[0]); err != nil {
		t.Fatalf("read capabilities: %v", err)
	}
	has := had
	has[0].Effective, has[1].Effective = 0, 0
	for _, c := range capabilities {
		has[c/32].Effective |= 1 << (c % 32)
	}
	if err := unix.Capset(&header, &has[0]); err != nil {
		t.Fatalf("drop capabilities: %v", err)
	}
	defer func() {
		if err := unix.Capset(&header, &had[0]); err != nil {
			t.Errorf("take capabilities back: %v", err)
		}
	}()
	f()
}
