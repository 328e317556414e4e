// Command director is a NAT load balancer in userspace, and the tool to talk to
// one that runs.
//
// Each subcommand is a file of this package; what a running director consists
// of is in internal/daemon.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"lvsnat/cmd/director/internal/config"
)

// version is set by the linker: -ldflags "-X main.version=1.2.3".
var version string

// Exit codes.
const (
	exitDone     = 0
	exitFailed   = 1
	exitWrongUse = 2
)

func main() {
	os.Exit(run(wordsOf(os.Args), os.Stdout, os.Stderr))
}

// run runs the subcommand that the arguments name. Every error of the program
// ends here.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRoot(os.Getenv)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	refuseWrongUse(root)
	err := root.Execute()
	var failed failure
	var end ended
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &end):
		return int(end)
	case errors.As(err, &failed):
		report(stderr, failed.error)
		return exitFailed
	}
	// What is not a subcommand's own failure is cobra's, about the arguments.
	fmt.Fprintf(stderr, "director: %v; see director --help\n", err)
	return exitWrongUse
}

// report writes an error. That of a configuration file has a line for each
// problem, which begins with its place so that editors find it.
func report(stderr io.Writer, err error) {
	if errors.As(err, new(*config.Error)) {
		fmt.Fprintln(stderr, err)
		return
	}
	fmt.Fprintf(stderr, "director: %v\n", err)
}

// A failure is an error of a subcommand that was used rightly.
type failure struct{ error }

// Unwrap returns the error itself.
func (f failure) Unwrap() error { return f.error }

// An ended subcommand has said all itself; this is its exit code.
type ended int

// Error is there for cobra, which passes errors on.
func (e ended) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// action makes a cobra action of a function and marks its errors as failures.
func action(do func(*cobra.Command) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, _ []string) error {
		if err := do(command); err != nil {
			return failure{err}
		}
		return nil
	}
}
