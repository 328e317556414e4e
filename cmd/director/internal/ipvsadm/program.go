package ipvsadm

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"lvsnat/cmd/director/internal/control"
	"lvsnat/scheduler"
)

// A Director is what commands are carried out on; *control.Client is one.
type Director interface {
	State(ctx context.Context) (control.State, error)

	// Replace makes s the state in force, or returns control.ErrChanged when
	// somebody else has changed it since.
	Replace(ctx context.Context, s control.State) error

	Services(ctx context.Context) (control.Services, error)
	Connections(ctx context.Context, f control.Filter, each func(control.Connection) error) (complete bool, err error)
	Zero(ctx context.Context, services ...scheduler.Key) error
}

// maxAttempts bounds how often a change is made anew because somebody else was
// faster. Of any number of changes at the same moment one gets through, so 100
// scripts at once need at most 100.
const maxAttempts = 1000

// A Program is what ipvsadm is run with.
type Program struct {
	Name     string // what it was called as, for messages
	Stdin    io.Reader
	Stdout   io.Writer
	Stderr   io.Writer
	Names    Names
	Director Director
}

// Run carries out the command line args, without the program's name, and
// returns the exit code.
func (p *Program) Run(ctx context.Context, args []string) (exit int) {
	if len(args) == 0 {
		return p.carryOut(ctx, []*command{{verb: list}}, false)
	}
	c, err := parse(p.Name, args, p.Names)
	if err != nil {
		return p.end(err)
	}
	if c.verb == restore {
		return p.restore(ctx, p.Stdin, c.given[dryRun])
	}
	return p.carryOut(ctx, []*command{c}, false)
}

// end writes why the program ends.
func (p *Program) end(err error) int {
	var text answer
	if errors.As(err, &text) {
		fmt.Fprint(p.Stdout, text)
		return exitDone
	}
	fmt.Fprintln(p.Stderr, err)
	return exitOf(err)
}

func exitOf(err error) int {
	var f failure
	if errors.As(err, &f) {
		return f.exit
	}
	return exitError
}

// carryOut carries out commands as one change. The exit code is that of the
// last command.
func (p *Program) carryOut(ctx context.Context, commands []*command, dry bool) int {
	for range maxAttempts {
		exit, err := p.attempt(ctx, commands, dry)
		if errors.Is(err, control.ErrChanged) {
			continue
		}
		if err != nil {
			return p.end(err)
		}
		return exit
	}
	return p.end(control.ErrChanged)
}

// attempt carries out commands on a copy of the state and puts it in force.
// What the commands write is kept back until that was done.
func (p *Program) attempt(ctx context.Context, commands []*command, dry bool) (exit int, err error) {
	before, err := p.Director.State(ctx)
	if err != nil {
		return 0, failure{fmt.Sprintf("Can't initialize ipvs: %v", err), exitUsage}
	}
	changing := slices.ContainsFunc(commands, (*command).changes)
	var stdout, stderr bytes.Buffer
	out := bufio.NewWriter(p.Stdout)
	if changing {
		out.Reset(&stdout)
	}
	t := newTable(before)
	for _, c := range commands {
		exit = exitDone
		if err := p.do(ctx, c, t, out); err != nil {
			exit = exitOf(err)
			fmt.Fprintln(&stderr, err)
		}
	}
	if err := out.Flush(); err != nil {
		return exitError, err
	}
	if dry {
		stdout.Reset()
		for _, line := range difference(before, t.State) {
			fmt.Fprintln(&stdout, line)
		}
	} else if err := p.apply(ctx, before, t); err != nil {
		return exitError, err
	}
	if _, err := stderr.WriteTo(p.Stderr); err != nil {
		return exitError, err
	}
	_, err = stdout.WriteTo(p.Stdout)
	return exit, err
}

// apply puts a table in force if it differs from what it was made of.
func (p *Program) apply(ctx context.Context, before control.State, t *table) error {
	if len(difference(before, t.State)) > 0 {
		if err := p.Director.Replace(ctx, t.State); err != nil {
			return err
		}
	}
	if t.zeroAll {
		return p.Director.Zero(ctx)
	}
	if len(t.zero) > 0 {
		return p.Director.Zero(ctx, t.zero...)
	}
	return nil
}

// do carries out one command on a table.
func (p *Program) do(ctx context.Context, c *command, t *table, w io.Writer) error {
	f := format{numeric: c.given[numeric], exact: c.given[exact], names: p.Names}
	out := printer{w: w}
	switch {
	case c.verb == save:
		f.writeRules(&out, ordered(t.Services, true))
	case c.verb != list:
		return t.change(c)
	case c.given[connections]:
		if err := f.listConnections(ctx, &out, p.Director, c.given[persistentConn]); err != nil {
			return failure{err.Error(), exitList}
		}
	case c.given[timeout]:
		out.printf("Timeout (tcp tcpfin udp): %d %d %d\n", t.Timeouts.TCP/time.Second, t.Timeouts.TCPFIN/time.Second, t.Timeouts.UDP/time.Second)
	case c.given[daemon]:
		// There is no sync daemon, and ipvsadm writes nothing when none runs.
	default:
		return p.list(ctx, c, t, f, w)
	}
	return out.err
}

// list writes one service or all of them.
func (p *Program) list(ctx context.Context, c *command, t *table, f format, w io.Writer) error {
	services := t.Services
	if c.given[service] {
		i := t.find(c.service)
		if i < 0 {
			return failure{errNoService.text, exitList}
		}
		services = services[i : i+1]
	}
	answer, err := p.Director.Services(ctx)
	if err != nil {
		return failure{err.Error(), exitList}
	}
	l := listing{printer: printer{w: w}, format: f, form: formOf(c), counters: make(map[string]control.Service)}
	for _, s := range answer.Services {
		l.counters[counterName(s.Protocol, s.Address)] = s
	}
	if !c.given[service] {
		l.printf("%s", tableLine)
	}
	l.services(ordered(services, !c.given[noSort]))
	return l.err
}
