package afpacket

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// DefaultSendSlots is the length of a transmit ring. On veth the kernel gives a
// slot back before the call returns that sent it, so a few batches are plenty.
const DefaultSendSlots = 256

// sendBytes is how much a sender may have in flight. The default of 208 KiB
// holds three super-packets.
const sendBytes = 8 << 20

// senderSockets carry out a sender's system calls. A socket with a transmit
// ring cannot send anything else, so there are two.
type senderSockets struct {
	small *socket
	big   *socket
}

func (p *senderSockets) kick() error { return kick(p.small.fd) }

func (p *senderSockets) send(messages []unix.Mmsghdr) (int, error) {
	return sendMessages(p.big.fd, messages)
}

// OpenSender opens a sender on the NIC of this name in the calling thread's
// network namespace, with the MTU the NIC has now. It needs CAP_NET_RAW.
func OpenSender(nic string, o Options) (*Sender, error) {
	const role = "transmit ring"
	link, err := findInterface(role, nic)
	if err != nil {
		return nil, err
	}
	o, err = o.complete(DefaultSendSlots, link.MTU)
	if err != nil {
		return nil, fmt.Errorf("%s on %s: %w", role, nic, err)
	}
	small, err := openSendSocket(role, link)
	if err != nil {
		return nil, err
	}
	mapped, err := small.mapRing(unix.PACKET_TX_RING, o)
	if err != nil {
		return nil, errors.Join(err, small.close())
	}
	big, err := openSendSocket("sender of large frames", link)
	if err != nil {
		return nil, errors.Join(err, small.close())
	}
	sockets := &senderSockets{small: small, big: big}
	s := newSender(mapped, sockets)
	s.sockets = sockets
	s.SetMTU(link.MTU)
	return s, nil
}

// newSender is a sender on a ring that is mapped already.
func newSender(r ring, t transmitter) *Sender {
	s := &Sender{ring: r, transmitter: t}
	s.big.init()
	return s
}

// openSendSocket opens a socket that only sends. It does not ask for
// PACKET_QDISC_BYPASS: on veth that gains nothing (1.00 of the time, for small
// frames and for super-packets), and on a NIC with a queue it would take the
// operator's traffic control out of the way.
func openSendSocket(role string, link *net.Interface) (*socket, error) {
	s, err := openSocket(role, link.Name)
	if err != nil {
		return nil, err
	}
	if err := setUpSendSocket(s, link); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func setUpSendSocket(s *socket, link *net.Interface) error {
	if err := s.configure(
		option{"PACKET_VERSION", unix.PACKET_VERSION, unix.TPACKET_V2},
		option{"PACKET_VNET_HDR", unix.PACKET_VNET_HDR, 1},
		option{"PACKET_LOSS", unix.PACKET_LOSS, 1}, // pass over a malformed frame instead of stopping at it
	); err != nil {
		return err
	}
	if err := s.setBuffer(unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, sendBytes); err != nil {
		return err
	}
	return s.bind(link, 0)
}

// Dead reports whether the NIC was deleted, or moved to another namespace.
func (s *Sender) Dead() bool { return s.sockets.small.dead() }

// Close closes the sender. What was not flushed is lost.
func (s *Sender) Close() error {
	return errors.Join(s.sockets.small.close(), s.sockets.big.close())
}
