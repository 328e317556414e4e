package daemon

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"lvsnat/dataplane/afpacket"
)

// needed are the capabilities without which no director runs: raw sockets, and
// the guard, neighbours and large socket buffers.
var needed = []struct {
	name string
	bit  uint
}{
	{"CAP_NET_ADMIN", unix.CAP_NET_ADMIN},
	{"CAP_NET_RAW", unix.CAP_NET_RAW},
}

// checkCapabilities says which capabilities the process lacks, and how it gets
// them. It looks once at the start, so that the first refused system call is
// not what an operator learns it from.
func checkCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData // low and high halves of the 64 bits
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return fmt.Errorf("read the process's capabilities: %w", err)
	}
	return lacking(sets[0].Effective)
}

// preferThread lets a worker's thread run before ordinary programs where that is
// allowed. It is a matter of speed on a busy box, so a director without the
// capability runs all the same and says so once.
func (d *director) preferThread() {
	if err := afpacket.PreferThread(); err != nil {
		d.ordinary.Do(func() {
			d.Log.Info("workers run at the priority of any program; on a busy box CAP_SYS_NICE lets them lose fewer packets", "err", err)
		})
	}
}

func lacking(effective uint32) error {
	var missing []string
	for _, c := range needed {
		if effective&(1<<c.bit) == 0 {
			missing = append(missing, c.name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	names := strings.Join(missing, " and ")
	return fmt.Errorf("%s missing: run as root, or set AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW in the systemd unit, or give them to the program: setcap cap_net_admin,cap_net_raw+ep PROGRAM", names)
}
