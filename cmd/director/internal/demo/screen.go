package demo

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A screen writes text for people. After an error it writes nothing more.
type screen struct {
	w      io.Writer
	colour bool
	err    error
}

func newScreen(w io.Writer, plain bool) *screen {
	return &screen{w: w, colour: !plain && isTerminal(w) && os.Getenv("TERM") != "dumb"}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

func (s *screen) line(format string, args ...any) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.w, format+"\n", args...)
	}
}

func (s *screen) section(title string) {
	s.line("")
	if s.colour {
		s.line("\x1b[1m%s\x1b[0m", title)
	} else {
		s.line("%s", title)
	}
	s.line("")
}

func (s *screen) indented(text string) {
	for line := range strings.Lines(text) {
		s.line("  %s", strings.TrimRight(line, "\n"))
	}
}

// name is a realserver's name in a colour of its own: real1, real2 and so on
// go through six of the terminal's.
func (s *screen) name(realserver string) string {
	if !s.colour || realserver == "" {
		return realserver
	}
	last := realserver[len(realserver)-1]
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", 31+int(last)%6, realserver)
}
