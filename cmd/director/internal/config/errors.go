package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// maxProblems bounds a report: a wrong indentation can make every line that
// follows a problem of its own.
const maxProblems = 50

// An Error is one problem of a configuration file, with the place of the text
// that causes it.
type Error struct {
	File    string
	Line    int    // from 1
	Column  int    // from 1, in characters
	Problem string // what is wrong
	Remedy  string // what would be right
}

// Error gives file:line:column: what is wrong; what would be right.
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s; %s", e.File, e.Line, e.Column, e.Problem, e.Remedy)
}

// err joins the problems in the order of the text, or returns nil. Text that is
// used several times by an alias counts once.
func (d *decoder) err() error {
	slices.SortStableFunc(d.problems, func(a, b *Error) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column)
	})
	problems := slices.CompactFunc(d.problems, func(a, b *Error) bool { return *a == *b })
	shown := problems[:min(len(problems), maxProblems)]
	var list []error
	for _, p := range shown {
		list = append(list, p)
	}
	if more := len(problems) - len(shown); more > 0 {
		list = append(list, fmt.Errorf("%s: and %d more problems after these", d.file, more))
	}
	return errors.Join(list...)
}
