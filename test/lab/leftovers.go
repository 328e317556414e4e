package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const namePrefix = "lvsnat-"

// RemoveLeftovers removes the namespaces, and ends the programs in them, that
// a lab of a process that no longer exists left behind.
func RemoveLeftovers() error {
	entries, err := os.ReadDir(netnsDir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		pid, ok := ownerOf(e.Name())
		if !ok || alive(pid) {
			continue
		}
		if err := endPrograms(e.Name()); err != nil {
			errs = append(errs, err)
		}
		if err := removeNamespace(e.Name()); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// ownerOf reads the process id out of a namespace's name: lvsnat-PID-N-HOST.
func ownerOf(name string) (pid int, ok bool) {
	rest, ok := strings.CutPrefix(name, namePrefix)
	if !ok {
		return 0, false
	}
	number, rest, _ := strings.Cut(rest, "-")
	lab, host, _ := strings.Cut(rest, "-")
	if _, err := strconv.Atoi(lab); err != nil || host == "" {
		return 0, false
	}
	pid, err := strconv.Atoi(number)
	return pid, err == nil && pid > 0
}

func alive(pid int) bool {
	return !errors.Is(unix.Kill(pid, 0), unix.ESRCH)
}

// endPrograms kills the processes in a namespace: one that runs keeps the
// namespace and its links alive even when its name is gone.
func endPrograms(namespace string) error {
	want, err := inode(filepath.Join(netnsDir, namespace))
	if err != nil {
		return err
	}
	links, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return err
	}
	var errs []error
	for _, link := range links {
		have, err := inode(link)
		if err != nil || have != want {
			continue // gone meanwhile, or of another namespace
		}
		pid, err := strconv.Atoi(strings.Split(link, "/")[2])
		if err != nil {
			continue
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("kill process %d in namespace %s: %w", pid, namespace, err))
		}
	}
	return errors.Join(errs...)
}

// identity is what makes a namespace file the namespace it is.
type identity struct{ device, inode uint64 }

func inode(path string) (identity, error) {
	info, err := os.Stat(path)
	if err != nil {
		return identity{}, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return identity{}, fmt.Errorf("%s: no inode", path)
	}
	return identity{st.Dev, st.Ino}, nil
}

// removeNamespace takes a namespace's name away. The file may be there without
// a mount on it when its maker died between the two, or when another process
// removes the same leftovers.
func removeNamespace(name string) error {
	path := filepath.Join(netnsDir, name)
	err := unix.Unmount(path, unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
