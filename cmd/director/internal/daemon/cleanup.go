package daemon

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"lvsnat/cmd/director/internal/control"
	"lvsnat/cmd/director/internal/guard"
)

// Cleanup removes what a director that has crashed left: its guard, its control
// socket and its lock. It returns what it removed, and refuses while a director
// runs with the state directory or in the network namespace.
func Cleanup(stateDir string) (removed []string, err error) {
	lockFile := filepath.Join(stateDir, lockName)
	if exists(lockFile) {
		removed = append(removed, "lock "+lockFile)
	}
	lock, err := lock(stateDir)
	if err != nil {
		return nil, err
	}
	guards, guardErr := cleanGuard()
	removed = append(removed, guards...)
	socket := filepath.Join(stateDir, control.SocketName)
	socketErr := os.Remove(socket)
	switch {
	case socketErr == nil:
		removed = append(removed, "control socket "+socket)
	case errors.Is(socketErr, fs.ErrNotExist):
		socketErr = nil
	}
	return removed, errors.Join(guardErr, socketErr, lock.release())
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// cleanGuard removes the guard if there is one.
func cleanGuard() ([]string, error) {
	left, err := guard.Left()
	if err != nil || len(left) == 0 {
		return nil, err
	}
	g, err := guard.New()
	if err != nil {
		return nil, err
	}
	if err := g.Remove(); err != nil {
		return nil, err
	}
	for i := range left {
		left[i] = "guard: " + left[i]
	}
	return left, nil
}
