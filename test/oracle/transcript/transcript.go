// Package transcript reads and writes files of command lines with what they
// answered, so that what the real IPVS said can be held against what the
// director says.
//
// A file has lines of these kinds:
//
//	# a remark
//	@ an event between commands, such as a packet
//	> a command line; a word may stand in single quotes
//	< a line of its stdin
//	| a line of its stdout
//	! a line of its stderr
//	= its exit code
package transcript

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// A Step is a command or an event, with the remarks before it.
type Step struct {
	Line    int      // in the file
	Remarks []string // without their sign
	Event   []string // words; nil for a command
	Command []string // words; nil for an event
	Stdin   string
	Stdout  string
	Stderr  string
	Exit    int
}

// Name is the command or event as it is written.
func (s Step) Name() string {
	if s.Event != nil {
		return join(s.Event)
	}
	return join(s.Command)
}

// Parse reads a file.
func Parse(text []byte) ([]Step, error) {
	var steps []Step
	var remarks []string
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if line == "" {
			continue
		}
		sign, rest := line[0], strings.TrimPrefix(line[1:], " ")
		switch sign {
		case '#':
			remarks = append(remarks, rest)
			continue
		case '@':
			steps = append(steps, Step{Line: i + 1, Remarks: remarks, Event: split(rest)})
			remarks = nil
			continue
		case '>':
			steps = append(steps, Step{Line: i + 1, Remarks: remarks, Command: split(rest)})
			remarks = nil
			continue
		}
		if len(steps) == 0 || steps[len(steps)-1].Command == nil {
			return nil, fmt.Errorf("line %d: %q stands before any command", i+1, line)
		}
		if err := steps[len(steps)-1].add(sign, rest); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return steps, nil
}

// add takes in one line about a command.
func (s *Step) add(sign byte, rest string) (err error) {
	switch sign {
	case '<':
		s.Stdin += rest + "\n"
	case '|':
		s.Stdout += rest + "\n"
	case '!':
		s.Stderr += rest + "\n"
	case '=':
		s.Exit, err = strconv.Atoi(rest)
	default:
		err = fmt.Errorf("no line begins with %q", sign)
	}
	return err
}

// Format writes steps as Parse reads them. All output is taken to end with a
// newline.
func Format(steps []Step) []byte {
	var b bytes.Buffer
	for i, s := range steps {
		if i > 0 {
			b.WriteByte('\n')
		}
		for _, remark := range s.Remarks {
			fmt.Fprintf(&b, "# %s\n", remark)
		}
		if s.Event != nil {
			fmt.Fprintf(&b, "@ %s\n", join(s.Event))
			continue
		}
		fmt.Fprintf(&b, "> %s\n", join(s.Command))
		for _, part := range []struct{ sign, text string }{{"<", s.Stdin}, {"|", s.Stdout}, {"!", s.Stderr}} {
			for line := range strings.Lines(part.text) {
				fmt.Fprintf(&b, "%s %s\n", part.sign, strings.TrimSuffix(line, "\n"))
			}
		}
		fmt.Fprintf(&b, "= %d\n", s.Exit)
	}
	return b.Bytes()
}

// split takes words apart at spaces that do not stand between single quotes.
func split(line string) []string {
	var words []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

func join(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = w
		if w == "" || strings.Contains(w, " ") {
			quoted[i] = "'" + w + "'"
		}
	}
	return strings.Join(quoted, " ")
}
