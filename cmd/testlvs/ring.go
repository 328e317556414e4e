package main

import (
	"errors"
	"fmt"
	"time"

	"lvsnat/dataplane/afpacket"
	"lvsnat/dataplane/packet"
)

// rings are the transmit rings of all workers on one NIC.
type rings []*afpacket.Sender

// openRings opens n rings in the calling thread's network namespace.
func openRings(link string, n int) (rings, error) {
	var opened rings
	for range n {
		ring, err := afpacket.OpenSender(link, afpacket.Options{})
		if err != nil {
			return nil, errors.Join(err, opened.close())
		}
		opened = append(opened, ring)
	}
	return opened, nil
}

func (r rings) senders() []sender {
	senders := make([]sender, len(r))
	for i, ring := range r {
		senders[i] = ring
	}
	return senders
}

// stats adds up the counts. The workers must have ended.
func (r rings) stats() packet.SenderStats {
	var sum packet.SenderStats
	for _, ring := range r {
		s := ring.Stats()
		sum.Sent += s.Sent
		sum.Dropped += s.Dropped
	}
	return sum
}

func (r rings) close() error {
	var errs []error
	for _, ring := range r {
		errs = append(errs, ring.Close())
	}
	return errors.Join(errs...)
}

// rateLine tells what the NIC took, for packets of size bytes.
func rateLine(s packet.SenderStats, size int, took time.Duration) string {
	perSecond := float64(s.Sent) / took.Seconds()
	line := fmt.Sprintf("Sent %d packets in %.3f s: %.0f packets/s, %.1f Mbit/s",
		s.Sent, took.Seconds(), perSecond, perSecond*float64(size)*8/1e6)
	if s.Dropped > 0 {
		line += fmt.Sprintf("; the NIC refused %d", s.Dropped)
	}
	return line
}
