package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lvsnat/dataplane"
	"lvsnat/scheduler"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeDirector answers with fixed values. Its connections are count copies of
// one, with rising client ports.
type fakeDirector struct {
	count   int
	endless bool
	err     error // of all questions; of Connections after count
	ended   atomic.Int32
	walking atomic.Int32
	most    atomic.Int32

	mu     sync.Mutex
	state  State           // guarded by mu
	zeroed []scheduler.Key // guarded by mu
}

func (d *fakeDirector) Status(context.Context) (Status, error) {
	return Status{Version: Version, Workers: 2, Packets: map[string]uint64{"forwarded_request": 7}}, d.err
}

func (d *fakeDirector) Services(context.Context) (Services, error) {
	return ServicesOf([]dataplane.ServiceStats{{Scheduler: "rr"}}, nil), d.err
}

func (d *fakeDirector) Difference(context.Context) (Reloaded, error) {
	return Reloaded{Version: Version, Changes: []string{"service removed"}}, d.err
}

func (d *fakeDirector) Config(context.Context) (Saved, error) {
	return Saved{Version: Version, Text: "vip_nic: eth0\n"}, d.err
}

func (d *fakeDirector) State(context.Context) (State, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state, d.err
}

func (d *fakeDirector) Replace(_ context.Context, s State) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.Revision != d.state.Revision {
		return 0, ErrChanged
	}
	d.state = s
	d.state.Revision++
	return d.state.Revision, d.err
}

func (d *fakeDirector) Zero(_ context.Context, services []scheduler.Key) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.zeroed = services
	return d.err
}

func (d *fakeDirector) Reload(context.Context) (Reloaded, error) {
	return Reloaded{Version: Version, Changes: []string{"service added"}}, d.err
}

func (d *fakeDirector) Connections(_ context.Context, each func(dataplane.Connection) bool) error {
	defer d.ended.Add(1)
	defer d.walking.Add(-1)
	if n := d.walking.Add(1); n > d.most.Load() {
		d.most.Store(n)
	}
	for i := 0; d.endless || i < d.count; i++ {
		c := dataplane.Connection{
			Protocol: 6, State: "ESTABLISHED",
			ClientAddr: 0xc0a801fe, ClientPort: uint16(1024 + i),
			VirtualAddr: 0xc0a8016e, VirtualPort: 80,
			RealAddr: 0x0a010102 + uint32(i%2), RealPort: 8000,
			ExpiresMs: 900_000, Worker: i % 2,
		}
		if !each(c) {
			return nil
		}
	}
	return d.err
}

// serve runs a server over the director until the test ends and returns the
// state directory.
func serve(t *testing.T, director Director) string {
	t.Helper()
	dir := t.TempDir()
	listener, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(director, slog.New(slog.DiscardHandler))
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		server.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return dir
}

