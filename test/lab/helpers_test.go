package lab_test

import (
	"net"
	"testing"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

func dial(t *testing.T, h *lab.Host, address string) net.Conn {
	t.Helper()
	c, err := h.DialContext(labtest.Context(t), "tcp4", address)
	labtest.Must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// A flipper changes one bit of what is read.
type flipper struct{ net.Conn }

func (f *flipper) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	if n > 0 {
		b[n/2] ^= 1
	}
	return n, err
}
