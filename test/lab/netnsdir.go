package lab

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const netnsDir = "/run/netns" // where ip-netns(8) looks for named namespaces

// openDirectory makes the directory of named namespaces what ip-netns(8) makes
// of it at its first use: a mount that is shared. Were it left to ip, the lab's
// namespaces of that moment would lie below the new mount, where no path leads
// to unmount them.
func openDirectory() error {
	if err := os.MkdirAll(netnsDir, 0o755); err != nil {
		return err
	}
	dir, err := os.Open(netnsDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	// ip holds the same lock while it does this.
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", netnsDir, err)
	}
	err = unix.Mount("", netnsDir, "none", unix.MS_SHARED|unix.MS_REC, "")
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	// It is not a mount yet.
	if err := unix.Mount(netnsDir, netnsDir, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s: %w", netnsDir, err)
	}
	return unix.Mount("", netnsDir, "none", unix.MS_SHARED|unix.MS_REC, "")
}
