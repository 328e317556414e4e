package lab

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
)

// A transfer carries bytes one way and proves by their SHA-256 that they have
// arrived. The client opens with a header of 17 bytes:
//
//	direction  1 byte: 'u' upload (client to realserver) or 'd' download
//	bytes      8 bytes, big endian
//	seed       8 bytes, big endian
//
// Then the sender sends the bytes that follow from the seed. After an upload
// the server answers with the digest of what it has received, after a download
// with that of what it has sent.
const (
	upload   = 'u'
	download = 'd'
)

// ServeTransfer is for ServeTCP: the server's part of Upload and Download.
func ServeTransfer(c *net.TCPConn) {
	var header [17]byte
	if _, err := io.ReadFull(c, header[:]); err != nil {
		return
	}
	n := int64(binary.BigEndian.Uint64(header[1:]))
	seed := binary.BigEndian.Uint64(header[9:])
	switch header[0] {
	case upload:
		if sum, err := receive(c, n); err == nil {
			_, _ = c.Write(sum) // the client notices when it is missing
		}
	case download:
		if sum, err := send(c, n, seed); err == nil {
			_, _ = c.Write(sum)
		}
	}
}

// Upload sends n bytes to a ServeTransfer server over c and compares its
// digest of what has arrived.
func Upload(c net.Conn, n int64, seed uint64) error {
	if err := begin(c, upload, n, seed); err != nil {
		return err
	}
	sent, err := send(c, n, seed)
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	arrived := make([]byte, sha256.Size)
	if _, err := io.ReadFull(c, arrived); err != nil {
		return fmt.Errorf("upload: digest from the server: %w", err)
	}
	return compare(sent, arrived)
}

// Download receives n bytes from a ServeTransfer server over c and compares
// their digest with the server's.
func Download(c net.Conn, n int64, seed uint64) error {
	if err := begin(c, download, n, seed); err != nil {
		return err
	}
	arrived, err := receive(c, n)
	if err != nil {
		return fmt.Errorf("download: %w", err)
	}
	sent := make([]byte, sha256.Size)
	if _, err := io.ReadFull(c, sent); err != nil {
		return fmt.Errorf("download: digest from the server: %w", err)
	}
	return compare(sent, arrived)
}

func begin(c io.Writer, direction byte, n int64, seed uint64) error {
	header := make([]byte, 0, 17)
	header = append(header, direction)
	header = binary.BigEndian.AppendUint64(header, uint64(n))
	header = binary.BigEndian.AppendUint64(header, seed)
	if _, err := c.Write(header); err != nil {
		return fmt.Errorf("transfer header: %w", err)
	}
	return nil
}

// send writes the n bytes that follow from the seed and returns their SHA-256.
// They are a random block, over and over, with a running number in each 512
// bytes, so that no two stretches as long as a segment are alike. To make them
// costs next to nothing, or the test would be about that.
func send(w io.Writer, n int64, seed uint64) ([]byte, error) {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	block := make([]byte, 256<<10)
	_, _ = rand.NewChaCha8(key).Read(block) // never fails
	digest := sha256.New()
	for number := uint64(0); n > 0; {
		for i := 0; i < len(block); i += 512 {
			binary.BigEndian.PutUint64(block[i:], number)
			number++
		}
		piece := block[:min(n, int64(len(block)))]
		digest.Write(piece)
		if _, err := w.Write(piece); err != nil {
			return nil, err
		}
		n -= int64(len(piece))
	}
	return digest.Sum(nil), nil
}

// receive reads n bytes and returns their SHA-256.
func receive(r io.Reader, n int64) ([]byte, error) {
	digest := sha256.New()
	buffer := make([]byte, 256<<10)
	got, err := io.CopyBuffer(struct{ io.Writer }{digest}, struct{ io.Reader }{io.LimitReader(r, n)}, buffer)
	if err != nil {
		return nil, fmt.Errorf("after %d of %d bytes: %w", got, n, err)
	}
	if got != n {
		return nil, fmt.Errorf("the connection ended after %d of %d bytes", got, n)
	}
	return digest.Sum(nil), nil
}

func compare(sent, arrived []byte) error {
	if string(sent) != string(arrived) {
		return fmt.Errorf("what has arrived differs from what was sent: SHA-256 %x, sent %x", arrived, sent)
	}
	return nil
}
