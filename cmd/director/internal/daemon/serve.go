package daemon

import (
	"context"
	"net"
	"time"
)

// patience is how long a stop waits for requests under way.
const patience = 3 * time.Second

// A server is the control socket's or the metrics'.
type server interface {
	Serve(net.Listener) error
	Shutdown(context.Context)
}

// serve runs a server until it is undone.
func (d *director) serve(s server, listener net.Listener) {
	d.launch(func(context.Context) error { return s.Serve(listener) })
	d.later(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.Shutdown(ctx)
		return nil
	})
}
