package lab

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// A Lab owns hosts. Its methods may be called from any goroutine.
type Lab struct {
	prefix string

	mu     sync.Mutex
	hosts  []*Host // mu
	closed bool    // mu
}

// serial tells the labs of one process apart.
var serial atomic.Int32

// New removes what killed processes left behind, and returns an empty lab.
// It needs root.
func New() (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("the lab makes network namespaces: run as root")
	}
	if err := openDirectory(); err != nil {
		return nil, fmt.Errorf("the directory of named namespaces: %w", err)
	}
	if err := RemoveLeftovers(); err != nil {
		return nil, fmt.Errorf("remove the lab of a process that is gone: %w", err)
	}
	return &Lab{prefix: fmt.Sprintf("%s%d-%d-", namePrefix, os.Getpid(), serial.Add(1))}, nil
}

// Host makes a namespace with a loopback interface that is up and with IPv6
// off, so that captures hold nothing but what the scenario is about.
// The name is unique in the lab; the namespace's name is longer, see
// Host.Namespace.
func (l *Lab) Host(name string) (*Host, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, fmt.Errorf("host %s: the lab is closed", name)
	}
	for _, h := range l.hosts {
		if h.Name == name {
			return nil, fmt.Errorf("host %s: exists already", name)
		}
	}
	h, err := newHost(name, l.prefix+name)
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	l.hosts = append(l.hosts, h)
	return h, nil
}

// Hosts returns the hosts in the order in which they were made.
func (l *Lab) Hosts() []*Host {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*Host(nil), l.hosts...)
}

// Close ends everything that runs in the lab, last host first, and removes
// the hosts. A second call does nothing.
func (l *Lab) Close() error {
	l.mu.Lock()
	hosts := l.hosts
	l.hosts, l.closed = nil, true
	l.mu.Unlock()
	var errs []error
	for i := len(hosts) - 1; i >= 0; i-- {
		if err := hosts[i].close(); err != nil {
			errs = append(errs, fmt.Errorf("host %s: %w", hosts[i].Name, err))
		}
	}
	return errors.Join(errs...)
}
