package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"lvsnat/dataplane"
	"lvsnat/scheduler"
)

const (
	// requestTimeout bounds everything but a listing of connections. A reload
	// of 10,000 services takes well under a second.
	requestTimeout = 10 * time.Second

	// stallTimeout is how long a client that reads a listing may stand still
	// before the listing is given up.
	stallTimeout = 10 * time.Second

	// maxListings is how many listings of connections run at once. Each takes
	// a little of the workers' time; further ones wait.
	maxListings = 2

	// maxBody bounds what a request may carry, bytes. A state of 10,000 services
	// with 10 realservers each takes about 15 MB.
	maxBody = 64 << 20

	maxHeader = 16 << 10
)

// A Director is what the server asks. All methods may be called concurrently;
// each returns early with an error when ctx ends.
type Director interface {
	Status(ctx context.Context) (Status, error)
	Services(ctx context.Context) (Services, error)

	// Connections calls each for every connection until it returns false.
	Connections(ctx context.Context, each func(dataplane.Connection) bool) error

	// Reload reads the configuration file again and applies what differs. On
	// an error nothing has changed.
	Reload(ctx context.Context) (Reloaded, error)

	// Difference says what Reload would do, and does nothing.
	Difference(ctx context.Context) (Reloaded, error)

	// Config is the configuration in force, with what was changed at run time.
	Config(ctx context.Context) (Saved, error)

	// State is what can be changed at run time.
	State(ctx context.Context) (State, error)

	// Replace makes a state the one in force and returns its new revision. It
	// returns ErrChanged when the one in force is not the one that s was made
	// of; on any error nothing has changed.
	Replace(ctx context.Context, s State) (revision uint64, err error)

	// Zero makes the shown counters of services begin anew, of all when none
	// is named.
	Zero(ctx context.Context, services []scheduler.Key) error
}

// A Server answers requests on the control socket.
type Server struct {
	director Director
	listings chan struct{}
	http     http.Server
}

// NewServer makes a server for that director; log takes what goes wrong
// without anybody to be told.
func NewServer(director Director, log *slog.Logger) *Server {
	s := &Server{director: director, listings: make(chan struct{}, maxListings)}
	mux := http.NewServeMux()
	mux.HandleFunc("/", unknown)
	mux.HandleFunc("/v1/status", only(http.MethodGet, answer(director.Status)))
	mux.HandleFunc("/v1/services", only(http.MethodGet, answer(director.Services)))
	mux.HandleFunc("/v1/connections", only(http.MethodGet, s.connections))
	mux.HandleFunc("/v1/reload", only(http.MethodPost, answer(director.Reload)))
	mux.HandleFunc("/v1/difference", only(http.MethodGet, answer(director.Difference)))
	mux.HandleFunc("/v1/config", only(http.MethodGet, answer(director.Config)))
	mux.HandleFunc("/v1/state", only(http.MethodGet, answer(s.state)))
	mux.HandleFunc("/v1/replace", only(http.MethodPost, change(s.replace)))
	mux.HandleFunc("/v1/zero", only(http.MethodPost, change(s.zero)))
	s.http = http.Server{
		Handler:           mux,
		ReadHeaderTimeout: requestTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      2 * requestTimeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s
}

// Serve answers until Shutdown; its listener is then closed.
func (s *Server) Serve(listener net.Listener) error {
	if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

// Shutdown stops taking requests and waits for those under way, until ctx
// ends; what is left then is cut off.
func (s *Server) Shutdown(ctx context.Context) {
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
}

// unknown answers for all paths that are not known.
func unknown(w http.ResponseWriter, r *http.Request) {
	fail(w, http.StatusNotFound, fmt.Errorf("there is no %s in version %d of the control socket's language", r.URL.Path, Version))
}

// only refuses all methods but one. Method patterns of http.ServeMux would
// answer with plain text.
func only(method string, handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method {
			w.Header().Set("Allow", method)
			fail(w, http.StatusMethodNotAllowed, fmt.Errorf("%s cannot be asked with %s, only with %s", r.URL.Path, r.Method, method))
			return
		}
		handle(w, r)
	}
}

// answer makes a handler of a question whose whole answer is one value.
func answer[T any](ask func(context.Context) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := discardBody(w, r); err != nil {
			fail(w, http.StatusBadRequest, err)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		value, err := ask(ctx)
		if err != nil {
			fail(w, statusOf(err), err)
			return
		}
		reply(w, http.StatusOK, value)
	}
}

// discardBody refuses a body: no question has one, and whoever sends one
// expects something of it.
func discardBody(w http.ResponseWriter, r *http.Request) error {
	n, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	if n > 0 {
		return fmt.Errorf("%s takes no body", r.URL.Path)
	}
	return nil
}

// statusOf tells a question that took too long from one that was refused.
func statusOf(err error) int {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	case errors.Is(err, ErrChanged):
		return http.StatusConflict
	case errors.Is(err, dataplane.ErrStopped), errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable
	}
	return http.StatusUnprocessableEntity
}

func fail(w http.ResponseWriter, status int, err error) {
	reply(w, status, Failure{Version: Version, Error: err.Error()})
}

func reply(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	// The only error left is a client that has gone.
	_ = encoder.Encode(value)
}
