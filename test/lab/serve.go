package lab

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
)

// ServeName starts an HTTP server that answers every request with the host's
// name and a newline, until the host is closed.
func (h *Host) ServeName(address string) error {
	return h.ServeHTTP(address, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, h.Name)
	}))
}

// ServeHTTP starts an HTTP server, until the host is closed.
func (h *Host) ServeHTTP(address string, handler http.Handler) error {
	l, err := h.Listen(address)
	if err != nil {
		return err
	}
	// Clients that break off are part of what is tested, not worth a log line.
	server := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	h.OnClose(server.Close)
	go func() { _ = server.Serve(l) }() // ends when the server is closed
	return nil
}

// ServeTCP starts a TCP server that calls serve for each connection, in a
// goroutine of its own, until the host is closed. Connections are closed when
// serve returns and when the host is closed.
func (h *Host) ServeTCP(address string, serve func(*net.TCPConn)) error {
	l, err := h.Listen(address)
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // the listener was closed
			}
			forget := h.OnClose(func() error { return unlessClosed(c.Close()) })
			go func() {
				defer forget()
				defer c.Close()
				serve(c.(*net.TCPConn))
			}()
		}
	}()
	return nil
}

// Echo is for ServeTCP: it sends back what it receives, and its end.
func Echo(c *net.TCPConn) {
	if _, err := io.Copy(c, c); err == nil {
		_ = c.CloseWrite()
	}
}

// ServeUDP starts a UDP server that answers each datagram with the host's
// name, a space and the datagram, until the host is closed.
func (h *Host) ServeUDP(address string) error {
	c, err := h.ListenPacket(address)
	if err != nil {
		return err
	}
	go func() {
		buffer := make([]byte, 1<<16)
		prefix := copy(buffer, h.Name+" ")
		for {
			n, from, err := c.ReadFrom(buffer[prefix:])
			if err != nil {
				return // the socket was closed
			}
			// An unreachable client is the scenario's affair.
			_, _ = c.WriteTo(buffer[:prefix+n], from)
		}
	}()
	return nil
}
