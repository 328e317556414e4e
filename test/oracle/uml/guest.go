package uml

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	modules    = "/usr/lib/uml/modules"
	modulesDir = "/run/modules" // where the guest has its modules
)

// SetUp makes the guest usable: its own /proc, /sys and /run, the kernel's
// modules, the loopback interface. It is to be called first.
func SetUp(module ...string) error {
	for _, m := range []struct{ kind, at string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/run"}} {
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	release := unix.ByteSliceToString(name.Release[:])
	if err := os.MkdirAll(filepath.Join(modulesDir, "lib/modules"), 0o755); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join(modules, release), filepath.Join(modulesDir, "lib/modules", release)); err != nil {
		return err
	}
	if err := Do("modprobe", append([]string{"-d", modulesDir, "-a"}, module...)...); err != nil {
		return err
	}
	return Do("ip", "link", "set", "lo", "up")
}

// Do runs a command; its output comes with an error only.
func Do(name string, args ...string) error {
	output, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, output)
	}
	return nil
}
