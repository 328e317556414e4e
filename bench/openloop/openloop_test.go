package openloop

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a web server on loopback that calls each before it answers.
func serve(t *testing.T, each func()) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		each()
		fmt.Fprintln(w, "hello")
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return netip.MustParseAddrPort(l.Addr().String())
}

func TestEveryRequestIsAnswered(t *testing.T) {
	r, err := OpenRequests(serve(t, func() {}), 6, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Rate, r.Duration = 1000, 500*time.Millisecond
	a, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if a.Sent != 500 || a.Missing != 0 || a.Latency.TotalCount() != 500 || a.Lateness.TotalCount() != 500 {
		t.Errorf("sent %d, missing %d, %d latencies, %d latenesses; want 500, 0, 500, 500",
			a.Sent, a.Missing, a.Latency.TotalCount(), a.Lateness.TotalCount())
	}
}

// A client that waits for an answer before it asks again would see one slow
// answer. This one sees that everything due meanwhile was late too.
func TestAStallIsSeenByAllThatWasDueMeanwhile(t *testing.T) {
	const stall = 300 * time.Millisecond
	asked := 0
	r, err := OpenRequests(serve(t, func() {
		if asked++; asked == 50 {
			time.Sleep(stall) // the stall is what the test is about
		}
	}), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Rate, r.Duration = 200, time.Second
	a, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// 60 of 200 requests were due during the stall; a third of them waited for
	// two thirds of it and more.
	if late := time.Duration(a.Latency.ValueAtQuantile(92)); late < stall/2 {
		t.Errorf("92nd percentile %v after a stall of %v", late, stall)
	}
}

func TestRequestsThatAreNeverAnsweredAreCounted(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		// The first answer, and then nothing more until the client goes.
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			return
		}
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
		_, _ = bufio.NewReader(c).ReadString('!')
	}()
	r, err := OpenRequests(netip.MustParseAddrPort(l.Addr().String()), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	r.Rate, r.Duration = 100, 100*time.Millisecond
	a, err := r.Run(t.Context())
	r.Close()
	<-ended
	if err != nil || a.Sent != 10 || a.Missing != 10 || a.Latency.TotalCount() != 10 {
		t.Errorf("%v: sent %d, missing %d, %d latencies; want 10 each", err, a.Sent, a.Missing, a.Latency.TotalCount())
	}
}

func TestTheLengthOfAnAnswer(t *testing.T) {
	for text, want := range map[string]int{
		"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhel":          44,
		"HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n":              37,
		"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n":                 0,
		"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 1\r\n\r\nx": 48,
	} {
		got, whole, err := answerLength([]byte(text))
		if err != nil || whole != (want > 0) || whole && got != want {
			t.Errorf("%q: %d, %v, %v, want %d", text, got, whole, err, want)
		}
	}
	for _, text := range []string{
		"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: six\r\n\r\n",
	} {
		if _, _, err := answerLength([]byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestConnectionsSucceed(t *testing.T) {
	o, err := Connects{Server: serve(t, func() {}), Rate: 100, Duration: 500 * time.Millisecond, Timeout: time.Second}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if o.Tried != 50 || o.Succeeded != 50 || o.Share() != 1 || o.Latency.TotalCount() != 50 {
		t.Errorf("tried %d, succeeded %d, share %v, %d latencies", o.Tried, o.Succeeded, o.Share(), o.Latency.TotalCount())
	}
}

func TestConnectionsThatFailSayWhy(t *testing.T) {
	silent, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, c := range map[string]struct {
		server net.Addr
		reason string
	}{
		"nobody answers":  {silent.Addr(), "timeout"},
		"nobody is there": {closed.Addr(), "connection refused"},
	} {
		o, err := Connects{
			Server: netip.MustParseAddrPort(c.server.String()), Rate: 100, Duration: 50 * time.Millisecond, Timeout: 100 * time.Millisecond,
		}.Run(t.Context())
		if err != nil || o.Tried != 5 || o.Succeeded != 0 || o.Share() != 0 || o.Reasons[c.reason] != 5 {
			t.Errorf("%s: %v, %+v, want 5 times %q", name, err, o, c.reason)
		}
	}
}

func TestTheEndOfTheContextEndsARun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	server := serve(t, func() {})
	r, err := OpenRequests(server, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Rate, r.Duration = 1, time.Hour
	if _, err := r.Run(ctx); err == nil {
		t.Error("requests went on")
	}
	if _, err := (Connects{Server: server, Rate: 1, Duration: time.Hour, Timeout: time.Second}).Run(ctx); err == nil {
		t.Error("connections went on")
	}
}
