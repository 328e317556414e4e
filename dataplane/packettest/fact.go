package packettest

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/google/gopacket/layers"

	"lvsnat/dataplane/packet"
)

// A Fact is something about a frame. Given to a builder it makes it so, given
// to Check it demands that it is so.
type Fact struct {
	make func(*blueprint)
	want func(*view) error
}

func (f Fact) build(b *blueprint)  { f.make(b) }
func (f Fact) check(v *view) error { return f.want(v) }

// option is an Option that nothing can be checked for.
type option func(*blueprint)

func (o option) build(b *blueprint) { o(b) }

// MACs says from which link address the frame comes and to which it goes.
func MACs(source, destination packet.MAC) Fact {
	return Fact{
		make: func(b *blueprint) { b.source, b.destination = source, destination },
		want: func(v *view) error {
			if len(v.frame.Data) < packet.EthernetLen {
				return fmt.Errorf("frame of %d bytes is too short for Ethernet", len(v.frame.Data))
			}
			e := packet.Ethernet(v.frame.Data)
			return firstError(
				differs("source MAC", formatMAC(e.Source()), formatMAC(source)),
				differs("destination MAC", formatMAC(e.Destination()), formatMAC(destination)))
		},
	}
}

// VLAN says which VLAN tags the frame carries, outermost first: none, one, or
// two (QinQ).
func VLAN(ids ...uint16) Fact {
	return Fact{
		make: func(b *blueprint) { b.vlans = ids },
		want: func(v *view) error {
			if !slices.Equal(v.vlans, ids) {
				return fmt.Errorf("VLAN tags are %v, want %v", v.vlans, ids)
			}
			return nil
		},
	}
}

// Padding says how many bytes follow the datagram.
func Padding(n int) Fact {
	return Fact{
		make: func(b *blueprint) { b.padding = n },
		want: withIP(func(v *view) error {
			return differs("padding", len(v.frame.Data)-v.network-int(v.ip.Length), n)
		}),
	}
}

// TTL is the datagram's time to live.
func TTL(n uint8) Fact {
	return Fact{
		make: func(b *blueprint) { b.ip.TTL = n },
		want: withIP(func(v *view) error { return differs("TTL", v.ip.TTL, n) }),
	}
}

// TOS is the byte of DSCP and ECN.
func TOS(n uint8) Fact {
	return Fact{
		make: func(b *blueprint) { b.ip.TOS = n },
		want: withIP(func(v *view) error { return differs("TOS", v.ip.TOS, n) }),
	}
}

// ID is the datagram's identification.
func ID(n uint16) Fact {
	return Fact{
		make: func(b *blueprint) { b.ip.Id = n },
		want: withIP(func(v *view) error { return differs("ID", v.ip.Id, n) }),
	}
}

// DontFragment says whether the DF flag is set.
func DontFragment(set bool) Fact {
	return Fact{
		make: func(b *blueprint) {
			b.ip.Flags &^= layers.IPv4DontFragment
			if set {
				b.ip.Flags |= layers.IPv4DontFragment
			}
		},
		want: withIP(func(v *view) error {
			return differs("DF", v.ip.Flags&layers.IPv4DontFragment != 0, set)
		}),
	}
}

// IPOptions are the options of the IP header.
func IPOptions(options ...layers.IPv4Option) Fact {
	return Fact{
		make: func(b *blueprint) { b.ip.Options = options },
		want: withIP(func(v *view) error {
			return differs("IP options", fmt.Sprint(v.ip.Options), fmt.Sprint(options))
		}),
	}
}

// TCPOptions are the options of the TCP header.
func TCPOptions(options ...layers.TCPOption) Fact {
	return Fact{
		make: func(b *blueprint) { b.tcp("TCPOptions").Options = options },
		want: withTCP(func(v *view) error {
			return differs("TCP options", fmt.Sprint(v.tcp.Options), fmt.Sprint(options))
		}),
	}
}

// Sequence is the number of a TCP segment's first byte.
func Sequence(n uint32) Fact {
	return Fact{
		make: func(b *blueprint) { b.tcp("Sequence").Seq = n },
		want: withTCP(func(v *view) error { return differs("sequence number", v.tcp.Seq, n) }),
	}
}

