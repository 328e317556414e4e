package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"lvsnat/scheduler"
)

const (
	// maxAnswer bounds an answer that is read whole, bytes. 10,000 services
	// with 10 realservers each take about 30 MB.
	maxAnswer = 256 << 20

	// answerTimeout is a little longer than the server's, so that the server's
	// reason arrives.
	answerTimeout = requestTimeout + 5*time.Second
)

// A Client asks the director that runs with one state directory. It may be
// used concurrently.
type Client struct {
	stateDir string
	http     http.Client
}

// NewClient makes a client; nothing is dialled before the first question.
func NewClient(stateDir string) *Client {
	return &Client{
		stateDir: stateDir,
		http: http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, stateDir) },
		}},
	}
}

// dial connects to the director of a state directory.
func dial(ctx context.Context, stateDir string) (net.Conn, error) {
	path, dir, err := socketPath(stateDir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var dialer net.Dialer
	return dialer.DialContext(ctx, "unix", path)
}

// Status asks how the director is.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return ask[Status](ctx, c, http.MethodGet, "status", nil)
}

// Services asks for the services in force.
func (c *Client) Services(ctx context.Context) (Services, error) {
	return ask[Services](ctx, c, http.MethodGet, "services", nil)
}

// Reload makes the director read its configuration file again.
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	return ask[Reloaded](ctx, c, http.MethodPost, "reload", nil)
}

// Difference asks what a reload would change.
func (c *Client) Difference(ctx context.Context) (Reloaded, error) {
	return ask[Reloaded](ctx, c, http.MethodGet, "difference", nil)
}

// Config asks for the configuration in force, with what was changed at run
// time.
func (c *Client) Config(ctx context.Context) (Saved, error) {
	return ask[Saved](ctx, c, http.MethodGet, "config", nil)
}

// State asks for what can be changed at run time.
func (c *Client) State(ctx context.Context) (State, error) {
	w, err := ask[Wanted](ctx, c, http.MethodGet, "state", nil)
	if err != nil {
		return State{}, err
	}
	return w.state()
}

// Replace makes s the state in force. It returns ErrChanged when somebody else
// has changed the state that s was made of; on any error nothing has changed.
func (c *Client) Replace(ctx context.Context, s State) error {
	_, err := ask[Replaced](ctx, c, http.MethodPost, "replace", s.wanted())
	return err
}

// Zero makes the shown counters of services begin anew, of all when none is
// named.
func (c *Client) Zero(ctx context.Context, services ...scheduler.Key) error {
	z := Zero{Services: []ServiceName{}}
	for _, key := range services {
		z.Services = append(z.Services, nameOf(key))
	}
	_, err := ask[Done](ctx, c, http.MethodPost, "zero", z)
	return err
}

// Connections calls each for every connection that passes the filter, until it
// returns an error. Complete is false when the filter's limit cut the listing.
func (c *Client) Connections(ctx context.Context, f Filter, each func(Connection) error) (complete bool, err error) {
	body, err := c.open(ctx, http.MethodGet, "connections?"+f.query().Encode(), nil)
	if err != nil {
		return false, err
	}
	defer body.Close()
	return decodeConnections(body, each)
}

// CopyConnections writes the listing to w as the director sends it, a
// [Connections] in JSON with one connection a line.
func (c *Client) CopyConnections(ctx context.Context, f Filter, w io.Writer) error {
	body, err := c.open(ctx, http.MethodGet, "connections?"+f.query().Encode(), nil)
	if err != nil {
		return err
	}
	defer body.Close()
	out := &output{Writer: w}
	if _, err := io.Copy(out, body); err != nil && out.err == nil {
		return broken(err)
	}
	return out.err
}

// An output remembers why it could not be written to.
type output struct {
	io.Writer
	err error
}

// Write passes bytes on.
func (o *output) Write(b []byte) (int, error) {
	n, err := o.Writer.Write(b)
	o.err = err
	return n, err
}

// decodeConnections reads a Connections piece by piece.
func decodeConnections(r io.Reader, each func(Connection) error) (complete bool, err error) {
	decoder := json.NewDecoder(r)
	if err := expect(decoder, json.Delim('{')); err != nil {
		return false, err
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return false, broken(err)
		}
		switch key {
		case "connections":
			if err := decodeEach(decoder, each); err != nil {
				return false, err
			}
		case "complete":
			if err := decoder.Decode(&complete); err != nil {
				return false, broken(err)
			}
		default:
			var other json.RawMessage
			if err := decoder.Decode(&other); err != nil {
				return false, broken(err)
			}
		}
	}
	return complete, expect(decoder, json.Delim('}'))
}

func decodeEach(decoder *json.Decoder, each func(Connection) error) error {
	if err := expect(decoder, json.Delim('[')); err != nil {
		return err
	}
	for decoder.More() {
		var connection Connection
		if err := decoder.Decode(&connection); err != nil {
			return broken(err)
		}
		if err := each(connection); err != nil {
			return err
		}
	}
	return expect(decoder, json.Delim(']'))
}

func expect(decoder *json.Decoder, want json.Delim) error {
	token, err := decoder.Token()
	if err != nil {
		return broken(err)
	}
	if token != want {
		return broken(fmt.Errorf("%v where %v belongs", token, want))
	}
	return nil
}

// broken wraps what is wrong with an answer's JSON.
func broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the director's answer broke off: it stopped, or its log says more")
	}
	return fmt.Errorf("the director's answer is not understood (is it of another version?): %w", err)
}

// ask asks a question whose whole answer is one value. It carries the value
// with, unless that is nil.
func ask[T any](ctx context.Context, c *Client, method, what string, with any) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	var value T
	body, err := c.open(ctx, method, what, with)
	if err != nil {
		return value, err
	}
	defer body.Close()
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(&value); err != nil {
		return value, broken(err)
	}
	return value, nil
}

// open sends a request and returns the body of a good answer.
func (c *Client) open(ctx context.Context, method, what string, with any) (io.ReadCloser, error) {
	var question io.Reader
	if with != nil {
		text, err := json.Marshal(with)
		if err != nil {
			return nil, err
		}
		question = bytes.NewReader(text)
	}
	// The host is of no meaning on a Unix socket, but a URL must have one.
	target := fmt.Sprintf("http://director/v%d/%s", Version, what)
	request, err := http.NewRequestWithContext(ctx, method, target, question)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.explain(err)
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusConflict {
		return nil, ErrChanged
	}
	return nil, failure(response)
}

// explain says what an operator can do when the socket cannot be reached.
func (c *Client) explain(err error) error {
	// net/http puts method and URL in front, which say nothing here.
	var urlError *url.Error
	if errors.As(err, &urlError) {
		err = urlError.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no director runs with the state directory %s: start one with `director run`, or name its directory with --state-dir or DIRECTOR_STATE_DIR", c.stateDir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("control socket in %s: permission denied: be root or in the group of the socket", c.stateDir)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the director of %s does not answer: its log says more", c.stateDir)
	}
	return fmt.Errorf("ask the director of %s: %w", c.stateDir, err)
}

// failure reads why a request was refused.
func failure(response *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return broken(err)
	}
	var f Failure
	if json.Unmarshal(text, &f) != nil || f.Error == "" {
		return fmt.Errorf("the director answered %s: %s", response.Status, bytes.TrimSpace(text))
	}
	return errors.New(f.Error)
}
