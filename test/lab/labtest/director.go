package labtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"lvsnat/test/lab"
)

// A Director is a director that a test runs.
type Director struct {
	*lab.Director
	tb      testing.TB
	stopped bool
	allowed []*regexp.Regexp
}

// Start is how a test starts a director.
type Start struct {
	Config lab.DirectorConfig
	Text   string   // of the configuration file, instead of Config
	Race   bool     // use a program built with the race detector
	Wrap   []string // program and arguments that run the director
	Dir    string   // empty: a directory of the test's own
	Env    []string // added to the environment
}

// StartDirector starts a director in the topology and waits until it forwards
// packets. When the test ends it is asked to stop; it must then end with exit
// code 0, and must not have logged a warning or an error that was not
// allowed. Its log is shown when the test fails.
func StartDirector(tb testing.TB, t *lab.Topology, s Start) *Director {
	tb.Helper()
	d, err := TryDirector(tb, t, s)
	Must(tb, err)
	return d
}

// TryDirector is StartDirector for a director that may refuse to start.
func TryDirector(tb testing.TB, t *lab.Topology, s Start) (*Director, error) {
	tb.Helper()
	dir := s.Dir
	if dir == "" {
		dir = tb.TempDir()
	}
	text := s.Text
	if text == "" {
		text = s.Config.YAML()
	}
	binary, control := Binary(tb, s.Race), Binary(tb, false) // takes time that must not count below
	started, err := t.Director.StartDirector(Context(tb), lab.DirectorStart{
		Binary: binary, Dir: dir, Config: text, Wrap: s.Wrap, Env: s.Env,
	})
	if err != nil {
		return nil, err
	}
	started.Binary = control // what the race detector watches is the running director
	d := &Director{Director: started, tb: tb}
	tb.Cleanup(d.finish)
	return d, nil
}

// Allow says that log lines of level WARN and ERROR that match are expected.
func (d *Director) Allow(pattern string) {
	d.allowed = append(d.allowed, regexp.MustCompile(pattern))
}

// Apply reloads the director with a configuration.
func (d *Director) Apply(c lab.DirectorConfig) {
	d.tb.Helper()
	Must(d.tb, d.Reload(Context(d.tb), c.YAML()))
}

// Ask runs a subcommand of the director and returns what it wrote to stdout.
func (d *Director) Ask(args ...string) string {
	d.tb.Helper()
	out, err := d.Control(Context(d.tb), args...)
	Must(d.tb, err)
	return out
}

// StopCleanly asks the director to stop and waits for exit code 0.
func (d *Director) StopCleanly() {
	d.tb.Helper()
	d.stopped = true
	Must(d.tb, d.Stop(Context(d.tb)))
}

// Crash kills the director as a crash would.
func (d *Director) Crash() {
	d.tb.Helper()
	d.stopped = true
	Must(d.tb, d.Process.Kill())
}

func (d *Director) finish() {
	if !d.stopped {
		ctx, cancel := contextAfterTest()
		defer cancel()
		select {
		case <-d.Done():
			d.tb.Errorf("the director ended by itself: %v", d.Wait(ctx))
		default:
			if err := d.Stop(ctx); err != nil {
				d.tb.Errorf("stop the director: %v", err)
			}
		}
	}
	for _, line := range d.Stderr().Lines() {
		if levelAlarming(line) && !d.isAllowed(line) {
			d.tb.Errorf("the director logged: %s", line)
		}
	}
	if d.tb.Failed() {
		d.tb.Logf("the director's log:\n%s", d.Stderr())
	}
}

func levelAlarming(line string) bool {
	return strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") ||
		strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") ||
		strings.Contains(line, "WARNING: DATA RACE")
}

func (d *Director) isAllowed(line string) bool {
	for _, re := range d.allowed {
		if re.MatchString(line) {
			return true
		}
	}
	return false
}

// build is one way of building the director's program, done at most once.
type build struct {
	once sync.Once
	path string
	err  error
}

var (
	builds   [2]build // without and with the race detector
	buildDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "lvsnat-build-") })
)

// Binary returns the path of the director's program, built from this tree at
// the first call. The test binary needs Main for it to be removed.
func Binary(tb testing.TB, race bool) string {
	tb.Helper()
	b, flags := &builds[0], []string{}
	if race {
		b, flags = &builds[1], []string{"-race"}
	}
	b.once.Do(func() { b.path, b.err = buildDirector(flags) })
	Must(tb, b.err)
	return b.path
}

func buildDirector(flags []string) (string, error) {
	dir, err := buildDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "director"+strings.Join(flags, ""))
	// A director that runs as another user must be able to read its program.
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	args := append(append([]string{"build"}, flags...), "-o", path, "lvsnat/cmd/director")
	cmd := exec.Command("go", args...)
	// As it is shipped; only the race detector needs cgo.
	cgo := "CGO_ENABLED=" + strconv.Itoa(len(flags))
	cmd.Env = append(cmd.Environ(), cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the director: %w\n%s", err, out)
	}
	return path, nil
}

// Main runs a test binary's tests and removes what Binary has built. It is
// what TestMain calls: os.Exit(labtest.Main(m)).
func Main(m *testing.M) int {
	code := m.Run()
	if dir, err := buildDir(); err == nil {
		os.RemoveAll(dir)
	}
	return code
}

// ExitCode returns the exit code that err, from running a program, tells of.
func ExitCode(tb testing.TB, err error) int {
	tb.Helper()
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		tb.Fatalf("not the end of a program: %v", err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		tb.Fatalf("the program was ended by signal %v", status.Signal())
	}
	return exit.ExitCode()
}
