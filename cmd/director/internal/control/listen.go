package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// SocketName is the socket's name in the state directory.
const SocketName = "control.sock"

// maxSocketPath is what fits sun_path of struct sockaddr_un (linux/un.h) with
// its closing zero.
const maxSocketPath = 107

// Listen makes the control socket in the state directory. The caller holds the
// directory's lock, so a socket that is there already is a crash's and is
// replaced. Closing the listener removes the socket.
func Listen(stateDir string) (net.Listener, error) {
	path := filepath.Join(stateDir, SocketName)
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("control socket %s: the path has %d bytes and a socket's may have %d: choose a shorter --state-dir", path, len(path), maxSocketPath)
	}
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
