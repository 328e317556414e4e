package main

import (
	"bufio"
	"io"

	"lvsnat/dataplane/packet"
)

// A dumper is a sender that writes the IP datagrams one after the other, as
// testlvs -dump does.
type dumper struct {
	w     *bufio.Writer
	frame []byte
}

func newDumper(w io.Writer) *dumper { return &dumper{w: bufio.NewWriter(w)} }

// Reserve gives room for one datagram, and none once writing has failed.
func (d *dumper) Reserve(frame *packet.Frame) []byte {
	if _, err := d.w.Write(nil); err != nil {
		return nil
	}
	d.frame = append(d.frame[:0], frame.Data...)
	return d.frame
}

// Commit writes the datagram; an error comes back from the next one, and from
// err.
func (d *dumper) Commit() { d.w.Write(d.frame[packet.EthernetLen:]) }

// Flush writes what is still buffered.
func (d *dumper) Flush() { d.w.Flush() }

// err is the first error of writing.
func (d *dumper) err() error { return d.w.Flush() }
