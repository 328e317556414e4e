package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"text/tabwriter"
)

// writeJSON writes a value as one indented document.
func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// A table aligns columns that are separated by tabs.
type table struct {
	*tabwriter.Writer
	out *bufio.Writer
}

// newTable makes a table that Flush writes to w. A tabwriter.Writer writes each
// cell by itself: 10,000 services took seconds without the buffer.
func newTable(w io.Writer) table {
	out := bufio.NewWriter(w)
	return table{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0), out}
}

// Flush writes the table.
func (t table) Flush() error { return errors.Join(t.Writer.Flush(), t.out.Flush()) }
