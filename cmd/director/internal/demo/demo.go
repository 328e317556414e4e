// Package demo shows a director at work to somebody who has never seen one: it
// builds the HOWTO's network out of network namespaces, starts realservers and
// a director in it, has a client connect again and again, and tells what
// happens. At the end it removes everything.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"lvsnat/test/lab"
)

const (
	startLimit  = 15 * time.Second // for the director to get ready, and to stop
	answerLimit = 5 * time.Second  // for one connection
	tableEvery  = 10               // connections between two listings
)

// Run runs the demonstration and writes what happens to w. It ends after
// Options.Duration, when ctx ends, or at SIGINT, SIGTERM or SIGHUP, which is
// no error, and leaves nothing behind. It needs root.
func Run(ctx context.Context, o Options, w io.Writer) error {
	if err := o.validate(); err != nil {
		return err
	}
	// A closed terminal or pipe must not end the process before it has
	// removed the lab.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	if o.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Duration)
		defer cancel()
	}
	s, err := setUp(ctx, o)
	if err != nil {
		if ctx.Err() != nil {
			return nil // interrupted while it was built; setUp has cleaned up
		}
		return fmt.Errorf("demonstration: %w", err)
	}
	screen := newScreen(w, o.Plain)
	err = s.show(ctx, screen)
	if ctx.Err() != nil {
		err = nil // what was going on when the end came is of no interest
	}
	s.summary(screen)
	screen.section("The end")
	closeErr := s.close()
	if closeErr == nil {
		screen.line("The director has stopped; namespaces, links, programs and files of the demonstration are gone.")
	}
	return errors.Join(err, closeErr)
}

// A stage is what the demonstration plays on.
type stage struct {
	options  Options
	dir      string // configuration file and state
	net      *lab.Topology
	director *lab.Director
}

// setUp builds the lab and starts everything in it, or leaves nothing.
func setUp(ctx context.Context, o Options) (*stage, error) {
	if o.Binary == "" {
		path, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("path of this program: %w", err)
		}
		o.Binary = path
	}
	s := &stage{options: o}
	if err := s.build(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// build makes what the stage consists of, as far as it comes.
func (s *stage) build(ctx context.Context) error {
	l, err := lab.New()
	if err != nil {
		return err
	}
	s.net = &lab.Topology{Lab: l} // so that close finds it
	if s.dir, err = os.MkdirTemp("", "lvsnat-demo-"); err != nil {
		return err
	}
	built, err := l.Build(lab.Options{Realservers: s.options.Realservers})
	if err != nil {
		return err
	}
	s.net = built
	for _, rs := range s.net.Realservers {
		if err := rs.ServeName(":8000"); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	s.director, err = s.net.Director.StartDirector(ctx, lab.DirectorStart{
		Binary: s.options.Binary, Dir: s.dir, Config: s.config(),
	})
	return err
}

// config is the director's configuration. The schedulers that know weights get
// some to follow.
func (s *stage) config() string {
	service := lab.Service{Address: lab.VIP.String() + ":80", Scheduler: s.options.Scheduler}
	for i := range s.net.Realservers {
		weight := 1
		if s.options.Scheduler != "rr" {
			weight = 1 + i%3
		}
		service.Realservers = append(service.Realservers, lab.Realserver{Address: lab.RIP(i).String() + ":8000", Weight: weight})
	}
	return s.net.Config(service).YAML()
}

// close stops the director and removes everything. It copes with a stage that
// is only half set up.
func (s *stage) close() error {
	var errs []error
	if s.director != nil {
		ctx, cancel := context.WithTimeout(context.Background(), startLimit)
		defer cancel()
		errs = append(errs, s.director.Stop(ctx))
	}
	if s.net != nil {
		errs = append(errs, s.net.Close())
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// state is the director's state directory.
func (s *stage) state() string { return filepath.Join(s.dir, "state") }
