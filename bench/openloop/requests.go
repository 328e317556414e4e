package openloop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// Requests asks a web server on kept connections. All of its answers must have
// the same length.
type Requests struct {
	Rate     float64 // requests a second, over all connections
	Duration time.Duration

	threads []*asker
}

// Answers is what came of Requests.
type Answers struct {
	Latency  *hdrhistogram.Histogram // ns, from when a request was due to its whole answer
	Lateness *hdrhistogram.Histogram // ns, from when a request was due to when it was sent
	Sent     int
	Missing  int // of these, not answered in time; in Latency with the time they had
}

// answerTimeout is how long the last answers are waited for.
const answerTimeout = 5 * time.Second

// OpenRequests makes the connections, in the calling thread's network
// namespace. Threads share them.
func OpenRequests(server netip.AddrPort, connections, threads int) (_ *Requests, err error) {
	r := &Requests{}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	for range threads {
		r.threads = append(r.threads, &asker{})
	}
	for i := range connections {
		c, err := dial(server)
		if err != nil {
			return nil, fmt.Errorf("connection %d of %d to %s: %w", i+1, connections, server, err)
		}
		t := r.threads[i%threads]
		t.connections = append(t.connections, c)
	}
	return r, nil
}

// Run asks as scheduled and waits for the answers.
func (r *Requests) Run(ctx context.Context) (Answers, error) {
	start := time.Now()
	results := make([]Answers, len(r.threads))
	errs := make([]error, len(r.threads))
	var running sync.WaitGroup
	for i, t := range r.threads {
		// The threads' turns lie evenly between each other's.
		offset := time.Duration(float64(i) / r.Rate * float64(time.Second))
		plan := newSchedule(start.Add(offset), r.Rate/float64(len(r.threads)), r.Duration)
		running.Go(func() { results[i], errs[i] = t.run(ctx, plan) })
	}
	running.Wait()
	sum := Answers{Latency: newHistogram(), Lateness: newHistogram()}
	for _, one := range results {
		if one.Latency == nil {
			continue
		}
		sum.Latency.Merge(one.Latency)
		sum.Lateness.Merge(one.Lateness)
		sum.Sent += one.Sent
		sum.Missing += one.Missing
	}
	return sum, errors.Join(errs...)
}

// Close closes all connections.
func (r *Requests) Close() {
	for _, t := range r.threads {
		for _, c := range t.connections {
			unix.Close(c.fd)
		}
	}
}

// An asker is one thread with its connections.
type asker struct {
	connections []*connection
	answers     Answers
	buffer      [64 << 10]byte
}

func (a *asker) run(ctx context.Context, plan schedule) (Answers, error) {
	defer precisely()()
	a.answers = Answers{Latency: newHistogram(), Lateness: newHistogram()}
	polls := make([]unix.PollFd, len(a.connections))
	for {
		due, more := plan.next()
		now := time.Now()
		switch {
		case ctx.Err() != nil:
			return a.answers, ctx.Err()
		case more && !due.After(now):
			c := a.connections[plan.done%len(a.connections)]
			plan.done++
			if err := a.ask(c, due, now); err != nil {
				return a.answers, err
			}
			continue
		case !more && a.outstanding() == 0:
			return a.answers, nil
		case !more && now.Sub(due) > answerTimeout:
			a.giveUp(now)
			return a.answers, nil
		case !more:
			due = due.Add(answerTimeout)
		}
		if err := a.receive(polls, due.Sub(now)); err != nil {
			return a.answers, err
		}
	}
}

func (a *asker) ask(c *connection, due, now time.Time) error {
	record(a.answers.Lateness, now.Sub(due))
	a.answers.Sent++
	c.due = append(c.due, due)
	c.unsent = append(c.unsent, request...)
	return c.send()
}

