package afpacket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// A socket is an AF_PACKET socket with at most one ring.
type socket struct {
	fd     int
	role   string // for error messages
	nic    string
	memory []byte
}

// openSocket opens a socket that receives nothing until it is bound: protocol 0
// registers no hook.
func openSocket(role, nic string) (*socket, error) {
	s := &socket{role: role, nic: nic}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, s.failed("open a packet socket", err)
	}
	s.fd = fd
	return s, nil
}

// failed says which step of which socket failed and what an operator can do.
func (s *socket) failed(step string, err error) error {
	return fmt.Errorf("%s on %s: %s: %w%s", s.role, s.nic, step, err, advice(err))
}

func advice(err error) string {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return "; CAP_NET_RAW is missing: run as root, or grant it (AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN in the unit, or setcap cap_net_raw,cap_net_admin+ep on the binary)"
	case errors.Is(err, unix.EAFNOSUPPORT):
		return "; the kernel has no packet sockets: load af_packet or build it with CONFIG_PACKET"
	case errors.Is(err, unix.ENOMEM), errors.Is(err, unix.ENOBUFS):
		return "; not enough free memory: use fewer workers or smaller rings"
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return "; there is no such interface"
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return "; raise the limit of open files (LimitNOFILE= in the unit)"
	}
	return ""
}

// An option is a socket option with a number as its value.
type option struct {
	name   string
	number int
	value  int
}

// configure sets options of level SOL_PACKET.
func (s *socket) configure(options ...option) error {
	for _, o := range options {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, o.number, o.value); err != nil {
			return s.failed("set "+o.name, err)
		}
	}
	return nil
}

// setBuffer sets how many bytes the socket may hold. Only CAP_NET_ADMIN lifts
// the system's limit; without it as much as the limit allows is enough to go
// on.
func (s *socket) setBuffer(force, plain, bytes int) error {
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, force, bytes) == nil {
		return nil
	}
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, plain, bytes); err != nil {
		return s.failed("set the buffer size", err)
	}
	return nil
}

// setFilter replaces the socket's filter.
func (s *socket) setFilter(f filter) error {
	if err := setProgram(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, f); err != nil {
		return s.failed("attach the socket filter", err)
	}
	return nil
}

// mapRing makes a ring of the given kind, PACKET_RX_RING or PACKET_TX_RING, and
// maps it. The kernel enters all pages at once and never swaps them, so neither
// MAP_POPULATE nor MAP_LOCKED, which counts against RLIMIT_MEMLOCK, would add
// anything.
func (s *socket) mapRing(kind int, o Options) (ring, error) {
	bytes := o.Slots * o.SlotSize
	block := min(bytes, MaxSlotSize)
	request := unix.TpacketReq{
		Block_size: uint32(block),
		Block_nr:   uint32(bytes / block),
		Frame_size: uint32(o.SlotSize),
		Frame_nr:   uint32(o.Slots),
	}
	if err := unix.SetsockoptTpacketReq(s.fd, unix.SOL_PACKET, kind, &request); err != nil {
		return ring{}, s.failed("make the ring", err)
	}
	memory, err := unix.Mmap(s.fd, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return ring{}, s.failed("map the ring", err)
	}
	s.memory = memory
	return ring{memory: memory, slotSize: o.SlotSize, mask: uint32(o.Slots - 1)}, nil
}

// bind ties the socket to its NIC. With protocol 0 it only sends.
func (s *socket) bind(nic *net.Interface, protocol uint16) error {
	var wire [2]byte
	binary.BigEndian.PutUint16(wire[:], protocol)
	address := &unix.SockaddrLinklayer{
		Protocol: binary.NativeEndian.Uint16(wire[:]),
		Ifindex:  nic.Index,
	}
	if err := unix.Bind(s.fd, address); err != nil {
		return s.failed("bind to the interface", err)
	}
	bound, err := unix.Getsockname(s.fd)
	if err != nil {
		return s.failed("read the socket's address", err)
	}
	switch hardware := bound.(*unix.SockaddrLinklayer).Hatype; hardware {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return nil
	default:
		return fmt.Errorf("%s on %s: not an Ethernet interface (hardware type %d): frames without Ethernet headers are not supported", s.role, s.nic, hardware)
	}
}

// dead reports whether the interface was deleted or moved to another namespace:
// the kernel unbinds the socket then (packet_notifier), for ever.
func (s *socket) dead() bool {
	bound, err := unix.Getsockname(s.fd)
	return err != nil || bound.(*unix.SockaddrLinklayer).Ifindex < 0
}

// Read fetches the next packet from the socket's queue into b, which is not
// empty. It does not wait for one.
func (s *socket) Read(b []byte) (int, error) {
	for {
		n, err := fetch(s.fd, b)
		// An error that the link left behind is told once, by whichever call
		// comes next; the queue is as it was.
		if err == unix.EINTR || err == unix.ENETDOWN {
			continue
		}
		return n, err
	}
}

// close unmaps the ring and closes the socket. It may be called twice.
func (s *socket) close() error {
	if s.fd < 0 {
		return nil
	}
	var unmapped error
	if s.memory != nil {
		unmapped = unix.Munmap(s.memory)
		s.memory = nil
	}
	err := errors.Join(unmapped, unix.Close(s.fd))
	s.fd = -1
	if err != nil {
		return s.failed("close", err)
	}
	return nil
}

// findInterface looks up a NIC by name.
func findInterface(role, name string) (*net.Interface, error) {
	nic, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("%s on %s: look up the interface: %w", role, name, err)
	}
	return nic, nil
}
