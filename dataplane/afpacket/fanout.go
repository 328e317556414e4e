package afpacket

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// DefaultReceiveSlots is the length of a receive ring: what a fast sender sends
// in a millisecond. From 256 to 4,096 slots a frame costs the same (0.99 to
// 1.01); more slots only make frames wait longer when a worker cannot keep up.
const DefaultReceiveSlots = 1024

// maxWorkers is how many members a fanout group has room for (fanout_add).
const maxWorkers = 256

// oversizeBytes is how much of frames larger than a slot may wait in a
// receiver's queue.
const oversizeBytes = 32 << 20

// A Fanout is the receivers of one NIC, one for each worker. Its methods may be
// called from any goroutine but not concurrently with Close.
type Fanout struct {
	receivers []*Receiver
}

// OpenFanout opens a receiver for each worker on the NIC of this name in the
// calling thread's network namespace, and lets frames in once all are ready. It
// needs CAP_NET_RAW; with CAP_NET_ADMIN too, large frames may queue beyond the
// system's limit (net.core.rmem_max).
func OpenFanout(nic string, placement Placement, o Options) (*Fanout, error) {
	const role = "receive ring"
	link, err := findInterface(role, nic)
	if err != nil {
		return nil, err
	}
	o, err = o.complete(DefaultReceiveSlots, link.MTU)
	if err != nil {
		return nil, fmt.Errorf("%s on %s: %w", role, nic, err)
	}
	if placement.Workers > maxWorkers {
		return nil, fmt.Errorf("%s on %s: %d workers, the kernel shares a NIC among %d at the most", role, nic, placement.Workers, maxWorkers)
	}
	program, err := placement.Program()
	if err != nil {
		return nil, fmt.Errorf("%s on %s: %w", role, nic, err)
	}
	f := &Fanout{}
	for range placement.Workers {
		r, err := openReceiver(role, link, o)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		f.receivers = append(f.receivers, r)
	}
	if err := f.start(program); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// openReceiver opens a receiver that is complete but for a filter that lets
// frames in. The order is the kernel's: options before the ring, all before the
// bind.
func openReceiver(role string, link *net.Interface, o Options) (*Receiver, error) {
	s, err := openSocket(role, link.Name)
	if err != nil {
		return nil, err
	}
	r, err := setUpReceiver(s, link, o)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return r, nil
}

func setUpReceiver(s *socket, link *net.Interface, o Options) (*Receiver, error) {
	if err := s.setFilter(nothing); err != nil {
		return nil, err
	}
	if err := s.configure(
		option{"PACKET_VERSION", unix.PACKET_VERSION, unix.TPACKET_V2},
		option{"PACKET_VNET_HDR", unix.PACKET_VNET_HDR, 1},
		option{"PACKET_COPY_THRESH", unix.PACKET_COPY_THRESH, 1}, // queue what does not fit into a slot
		option{"PACKET_IGNORE_OUTGOING", unix.PACKET_IGNORE_OUTGOING, 1},
	); err != nil {
		return nil, err
	}
	if err := s.setBuffer(unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, oversizeBytes); err != nil {
		return nil, err
	}
	mapped, err := s.mapRing(unix.PACKET_RX_RING, o)
	if err != nil {
		return nil, err
	}
	if err := s.bind(link, unix.ETH_P_ALL); err != nil {
		return nil, err
	}
	r := newReceiver(mapped, s)
	r.socket = s
	return r, nil
}

// start joins the receivers and lets frames in.
func (f *Fanout) start(program []bpf.RawInstruction) error {
	if err := f.join(); err != nil {
		return err
	}
	if err := f.setProgram(program); err != nil {
		return err
	}
	for _, r := range f.receivers {
		if err := r.socket.setFilter(requestsAndReplies); err != nil {
			return err
		}
	}
	return nil
}

// join puts the receivers into one fanout group, in the order of their workers:
// the program's result is the number of a member in the order of joining. When
// the link goes down and up again the kernel takes the members out and puts
// them back in the order in which the sockets were opened (packet_notifier),
// which is the same.
//
// No PACKET_FANOUT_FLAG_ROLLOVER: it moves frames to another worker when a ring
// is full. No PACKET_FANOUT_FLAG_DEFRAG: it makes datagrams that are too large
// to be sent again.
func (f *Fanout) join() error {
	if len(f.receivers) == 1 {
		return nil
	}
	const kind = (unix.PACKET_FANOUT_CBPF | unix.PACKET_FANOUT_FLAG_IGNORE_OUTGOING) << 16
	group := unix.PACKET_FANOUT_FLAG_UNIQUEID << 16 // the kernel picks a number that is free
	for i, r := range f.receivers {
		s := r.socket
		if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_FANOUT, kind|group); err != nil {
			return s.failed(fmt.Sprintf("join worker %d to the fanout group", i), err)
		}
		if i > 0 {
			continue
		}
		value, err := unix.GetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
		if err != nil {
			return s.failed("read the number of the fanout group", err)
		}
		group = value & 0xffff
	}
	return nil
}

// Receivers returns the receivers in the order of their workers.
func (f *Fanout) Receivers() []*Receiver { return f.receivers }

// SetPlacement replaces the rule, for instance when the set of virtual
// addresses has changed. The number of workers cannot change. Each frame is
// placed either by the old rule or by the new one.
func (f *Fanout) SetPlacement(p Placement) error {
	nic := f.receivers[0].socket.nic
	if p.Workers != len(f.receivers) {
		return fmt.Errorf("fanout on %s: placement on %d workers, but it has %d", nic, p.Workers, len(f.receivers))
	}
	program, err := p.Program()
	if err != nil {
		return fmt.Errorf("fanout on %s: %w", nic, err)
	}
	return f.setProgram(program)
}

func (f *Fanout) setProgram(program []bpf.RawInstruction) error {
	if len(f.receivers) == 1 {
		return nil
	}
	s := f.receivers[0].socket
	if err := setProgram(s.fd, unix.SOL_PACKET, unix.PACKET_FANOUT_DATA, program); err != nil {
		return s.failed("set the fanout program", err)
	}
	return nil
}

// Dead reports whether the NIC was deleted, or moved to another namespace. It
// never comes back: a new NIC of the same name needs a new fanout.
func (f *Fanout) Dead() bool { return f.receivers[0].socket.dead() }

// Close closes all receivers. Frames that they lent are gone.
func (f *Fanout) Close() error { return closeEach(f.receivers, (*Receiver).close) }
