package test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

// serveNames starts an HTTP server on each realserver that answers with the
// realserver's name.
func serveNames(t testing.TB, top *lab.Topology, address string) {
	t.Helper()
	for _, rs := range top.Realservers {
		labtest.Must(t, rs.ServeName(address))
	}
}

// rips lists the addresses of all realservers, with a port unless it is 0.
func rips(top *lab.Topology, port int) []string {
	var list []string
	for i := range top.Realservers {
		addr := lab.RIP(i).String()
		if port != 0 {
			addr = fmt.Sprintf("%s:%d", addr, port)
		}
		list = append(list, addr)
	}
	return list
}

// web is a service that all realservers have, on port 80.
func web(top *lab.Topology, scheduler string) lab.Service {
	return lab.Service{
		Address: lab.VIP.String() + ":80", Scheduler: scheduler,
		Realservers: lab.Realservers(rips(top, 0)...),
	}
}

// get fetches a page with curl and returns the name of the realserver that
// has answered.
func get(t testing.TB, client *lab.Host, address string) string {
	t.Helper()
	out := labtest.Run(t, client, "curl", "-sS", "--max-time", "10", "http://"+address+"/")
	return strings.TrimSpace(out)
}

// getMany fetches n pages, each over a connection of its own, and returns how
// many each realserver has answered.
func getMany(t testing.TB, client *lab.Host, address string, n int) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	transport := &http.Transport{DialContext: client.DialContext, DisableKeepAlives: true}
	browser := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	for range n {
		name, err := fetch(browser, address)
		labtest.Must(t, err)
		counts[name]++
	}
	return counts
}

func fetch(browser *http.Client, address string) (string, error) {
	r, err := browser.Get("http://" + address + "/")
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return strings.TrimSpace(string(body)), err
}

// dial connects a host to a TCP service. The connection is closed with the
// test.
func dial(t testing.TB, h *lab.Host, address string) net.Conn {
	t.Helper()
	c, err := h.DialContext(labtest.Context(t), "tcp4", address)
	labtest.Must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// A talk is a connection to an echo server.
type talk struct {
	net.Conn
	t testing.TB
}

// say sends words and waits for them to come back.
func (c talk) say(words string) {
	c.t.Helper()
	labtest.Must(c.t, c.SetDeadline(time.Now().Add(labtest.Limit)))
	_, err := io.WriteString(c, words)
	labtest.Must(c.t, err)
	answer := make([]byte, len(words))
	_, err = io.ReadFull(c, answer)
	labtest.Must(c.t, err)
	if string(answer) != words {
		c.t.Fatalf("%q came back as %q", words, answer)
	}
}

// ask sends a datagram to a ServeUDP server and returns the answer.
func ask(t testing.TB, c net.Conn, words string) string {
	t.Helper()
	labtest.Must(t, c.SetDeadline(time.Now().Add(labtest.Limit)))
	_, err := io.WriteString(c, words)
	labtest.Must(t, err)
	answer := make([]byte, 1<<16)
	n, err := c.Read(answer)
	labtest.Must(t, err)
	return string(answer[:n])
}

// sameCounts fails the test when the counts are not as wanted.
func sameCounts(t testing.TB, got, want map[string]int) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("connections by realserver: %v, want %v", got, want)
	}
}

// shortly returns a context for an attempt that may fail and be repeated.
func shortly(t testing.TB) context.Context {
	t.Helper()
	return labtest.ContextFor(t, 500*time.Millisecond)
}

// seedOf returns a seed for a test that chooses at random. It is logged, and
// -seed gives it back.
func seedOf(t testing.TB) uint64 {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-seed %d", seed)
	return seed
}

var seedFlag = flag.Uint64("seed", 0, "of tests that choose at random; 0: another each time")
