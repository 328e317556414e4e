package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Command is a program to run in a host.
type Command struct {
	Path  string // looked up in PATH
	Args  []string
	Env   []string // added to the process's own environment
	Dir   string
	Stdin io.Reader
	Attr  *syscall.SysProcAttr // user, capabilities; nil: as the process itself
}

// A Process is a program that was started in a host. Its methods may be called
// from any goroutine.
type Process struct {
	host   *Host
	name   string
	cmd    *exec.Cmd
	stdout Output
	stderr Output
	done   chan struct{}
	err    error // of the program; valid once done is closed
}

// Start starts a program and returns while it runs. It is killed when the host
// is closed and when this process ends, in whatever way.
func (h *Host) Start(c Command) (*Process, error) {
	p := &Process{host: h, name: c.Path, cmd: exec.Command(c.Path, c.Args...), done: make(chan struct{})}
	p.cmd.Env = append(p.cmd.Environ(), c.Env...)
	p.cmd.Dir = c.Dir
	p.cmd.Stdin = c.Stdin
	p.cmd.Stdout = &p.stdout
	p.cmd.Stderr = &p.stderr
	// A child of the program may hold the pipes open after the program's end.
	p.cmd.WaitDelay = time.Second
	attr := syscall.SysProcAttr{}
	if c.Attr != nil {
		attr = *c.Attr
	}
	attr.Pdeathsig = syscall.SIGKILL
	attr.Setpgid = true // Ctrl-C at a terminal is for this process, which ends the others in order
	p.cmd.SysProcAttr = &attr
	if err := h.thread.do(p.cmd.Start); err != nil {
		return nil, fmt.Errorf("%s: start %s: %w", h.Name, c.Path, err)
	}
	forget := h.OnClose(p.Kill)
	go func() {
		p.wait()
		forget()
	}()
	return p, nil
}

func (p *Process) wait() {
	err := p.cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	p.err = err
	p.stdout.end()
	p.stderr.end()
	close(p.done)
}

// Run runs a program to its end and returns what it wrote to stdout. The error
// holds what it wrote to stderr. When ctx ends first the program is killed.
func (h *Host) Run(ctx context.Context, path string, args ...string) (string, error) {
	p, err := h.Start(Command{Path: path, Args: args})
	if err != nil {
		return "", err
	}
	err = p.Wait(ctx)
	return p.Stdout().String(), err
}

// PID returns the program's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stdout returns what the program has written to stdout so far; it grows.
func (p *Process) Stdout() *Output { return &p.stdout }

// Stderr returns what the program has written to stderr so far; it grows.
func (p *Process) Stderr() *Output { return &p.stderr }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the program's end; when ctx ends first it kills the program.
// An exit code other than 0 is an *exec.ExitError.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("%s: %s: %w", p.host.Name, p, ctx.Err()), p.Kill())
	}
	if p.err != nil {
		return fmt.Errorf("%s: %s: %w: %s", p.host.Name, p, p.err, strings.TrimSpace(p.stderr.String()))
	}
	return nil
}

// Signal sends a signal to the program.
func (p *Process) Signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("%s: %s: signal %v: %w", p.host.Name, p, s, err)
	}
	return nil
}

// Stop asks the program to end (SIGTERM) and waits as Wait does.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.Wait(ctx)
}

// Kill ends the program and its children at once (SIGKILL) and waits for its
// end. It is no error when the program has ended already.
func (p *Process) Kill() error {
	select {
	case <-p.done:
		return nil
	default:
	}
	// The program leads a process group: nginx's workers, for example, would
	// outlive a master that cannot tell them. The only error is that all of
	// them have ended.
	_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	select {
	case <-p.done:
		return nil
	case <-time.After(10 * time.Second):
		return fmt.Errorf("%s: %s is still there after SIGKILL", p.host.Name, p)
	}
}

// String returns the command line.
func (p *Process) String() string {
	return strings.Join(append([]string{p.name}, p.cmd.Args[1:]...), " ")
}

// An Output collects what a program writes. The zero value is empty and ready.
type Output struct {
	mu      sync.Mutex
	text    []byte        // mu
	ended   bool          // mu
	changed chan struct{} // mu; closed at the next change, nil when nobody waits
}

// Write appends b.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, b...)
	o.wakeLocked()
	return len(b), nil
}

func (o *Output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.wakeLocked()
}

func (o *Output) wakeLocked() {
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
}

// String returns all that was written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}

// Lines returns all whole lines written so far, without their newlines.
func (o *Output) Lines() []string {
	text := o.String()
	end := strings.LastIndexByte(text, '\n')
	if end < 0 {
		return nil
	}
	return strings.Split(text[:end], "\n")
}

// WaitLine waits until a whole line was written for which match is true, and
// returns it. It fails when the program ends without one, or with ctx.
func (o *Output) WaitLine(ctx context.Context, match func(string) bool) (string, error) {
	for {
		o.mu.Lock()
		if o.changed == nil {
			o.changed = make(chan struct{})
		}
		changed, ended := o.changed, o.ended
		o.mu.Unlock()
		for _, line := range o.Lines() {
			if match(line) {
				return line, nil
			}
		}
		if ended {
			return "", fmt.Errorf("the program ended without the expected line; it wrote:\n%s", o)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", fmt.Errorf("no such line: %w; written so far:\n%s", ctx.Err(), o)
		}
	}
}
