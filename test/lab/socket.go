package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// Listen opens a TCP listener in the host. It is closed with the host.
func (h *Host) Listen(address string) (net.Listener, error) {
	var l net.Listener
	err := h.Do(func() (err error) {
		l, err = net.Listen("tcp4", address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.Name, err)
	}
	h.OnClose(func() error { return unlessClosed(l.Close()) })
	return l, nil
}

// ListenPacket opens a UDP socket in the host. It is closed with the host.
func (h *Host) ListenPacket(address string) (net.PacketConn, error) {
	var c net.PacketConn
	err := h.Do(func() (err error) {
		c, err = net.ListenPacket("udp4", address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.Name, err)
	}
	h.OnClose(func() error { return unlessClosed(c.Close()) })
	return c, nil
}

// unlessClosed drops the error of closing what its user has closed already.
func unlessClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// DialContext connects from the host to an address given in digits. Network is
// tcp4 or udp4, tcp and udp mean the same. It fits http.Transport.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return h.DialFrom(ctx, network, "", address)
}

// DialFrom connects from a local address of the host, e.g. 192.168.1.254:5000;
// an empty one leaves the choice to the kernel.
func (h *Host) DialFrom(ctx context.Context, network, local, address string) (net.Conn, error) {
	var d net.Dialer
	switch network {
	case "tcp", "tcp4":
		network = "tcp4"
		if local != "" {
			addr, err := net.ResolveTCPAddr(network, local)
			if err != nil {
				return nil, fmt.Errorf("%s: local address: %w", h.Name, err)
			}
			d.LocalAddr = addr
		}
	case "udp", "udp4":
		network = "udp4"
		if local != "" {
			addr, err := net.ResolveUDPAddr(network, local)
			if err != nil {
				return nil, fmt.Errorf("%s: local address: %w", h.Name, err)
			}
			d.LocalAddr = addr
		}
	default:
		return nil, fmt.Errorf("%s: network %q is none of tcp4 and udp4", h.Name, network)
	}
	var c net.Conn
	err := h.Do(func() (err error) {
		c, err = d.DialContext(ctx, network, address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.Name, err)
	}
	return c, nil
}
