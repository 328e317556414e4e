package afpacket

import (
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The calls below do not wait, and go by RawSyscall, of which Go's runtime knows
// nothing. From a goroutine in a call that it knows of it takes the right to
// run, when it has run for 10 ms, and then looks for more of them every 20 us
// (retake and sysmon in runtime/proc.go). Workers are in a call nearly always, so
// that the looking took a tenth of a processor, and being robbed some more: 50
// connections got 0.87 of the requests. The price is that a garbage collection
// waits for the calls to return, in which many frames may go a long way, on veth
// through the peer's whole receive path, and others may have the processor for
// some milliseconds. But collections are rare where no packet allocates.

// kick starts the transmission of the ring's requested slots. unix.Sendto has
// no form without data and address.
func kick(fd int) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// sendMessages sends messages, at least one, and returns how many went. The
// conversion is in the call's argument list, as package unsafe demands for the
// memory to stay; the iovecs and data are reached through typed pointers.
func sendMessages(fd int, messages []unix.Mmsghdr) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd),
		uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// fetch is read(2) of a socket that does not block.
func fetch(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// schedYield is sched_yield(2).
func schedYield() {
	_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
}

// setProgram sets a socket option whose value is a struct sock_fprog
// (linux/filter.h).
func setProgram(fd, level, option int, program []bpf.RawInstruction) error {
	filter := make([]unix.SockFilter, len(program))
	for i, in := range program {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SetsockoptSockFprog(fd, level, option, &unix.SockFprog{
		Len:    uint16(len(filter)),
		Filter: &filter[0],
	})
}