// raw sends a request of the test's own making.
func raw(t *testing.T, dir, method, path string, body io.Reader) (int, string) {
	t.Helper()
	request, err := http.NewRequest(method, "http://director"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	client := NewClient(dir)
	response, err := client.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestQuestionsAreAnswered(t *testing.T) {
	client := NewClient(serve(t, &fakeDirector{count: 3}))
	status, err := client.Status(t.Context())
	if err != nil || status.Workers != 2 || status.Packets["forwarded_request"] != 7 {
		t.Errorf("status: %+v, %v", status, err)
	}
	services, err := client.Services(t.Context())
	if err != nil || len(services.Services) != 1 || services.Services[0].Scheduler != "rr" {
		t.Errorf("services: %+v, %v", services, err)
	}
	reloaded, err := client.Reload(t.Context())
	if err != nil || len(reloaded.Changes) != 1 {
		t.Errorf("reload: %+v, %v", reloaded, err)
	}
}

func TestWhatCannotBeAskedIsRefusedWithAReason(t *testing.T) {
	dir := serve(t, &fakeDirector{})
	tests := []struct {
		name, method, path, body string
		status                   int
		reason                   string
	}{
		{"an unknown path", "GET", "/v1/nothing", "", 404, "there is no /v1/nothing in version 1 of the control socket's language"},
		{"the root", "GET", "/", "", 404, "there is no / in version 1 of the control socket's language"},
		{"another version", "GET", "/v2/status", "", 404, "there is no /v2/status in version 1 of the control socket's language"},
		{"a method that would change what can only be read", "POST", "/v1/status", "", 405, "/v1/status cannot be asked with POST, only with GET"},
		{"a read of what is a command", "GET", "/v1/reload", "", 405, "/v1/reload cannot be asked with GET, only with POST"},
		{"a body where none belongs", "POST", "/v1/reload", `{"file": "x"}`, 400, "/v1/reload takes no body"},
		{"a broken body where none belongs", "POST", "/v1/reload", `{`, 400, "/v1/reload takes no body"},
		{"a body with a listing", "GET", "/v1/connections", `{}`, 400, "/v1/connections takes no body"},
		{"an unknown filter", "GET", "/v1/connections?vip=192.168.1.110", "", 400, `unknown filter "vip": known are client, virtual, real, state and limit`},
		{"a client that is no address", "GET", "/v1/connections?client=web1", "", 400, `filter client: "web1" is not an end of a connection: write 192.168.1.254, 192.168.1.0/24, 192.168.1.254:40000 or :80`},
		{"a port too large", "GET", "/v1/connections?real=:65536", "", 400, `filter real: ":65536": "65536" is neither a port between 1 and 65535 nor a range of them such as 5000-5999`},
		{"a negative limit", "GET", "/v1/connections?limit=-1", "", 400, `filter limit: "-1" is not a number of connections; 0 means no limit`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status, text := raw(t, dir, test.method, test.path, strings.NewReader(test.body))
			var failure Failure
			if err := json.Unmarshal([]byte(text), &failure); err != nil {
				t.Fatalf("%v in %q", err, text)
			}
			if want := (Failure{Version: Version, Error: test.reason}); status != test.status || failure != want {
				t.Errorf("got %d %+v, want %d %+v", status, failure, test.status, want)
			}
		})
	}
}

func TestABodyBeyondTheBoundIsCutOff(t *testing.T) {
	dir := serve(t, &fakeDirector{})
	connection, err := net.Dial("unix", filepath.Join(dir, SocketName))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	go func() {
		fmt.Fprintf(connection, "POST /v1/reload HTTP/1.1\r\nHost: director\r\nContent-Length: %d\r\n\r\n", int64(1)<<40)
		// Ends with an error as soon as the server has had enough.
		_, _ = io.Copy(connection, zeros{})
	}()
	answer, err := io.ReadAll(connection)
	if len(answer) == 0 {
		t.Fatalf("no answer: %v", err)
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 400 ")) || !bytes.Contains(answer, []byte("request body too large")) {
		t.Errorf("got %q", answer)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestAHeaderBeyondTheBoundIsRefused(t *testing.T) {
	dir := serve(t, &fakeDirector{})
	status, _ := raw(t, dir, "GET", "/v1/connections?state="+strings.Repeat("x", 2*maxHeader), nil)
	if status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d", status)
	}
}

func TestWhatWentWrongReachesTheAsker(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		status int
	}{
		{"a refused reload", errors.New("director.yaml:3:1: unknown key"), 422},
		{"a director that stops", dataplane.ErrStopped, 503},
		{"workers that do not answer", fmt.Errorf("stats: %w", context.DeadlineExceeded), 504},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := serve(t, &fakeDirector{err: test.err})
			for _, question := range []string{"GET /v1/status", "GET /v1/services", "POST /v1/reload", "GET /v1/connections"} {
				method, path, _ := strings.Cut(question, " ")
				if status, _ := raw(t, dir, method, path, nil); status != test.status {
					t.Errorf("%s: status %d, want %d", question, status, test.status)
				}
			}
			if _, err := NewClient(dir).Reload(t.Context()); err == nil || err.Error() != test.err.Error() {
				t.Errorf("client has %v, want %v", err, test.err)
			}
		})
	}
}

func TestAListingHasTheConnectionsThatPassTheFilter(t *testing.T) {
	dir := serve(t, &fakeDirector{count: 100})
	tests := []struct {
		name     string
		filter   Filter
		listed   int
		complete bool
	}{
		{"no filter", Filter{}, 100, true},
		{"a limit above the number", Filter{Limit: 101}, 100, true},
		{"a limit of just the number", Filter{Limit: 100}, 100, true},
		{"a limit below the number", Filter{Limit: 99}, 99, false},
		{"one realserver", Filter{Real: end(t, "10.1.1.2")}, 50, true},
		{"a network of realservers", Filter{Real: end(t, "10.1.1.0/24")}, 100, true},
		{"a range of clients' ports", Filter{Client: end(t, "192.168.1.0/24:1030-1039")}, 10, true},
		{"a client's port", Filter{Client: end(t, ":1024")}, 1, true},
		{"a client", Filter{Client: end(t, "192.168.1.254:1100")}, 1, true},
		{"another client", Filter{Client: end(t, "192.168.1.253")}, 0, true},
		{"the virtual service", Filter{Virtual: end(t, "192.168.1.110:80")}, 100, true},
		{"a state in lower case", Filter{State: "established"}, 100, true},
		{"a state that none has", Filter{State: "SYN_RECV"}, 0, true},
		{"all at once, and the limit counts only what passes", Filter{Real: end(t, "10.1.1.3:8000"), State: "ESTABLISHED", Limit: 50}, 50, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			listed := 0
			complete, err := NewClient(dir).Connections(t.Context(), test.filter, func(c Connection) error {
				listed++
				if c.Virtual != "192.168.1.110:80" || c.Protocol != "tcp" || c.ExpiresMs != 900_000 {
					t.Errorf("listed %+v", c)
				}
				return nil
			})
			if err != nil || listed != test.listed || complete != test.complete {
				t.Errorf("%d listed, complete %v, error %v; want %d, %v", listed, complete, err, test.listed, test.complete)
			}
			var text bytes.Buffer
			if err := NewClient(dir).CopyConnections(t.Context(), test.filter, &text); err != nil {
				t.Fatal(err)
			}
			var document Connections
			if err := json.Unmarshal(text.Bytes(), &document); err != nil {
				t.Fatalf("%v in %s", err, &text)
			}
			if len(document.Connections) != test.listed || document.Complete != test.complete || document.Version != Version {
				t.Errorf("the document has %d connections, complete %v", len(document.Connections), document.Complete)
			}
		})
	}
}