// Acknowledgment is the next sequence number that the sender of a TCP segment
// expects.
func Acknowledgment(n uint32) Fact {
	return Fact{
		make: func(b *blueprint) { b.tcp("Acknowledgment").Ack = n },
		want: withTCP(func(v *view) error { return differs("acknowledgment number", v.tcp.Ack, n) }),
	}
}

// Payload is what TCP, UDP or an echo carries.
func Payload(p []byte) Fact {
	return Fact{
		make: func(b *blueprint) { b.payload = p },
		want: withIP(func(v *view) error {
			if !bytes.Equal(v.payload(), p) {
				return fmt.Errorf("payload is %s, want %s", abbreviate(v.payload()), abbreviate(p))
			}
			return nil
		}),
	}
}

// PartialChecksum says that the transport checksum is left to the sending
// device: the field holds the pseudo-header's sum and the offload says so.
func PartialChecksum() Fact {
	return Fact{
		make: func(b *blueprint) { b.partial = true },
		want: func(v *view) error {
			if !v.frame.Offload.PartialChecksum() {
				return fmt.Errorf("checksum is not left to the device: offload %+v", v.frame.Offload)
			}
			return nil
		},
	}
}

// GSO says that the frame is a super-packet, to be cut by the sending device
// into segments of size payload bytes. Its checksum is partial.
func GSO(size uint16) Fact {
	return Fact{
		make: func(b *blueprint) { b.partial, b.gsoSize = true, size },
		want: withIP(func(v *view) error {
			o, want := v.frame.Offload, uint8(packet.GSOTCPv4)
			if v.udp != nil {
				want = packet.GSOUDPL4
			}
			return firstError(
				differs("GSO type", o.GSOType&^packet.GSOECN, want),
				differs("GSO size", o.GSOSize, size))
		}),
	}
}

// NoChecksum says that UDP has no checksum, the field is zero. As a Checker it
// stands in the place of ChecksumsRight, which demands one, and demands a
// right IP header checksum too.
func NoChecksum() Fact {
	return Fact{
		make: func(b *blueprint) { b.noChecksum = true },
		want: withUDP(func(v *view) error {
			return firstError(headerChecksum(v.datagram()), differs("UDP checksum", v.udp.Checksum, 0))
		}),
	}
}

// NextHopMTU is what an ICMP error "fragmentation needed" tells (RFC 1191).
func NextHopMTU(n uint16) Fact {
	return Fact{
		make: func(b *blueprint) { b.nextHopMTU = n },
		want: withICMP(func(v *view) error { return differs("next-hop MTU", v.icmp.Seq, n) }),
	}
}

// BadChecksum makes the checksum of TCP, UDP or ICMP wrong.
func BadChecksum() Option { return option(func(b *blueprint) { b.badChecksum = true }) }

// BadIPChecksum makes the IP header checksum wrong.
func BadIPChecksum() Option { return option(func(b *blueprint) { b.badIPChecksum = true }) }

// Quote lets an ICMP error quote up to n bytes behind the IP header.
func Quote(n int) Option { return option(func(b *blueprint) { b.quotedPayload = n }) }

// Edit damages the finished frame: it is handed all bytes and returns those
// that shall be sent. Checksums are not made right again.
func Edit(edit func(data []byte) []byte) Option {
	return option(func(b *blueprint) { b.edits = append(b.edits, edit) })
}

// tcp is the TCP layer, for the option called name.
func (b *blueprint) tcp(name string) *layers.TCP {
	t, ok := b.transport.(*layers.TCP)
	if !ok {
		panic("packettest: the option " + name + " is for TCP")
	}
	return t
}

// differs is the error that says that got is not as wanted.
func differs[T comparable](what string, got, want T) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("%s is %v, want %v", what, got, want)
}

// firstError is the first of errs that is one.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// abbreviate writes bytes in hex, of long ones the beginning.
func abbreviate(b []byte) string {
	const most = 32
	if len(b) <= most {
		return fmt.Sprintf("%d bytes [% x]", len(b), b)
	}
	return fmt.Sprintf("%d bytes [% x ...]", len(b), b[:most])
}
