package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A Host is one network namespace and what runs in it. Its methods may be
// called from any goroutine.
type Host struct {
	Name      string // in the lab, e.g. director
	Namespace string // in /run/netns, e.g. lvsnat-4711-1-director

	ns     netns.NsHandle
	thread *thread
	links  *netlink.Handle

	mu      sync.Mutex
	closers []*closer // mu; what close ends, last first
	closed  bool      // mu
}

// A closer ends one thing that runs in a host.
type closer struct{ end func() error }

func newHost(name, namespace string) (*Host, error) {
	thread, err := startThread()
	if err != nil {
		return nil, fmt.Errorf("the process's own namespace: %w", err)
	}
	h := &Host{Name: name, Namespace: namespace, ns: netns.None(), thread: thread}
	err = h.thread.do(func() (err error) {
		h.ns, err = netns.NewNamed(namespace)
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make namespace %s: %w", namespace, err), h.close())
	}
	if h.links, err = netlink.NewHandleAt(h.ns, unix.NETLINK_ROUTE, unix.NETLINK_GENERIC); err != nil {
		return nil, errors.Join(fmt.Errorf("netlink socket: %w", err), h.close())
	}
	if err := h.prepare(); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// prepare turns IPv6 off, where the kernel has it, and the loopback on.
func (h *Host) prepare() error {
	for _, scope := range []string{"all", "default"} {
		err := h.Sysctl("net.ipv6.conf."+scope+".disable_ipv6", "1")
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return h.SetUp("lo", true)
}

// Do calls f on a thread of its own that is inside the namespace. What f
// opens (sockets, files in /proc/sys/net) belongs to the namespace and may be
// used outside f. Goroutines that f starts are not in the namespace.
func (h *Host) Do(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := netns.Get()
		if err != nil {
			result <- fmt.Errorf("%s: the thread's own namespace: %w", h.Name, err)
			return
		}
		defer home.Close()
		if err := netns.Set(h.ns); err != nil {
			result <- fmt.Errorf("%s: enter namespace: %w", h.Name, err)
			return
		}
		err = f()
		if netns.Set(home) == nil {
			runtime.UnlockOSThread()
		} // else the thread ends with this goroutine and takes the namespace along
		result <- err
	}()
	return <-result
}

// Sysctl sets a kernel setting, e.g. net.ipv4.ip_forward. A NIC's name in the
// key must not hold a dot.
func (h *Host) Sysctl(key, value string) error {
	path := sysctlPath(key)
	return h.Do(func() error {
		if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
			return fmt.Errorf("%s: set %s=%s: %w", h.Name, key, value, err)
		}
		return nil
	})
}

// ReadSysctl returns a kernel setting without the newline at its end.
func (h *Host) ReadSysctl(key string) (string, error) {
	var text []byte
	err := h.Do(func() (err error) {
		text, err = os.ReadFile(sysctlPath(key))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("%s: read %s: %w", h.Name, key, err)
	}
	return strings.TrimSpace(string(text)), nil
}

func sysctlPath(key string) string {
	return filepath.Join("/proc/sys", strings.ReplaceAll(key, ".", "/"))
}

// OnClose has end called when the host is closed, before the namespace goes;
// the last one given is called first. When the host is closed already, end is
// called at once. Forget takes the request back: what has ended by itself
// need not be kept.
func (h *Host) OnClose(end func() error) (forget func()) {
	c := &closer{end}
	h.mu.Lock()
	closed := h.closed
	if !closed {
		h.closers = append(h.closers, c)
	}
	h.mu.Unlock()
	if closed {
		_ = end() // the closing that would report the error is over
	}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.closers = slices.DeleteFunc(h.closers, func(other *closer) bool { return other == c })
	}
}

// close ends what runs in the host and removes the namespace. It copes with a
// host that is only half made.
func (h *Host) close() error {
	h.mu.Lock()
	closers := slices.Clone(h.closers) // those that end now want to be forgotten
	h.closed = true
	h.mu.Unlock()
	var errs []error
	for i := len(closers) - 1; i >= 0; i-- {
		errs = append(errs, closers[i].end())
	}
	if h.links != nil {
		errs = append(errs, h.removeLinks())
		h.links.Close()
	}
	h.thread.stop()
	if h.ns.IsOpen() {
		errs = append(errs, h.ns.Close())
	}
	errs = append(errs, removeNamespace(h.Namespace))
	return errors.Join(errs...)
}
