package report

import (
	"bytes"
	"errors"

	"lvsnat/bench/result"
)

// The lines between which Update puts the tables.
const (
	Begin = "<!-- bench report begins here -->"
	End   = "<!-- bench report ends here -->"
)

// Update returns a text of Markdown with the tables of r in place of what it has
// between Begin and End.
func Update(text []byte, r *result.Report) ([]byte, error) {
	before, rest, ok := bytes.Cut(text, []byte(Begin))
	_, after, closed := bytes.Cut(rest, []byte(End))
	if !ok || !closed {
		return nil, errors.New("no place is marked: there must be a line " + Begin + " and below it a line " + End)
	}
	var b bytes.Buffer
	b.Write(before)
	b.WriteString(Begin + "\n\n")
	Markdown(&b, r)
	b.WriteString("\n" + End)
	b.Write(after)
	return b.Bytes(), nil
}