// receive waits for what comes first, an answer or the next turn.
func (a *asker) receive(polls []unix.PollFd, d time.Duration) error {
	for i, c := range a.connections {
		polls[i] = unix.PollFd{Fd: int32(c.fd), Events: unix.POLLIN}
		if len(c.unsent) > 0 {
			polls[i].Events |= unix.POLLOUT
		}
	}
	if err := wait(polls, d); err != nil {
		return err
	}
	for i, p := range polls {
		c := a.connections[i]
		if p.Revents&unix.POLLOUT != 0 {
			if err := c.send(); err != nil {
				return err
			}
		}
		if p.Revents&^unix.POLLOUT == 0 {
			continue
		}
		answered, err := c.receive(a.buffer[:])
		if err != nil {
			return err
		}
		now := time.Now()
		for _, due := range c.due[:answered] {
			record(a.answers.Latency, now.Sub(due))
		}
		c.due = append(c.due[:0], c.due[answered:]...)
	}
	return nil
}

func (a *asker) outstanding() (n int) {
	for _, c := range a.connections {
		n += len(c.due)
	}
	return n
}

// giveUp counts what is still open as having taken until now, which is less
// than it would have.
func (a *asker) giveUp(now time.Time) {
	for _, c := range a.connections {
		for _, due := range c.due {
			record(a.answers.Latency, now.Sub(due))
		}
		a.answers.Missing += len(c.due)
		c.due = nil
	}
}

// A connection asks one request after the other, without waiting for answers,
// which come in the same order (RFC 9112 section 9.3.2).
type connection struct {
	fd     int
	answer int         // length of each answer, bytes
	read   int         // bytes of the present one that have come
	due    []time.Time // of the requests not answered, oldest first
	unsent []byte
}

// dial connects and learns how long an answer is from a first one.
func dial(server netip.AddrPort) (*connection, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	c := &connection{fd: fd}
	if err := c.begin(server); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return c, nil
}

func (c *connection) begin(server netip.AddrPort) error {
	limit := unix.NsecToTimeval(answerTimeout.Nanoseconds())
	for _, option := range []int{unix.SO_SNDTIMEO, unix.SO_RCVTIMEO} {
		if err := unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, option, &limit); err != nil {
			return err
		}
	}
	if err := unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	if err := unix.Connect(c.fd, sockaddr(server)); err != nil {
		return err
	}
	if _, err := unix.Write(c.fd, []byte(request)); err != nil {
		return err
	}
	var text []byte
	for buffer := make([]byte, 64<<10); ; {
		n, err := unix.Read(c.fd, buffer)
		if err != nil {
			return fmt.Errorf("first answer: %w", err)
		}
		if n == 0 {
			return errors.New("first answer: the connection has ended")
		}
		text = append(text, buffer[:n]...)
		length, whole, err := answerLength(text)
		if err != nil {
			return err
		}
		if whole && length == len(text) {
			c.answer = length
			return unix.SetNonblock(c.fd, true)
		}
	}
}

// answerLength is how long an HTTP answer is of which text is the beginning;
// false: too little is there to tell.
func answerLength(text []byte) (int, bool, error) {
	head, _, whole := bytes.Cut(text, []byte("\r\n\r\n"))
	if !whole {
		return 0, false, nil
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		line, _, _ := bytes.Cut(head, []byte("\r\n"))
		return 0, false, fmt.Errorf("the server says %q", line)
	}
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if !bytes.EqualFold(name, []byte("Content-Length")) {
			continue
		}
		n, err := strconv.Atoi(string(bytes.TrimSpace(value)))
		if err != nil {
			return 0, false, fmt.Errorf("length of the answer: %w", err)
		}
		return len(head) + len("\r\n\r\n") + n, true, nil
	}
	return 0, false, errors.New("the answer does not tell its length")
}

func (c *connection) send() error {
	n, err := unix.Write(c.fd, c.unsent)
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("send a request: %w", err)
	}
	c.unsent = append(c.unsent[:0], c.unsent[n:]...)
	return nil
}

// receive reads what is there and returns how many answers it completes.
func (c *connection) receive(buffer []byte) (answers int, err error) {
	n, err := unix.Read(c.fd, buffer)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("receive an answer: %w", err)
	case n == 0:
		return 0, errors.New("receive an answer: the server has closed the connection")
	}
	c.read += n
	answers = c.read / c.answer
	c.read %= c.answer
	if answers > len(c.due) {
		return 0, errors.New("receive an answer: more has come than was asked for")
	}
	return answers, nil
}
