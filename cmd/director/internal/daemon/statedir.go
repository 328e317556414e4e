package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	lockName = "lock"

	// namespaceLock is the name of an abstract Unix socket (unix(7)). Each
	// network namespace has its own names, and the kernel frees a name with its
	// process. It is a lock because the guard's table and the answers to ARP
	// are of the whole namespace, whatever state directory is used.
	namespaceLock = "@lvsnat-director"
)

// A locked state directory belongs to one process until it is released, and so
// does the network namespace.
type locked struct {
	path      string
	file      *os.File
	namespace *net.UnixListener
}

// lock makes the state directory if there is none, and takes it.
func lock(dir string) (*locked, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("state directory: %w: make it, or name another with --state-dir", err)
	}
	path := filepath.Join(dir, lockName)
	file, err := lockFile(path)
	if err != nil {
		return nil, err
	}
	namespace, err := lockNamespace()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &locked{path, file, namespace}, nil
}

// lockNamespace takes the calling thread's network namespace.
func lockNamespace() (*net.UnixListener, error) {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: namespaceLock, Net: "unix"})
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("a director runs in this network namespace already, with another state directory (it holds the socket name %s)", namespaceLock)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the network namespace: %w", err)
	}
	return listener, nil
}

// lockFile opens and locks a file, and writes the process's number into it.
func lockFile(path string) (*os.File, error) {
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
		if err != nil {
			return nil, fmt.Errorf("state directory: %w: is it yours? name another with --state-dir", err)
		}
		if err := takeFile(file); err != nil {
			file.Close()
			return nil, err
		}
		// Its last holder may have removed the file between the two steps: then
		// the lock is on a file that nobody else will see.
		if same(file, path) {
			return file, nil
		}
		file.Close()
	}
}

func takeFile(file *os.File) error {
	err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("a director runs with the state directory %s already%s", filepath.Dir(file.Name()), holder(file))
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	if err := file.Truncate(0); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if _, err := fmt.Fprintln(file, os.Getpid()); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	return nil
}

// holder says who holds a lock, as far as the file tells.
func holder(file *os.File) string {
	text := make([]byte, 32)
	n, _ := file.ReadAt(text, 0)
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text[:n])))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}

func same(file *os.File, path string) bool {
	mine, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(mine, there)
}

// release removes the lock and lets go of it.
func (l *locked) release() error {
	err := os.Remove(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.namespace.Close(), l.file.Close())
}
