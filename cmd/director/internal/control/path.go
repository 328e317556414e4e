package control

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxSocketPath is what fits sun_path of struct sockaddr_un (linux/un.h) with
// its closing zero.
const maxSocketPath = 107

// socketPath returns a name for the socket in a state directory that the kernel
// takes. The name of a long path goes by way of the open directory, which must
// stay open for as long as the name is used; it is nil for a short one, and a nil
// file may be closed.
func socketPath(stateDir string) (path string, dir *os.File, err error) {
	path = filepath.Join(stateDir, SocketName)
	if len(path) <= maxSocketPath {
		return path, nil, nil
	}
	dir, err = os.OpenFile(stateDir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), SocketName), dir, nil
}
