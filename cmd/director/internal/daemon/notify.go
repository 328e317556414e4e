package daemon

import (
	"fmt"
	"net"
	"strings"

	"golang.org/x/sys/unix"
)

// A Notifier tells the service manager how the director is (sd_notify(3)).
// Socket is the environment's NOTIFY_SOCKET; with none nothing is told.
type Notifier struct {
	Socket string
}

func (n Notifier) ready() error    { return n.tell("READY=1") }
func (n Notifier) stopping() error { return n.tell("STOPPING=1") }

// reloading is followed by ready. The time is what Type=notify-reload asks for.
func (n Notifier) reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("read the clock for the service manager: %w", err)
	}
	return n.tell("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
}

func (n Notifier) tell(state ...string) error {
	if n.Socket == "" {
		return nil
	}
	// A leading @ is an abstract name, for package net as for systemd.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.Socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(strings.Join(state, "\n"))); err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	return nil
}
