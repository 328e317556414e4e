package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

func TestMain(m *testing.M) {
	os.Exit(labtest.Main(m))
}

// options are for a short demonstration with the program as it is shipped.
func options(t *testing.T) Options {
	return Options{Scheduler: "wlc", Realservers: 2, Interval: 20 * time.Millisecond, Binary: labtest.Binary(t, false)}
}

func TestTheDemonstrationShowsTheHOWTOsFourHops(t *testing.T) {
	nothingIsLeft := leavesNothing(t)
	var out watched
	ctx, stop := context.WithTimeout(t.Context(), labtest.Limit)
	defer stop()
	out.until(`director services`, stop)
	if err := Run(ctx, options(t), &out); err != nil {
		t.Fatalf("%v; it wrote:\n%s", err, out.String())
	}
	for _, want := range []string{
		`CIP:port -> VIP:port +192\.168\.1\.254:(\d+) -> 192\.168\.1\.110:80 `,
		`CIP:port -> RIP:port +192\.168\.1\.254:(\d+) -> 10\.1\.1\.[23]:8000 `,
		`RIP:port -> CIP:port +10\.1\.1\.[23]:8000 -> 192\.168\.1\.254:(\d+) `,
		`VIP:port -> CIP:port +192\.168\.1\.110:80 -> 192\.168\.1\.254:(\d+) `,
		`answered by real1`, `answered by real2`, `nsenter --net=/run/netns/lvsnat-\d+-\d+-client `,
		`are gone\.\n$`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("it does not show %s", want)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("it writes colours to what is not a terminal")
	}
	if t.Failed() {
		t.Log(out.String())
	}
	nothingIsLeft(os.Getpid())
}

func TestTheDemonstrationEndsAfterItsDuration(t *testing.T) {
	nothingIsLeft := leavesNothing(t)
	o := options(t)
	o.Duration = time.Second
	if err := Run(t.Context(), o, io.Discard); err != nil {
		t.Error(err)
	}
	nothingIsLeft(os.Getpid())
}

func TestTheDemonstrationEndsWhenNobodyReadsIt(t *testing.T) {
	nothingIsLeft := leavesNothing(t)
	broken := errors.New("nobody reads")
	err := Run(t.Context(), options(t), writer(func([]byte) (int, error) { return 0, broken }))
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	nothingIsLeft(os.Getpid())
}

func TestADirectorThatDoesNotStartIsToldAndCleanedUp(t *testing.T) {
	nothingIsLeft := leavesNothing(t)
	o := options(t)
	o.Binary = "/bin/false"
	if err := Run(t.Context(), o, io.Discard); err == nil || !strings.Contains(err.Error(), "did not get ready") {
		t.Errorf("error %v, want that the director did not get ready", err)
	}
	nothingIsLeft(os.Getpid())
}

func TestWithoutRootTheProgramSaysSo(t *testing.T) {
	cmd := exec.Command(labtest.Binary(t, false), "demo")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if labtest.ExitCode(t, err) != 1 || string(out) != "director: demonstration: the lab makes network namespaces: run as root\n" {
		t.Errorf("%v; it wrote:\n%s", err, out)
	}
}

// The program is interrupted as a terminal does it, and killed; after the
// latter the next demonstration removes what is left.
func TestTheProgramLeavesNothingBehind(t *testing.T) {
	for _, end := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGKILL} {
		t.Run(end.String(), func(t *testing.T) {
			nothingIsLeft := leavesNothing(t)
			pid := endProgram(t, end)
			if end == syscall.SIGKILL {
				labtest.New(t)
				for _, file := range list(t, filepath.Join(os.TempDir(), "*")) {
					labtest.Must(t, os.RemoveAll(file)) // those of a killed process stay
				}
			}
			nothingIsLeft(pid)
		})
	}
}

// endProgram starts `director demo`, ends it by a signal when it is in full
// swing, and returns its process id.
func endProgram(t *testing.T, end syscall.Signal) int {
	t.Helper()
	cmd := exec.Command(labtest.Binary(t, false), "demo")
	out, err := cmd.StdoutPipe()
	labtest.Must(t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	labtest.Must(t, cmd.Start())
	var screen watched
	screen.until("answered by", func() { labtest.Must(t, cmd.Process.Signal(end)) })
	_, err = io.Copy(&screen, out)
	labtest.Must(t, err)
	err = cmd.Wait()
	if end != syscall.SIGKILL && (err != nil || stderr.Len() > 0) {
		t.Errorf("it ended with %v and wrote to stderr: %s", err, stderr.String())
	}
	if !strings.Contains(screen.String(), "answered by") {
		t.Errorf("it did not get into full swing: %s", screen.String())
	}
	return cmd.Process.Pid
}

// leavesNothing gives the test a directory for temporary files and returns a
// function that looks for all that a demonstration of a process may leave.
// Most links and the nft table live in namespaces and go with them; none must
// be in the test's own namespace either.
func leavesNothing(t *testing.T) func(pid int) {
	t.Helper()
	labtest.Binary(t, false) // outlives this test, so not into its directory
	t.Setenv("TMPDIR", t.TempDir())
	linksBefore := list(t, "/sys/class/net/*")
	return func(pid int) {
		t.Helper()
		if left := list(t, fmt.Sprintf("/run/netns/lvsnat-%d-*", pid)); len(left) != 0 {
			t.Errorf("namespaces are left: %v", left)
		}
		if left := list(t, filepath.Join(os.TempDir(), "*")); len(left) != 0 {
			t.Errorf("files are left: %v", left)
		}
		if links := list(t, "/sys/class/net/*"); !slices.Equal(links, linksBefore) {
			t.Errorf("links of the machine: %v, before %v", links, linksBefore)
		}
		labtest.Eventually(t, "no program of the demonstration runs", func() bool { return len(programs(t)) == 0 })
	}
}

func list(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	labtest.Must(t, err)
	return files
}

// programs lists the processes that were started with a demonstration's
// files.
func programs(t *testing.T) (list []string) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	labtest.Must(t, err)
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err == nil && bytes.Contains(line, []byte("lvsnat-demo-")) && bytes.Contains(line, []byte(os.TempDir())) {
			list = append(list, string(bytes.ReplaceAll(line, []byte{0}, []byte(" "))))
		}
	}
	return list
}

// watched collects text and calls a function once it holds a given one.
type watched struct {
	lab.Output
	text string
	then func()
}

func (w *watched) until(text string, then func()) { w.text, w.then = text, then }

func (w *watched) Write(b []byte) (int, error) {
	n, err := w.Output.Write(b)
	if w.then != nil && strings.Contains(w.String(), w.text) {
		w.then()
		w.then = nil
	}
	return n, err
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
