package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"lvsnat/bench/compare"
	"lvsnat/bench/gobench"
	"lvsnat/bench/plots"
	"lvsnat/bench/report"
	"lvsnat/bench/result"
)

// Files of an output directory, beside the plots.
const (
	samplesFile = "samples.json"
	tablesFile  = "report.md"
	gobenchFile = "results.txt"
)

// runBenchmarks adds those in memory to r. One that fails does not keep the
// others from running.
func runBenchmarks(ctx context.Context, r *result.Report, progress io.Writer) error {
	var errs []error
	for _, run := range gobench.All {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		fmt.Fprintf(progress, "%3.0fs  benchmarks %s of %s\n", time.Since(r.Start).Seconds(), run.Pattern, run.Package)
		all, err := run.Do(ctx)
		r.Benchmarks = append(r.Benchmarks, all...)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// writeOutput fills an output directory.
func writeOutput(directory string, r *result.Report) error {
	if err := r.Write(filepath.Join(directory, samplesFile)); err != nil {
		return err
	}
	return writeTables(directory, r)
}

// writeTables writes what follows from the samples.
func writeTables(directory string, r *result.Report) error {
	var tables, lines bytes.Buffer
	report.Markdown(&tables, r)
	gobench.Write(&lines, r)
	if err := result.WriteFile(filepath.Join(directory, tablesFile), tables.Bytes()); err != nil {
		return err
	}
	if err := result.WriteFile(filepath.Join(directory, gobenchFile), lines.Bytes()); err != nil {
		return err
	}
	_, err := plots.Write(directory, r)
	return err
}

// runReport makes tables and plots of an output directory anew, and puts the
// tables into a file.
func runReport(args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("bench report", flag.ContinueOnError)
	f.SetOutput(stderr)
	update := f.String("update", "", "`file` in which the tables are to stand between the lines\n"+report.Begin+"\n"+report.End)
	if err := f.Parse(args); err != nil {
		return wrongUse(err, stderr)
	}
	if f.NArg() != 1 {
		return wrongUse(errors.New("usage: bench report [-update FILE] DIRECTORY"), stderr)
	}
	return exitCode(reportAgain(f.Arg(0), *update, stdout), stderr)
}

func reportAgain(directory, update string, stdout io.Writer) error {
	r, err := result.Read(filepath.Join(directory, samplesFile))
	if err != nil {
		return err
	}
	if err := writeTables(directory, r); err != nil {
		return err
	}
	if update == "" {
		report.Markdown(stdout, r)
		return nil
	}
	text, err := os.ReadFile(update)
	if err != nil {
		return fmt.Errorf("update the tables: %w", err)
	}
	text, err = report.Update(text, r)
	if err != nil {
		return fmt.Errorf("update the tables in %s: %w", update, err)
	}
	return result.WriteFile(update, text)
}

// runCompare says what has changed between two output directories, or files of
// samples.
func runCompare(args []string, stdout, stderr io.Writer) int {
	if len(args) != 2 {
		return wrongUse(errors.New("usage: bench compare OLD NEW"), stderr)
	}
	var reports [2]*result.Report
	for i, path := range args {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			path = filepath.Join(path, samplesFile)
		}
		r, err := result.Read(path)
		if err != nil {
			return exitCode(err, stderr)
		}
		reports[i] = r
	}
	writeChanges(stdout, reports[0], reports[1])
	return 0
}

func writeChanges(w io.Writer, old, new *result.Report) {
	for _, d := range compare.Differences(old, new) {
		fmt.Fprintf(w, "the two differ in %s\n", d)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "old\tnew\tnew / old\t95 %\tp\t\t  what\t")
	// The same two reports are to give the same answer each time.
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range compare.Reports(old, new, random) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%.2f - %.2f\t%.3f\t%s\t  %s\t\n",
			result.Number(c.Old), result.Number(c.New), result.Ratio(c.Quotient()), c.Low, c.High, c.P, c.Word, c.What)
	}
	t.Flush()
}
