package afpacket

import (
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// kick starts the transmission of the ring's requested slots. unix.Sendto has
// no form without data and address. The call does not wait, but while it runs
// the frames may go a long way, on veth through the peer's whole receive path;
// therefore unix.Syscall6 and not RawSyscall6, which would hold up a garbage
// collection and is not faster (1.01).
func kick(fd int) error {
	_, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// sendMessages sends messages, at least one, and returns how many went. The
// conversion is in the call's argument list, as package unsafe demands for the
// memory to stay; the iovecs and data are reached through typed pointers.
func sendMessages(fd int, messages []unix.Mmsghdr) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd),
		uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// schedYield is sched_yield(2). Others may run for milliseconds meanwhile, so it
// must not be RawSyscall, which would hold up a garbage collection.
func schedYield() {
	_, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
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
