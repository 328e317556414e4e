// Package afpacket moves frames between the director's workers and its NICs
// through AF_PACKET sockets with mapped rings (packet(7), and the kernel's
// net/packet/af_packet.c).
//
// [OpenFanout] opens one [Receiver] for each worker on a NIC and tells the
// kernel by a [Placement] which of them gets a frame. [OpenSender] opens a
// worker's way to put frames on a NIC, and a [Waiter] lets a worker sleep until
// one of its receivers has something. Receiver, Sender and Waiter satisfy the
// interfaces that package dataplane declares. A NIC may go down and come back,
// and its rings go on; when it is deleted they are dead, which [Fanout.Dead]
// tells, and new ones must be opened.
//
// A frame arrives in a slot of the receive ring and is lent from there. What
// the kernel keeps beside the frame is carried along: a VLAN tag it took out is
// put back, and the virtio-net header says whether the frame is a super-packet
// and whether its checksum is still to be completed. A frame larger than a slot
// waits in the socket's queue and is fetched from there into a buffer of the
// receiver. A frame leaves through a slot of the transmit ring, or, when larger
// than that, by sendmmsg from where it lies.
//
// All memory shared with the kernel is reached in ring.go, and all system calls
// that golang.org/x/sys/unix has no function for are in syscall.go.
package afpacket
