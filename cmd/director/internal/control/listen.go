package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
)

// SocketName is the socket's name in the state directory.
const SocketName = "control.sock"

// Listen makes the control socket in the state directory. The caller holds the
// directory's lock, so a socket that is there already is a crash's and is
// replaced. Closing the listener removes the socket.
func Listen(stateDir string) (net.Listener, error) {
	path, dir, err := socketPath(stateDir)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	listener, err := listenOn(path)
	if err != nil {
		dir.Close()
		return nil, err
	}
	return &listenerIn{listener, dir}, nil
}

// listenOn makes the socket in the place of any that is there.
func listenOn(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("replace the control socket that a crash left: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	// Until here the socket has the umask's mode, which at worst lets those in
	// who may enter the state directory, and that is 0750.
	if err := os.Chmod(path, 0o660); err != nil {
		listener.Close()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return listener, nil
}

// A listenerIn keeps the directory open by which its socket is named.
type listenerIn struct {
	net.Listener
	dir *os.File // nil: named by its path
}

// Close removes the socket and lets go of the directory.
func (l *listenerIn) Close() error {
	err := l.Listener.Close()
	l.dir.Close() // opened for its name only: nothing can be lost
	return err
}