func end(t *testing.T, text string) Endpoint {
	t.Helper()
	e, err := ParseEndpoint(text)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestAListingThatBreaksOffIsNotTakenForTheWhole(t *testing.T) {
	// Enough for some of it to be on its way when the walk fails.
	dir := serve(t, &fakeDirector{count: 5000, err: dataplane.ErrStopped})
	_, err := NewClient(dir).Connections(t.Context(), Filter{}, func(Connection) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "broke off") {
		t.Errorf("decoded listing: %v", err)
	}
	err = NewClient(dir).CopyConnections(t.Context(), Filter{}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "broke off") {
		t.Errorf("copied listing: %v", err)
	}
}

func TestAClientThatGoesMidwayEndsItsListing(t *testing.T) {
	director := &fakeDirector{endless: true}
	dir := serve(t, director)
	enough := errors.New("enough")
	// More than run at once: those that are gone make room for the others.
	for range 2 * maxListings {
		_, err := NewClient(dir).Connections(t.Context(), Filter{}, func(Connection) error { return enough })
		if !errors.Is(err, enough) {
			t.Fatal(err)
		}
	}
	waitFor(t, "the walks to end", func() bool { return director.ended.Load() == 2*maxListings })
}

func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestAHundredAskAtOnce(t *testing.T) {
	director := &fakeDirector{count: 200}
	dir := serve(t, director)
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			client := NewClient(dir)
			var err error
			switch i % 4 {
			case 0:
				_, err = client.Status(t.Context())
			case 1:
				_, err = client.Services(t.Context())
			case 2:
				_, err = client.Reload(t.Context())
			case 3:
				_, err = client.Connections(t.Context(), Filter{}, func(Connection) error { return nil })
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if most := director.most.Load(); most > maxListings {
		t.Errorf("%d listings ran at once, %d may", most, maxListings)
	}
}

func TestTheSocketIsForOwnerAndGroupAndGoesWithTheListener(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, SocketName)
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()

	listener, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != os.ModeSocket|0o660 {
		t.Errorf("mode %v", info.Mode())
	}
	listener.Close()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestAListingThatCannotBeWrittenSaysWhy(t *testing.T) {
	dir := serve(t, &fakeDirector{count: 3})
	if err := NewClient(dir).CopyConnections(t.Context(), Filter{}, full{}); !errors.Is(err, errFull) || err.Error() != errFull.Error() {
		t.Errorf("got %v, want %v", err, errFull)
	}
}

var errFull = errors.New("no space left on device")

// full is a disk that is.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestAStateDirectoryMayHaveALongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("x", 200))
	if _, err := NewClient(dir).Status(t.Context()); err == nil || !strings.Contains(err.Error(), "no director runs with the state directory "+dir) {
		t.Errorf("got %v", err)
	}
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	listener, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(&fakeDirector{}, slog.New(slog.DiscardHandler))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if s, err := NewClient(dir).Status(t.Context()); err != nil || s.Workers != 2 {
		t.Errorf("got %+v, %v", s, err)
	}
	server.Shutdown(t.Context())
	if err := <-served; err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left in the directory: %v, %v", left, err)
	}
}

func TestTheClientSaysWhatToDoWhenNobodyAnswers(t *testing.T) {
	empty := t.TempDir()
	want := fmt.Sprintf("no director runs with the state directory %s: start one with `director run`, or name its directory with --state-dir or DIRECTOR_STATE_DIR", empty)
	if _, err := NewClient(empty).Status(t.Context()); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}

	crashed := t.TempDir()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(crashed, SocketName)})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	listener.Close()
	if _, err := NewClient(crashed).Status(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "no director runs") {
		t.Errorf("got %v", err)
	}
}

func TestAnAnswerThatIsNotUnderstoodIsSaidSo(t *testing.T) {
	tests := []struct{ name, answer, want string }{
		{"no JSON", "hello", "the director's answer is not understood"},
		{"half a document", `{"version": 1, "workers": 2`, "the director's answer broke off"},
		{"a list", `[1]`, "the director's answer is not understood"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			listener, err := Listen(dir)
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				io.WriteString(w, test.answer)
			})}
			done := make(chan struct{})
			go func() { defer close(done); server.Serve(listener) }()
			defer func() { server.Close(); <-done }()
			if _, err := NewClient(dir).Status(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("status: %v", err)
			}
			_, err = NewClient(dir).Connections(t.Context(), Filter{}, func(Connection) error { return nil })
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("connections: %v", err)
			}
		})
	}
}
