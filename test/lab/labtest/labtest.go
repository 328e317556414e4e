// Package labtest is the lab for tests: what fails, fails the test, and
// everything is removed when the test ends.
package labtest

import (
	"context"
	"testing"
	"time"

	"lvsnat/test/lab"
)

// Limit is how long a test waits for a thing that must happen before it says
// that it does not. It is generous, since it only costs time when a test fails.
const Limit = 30 * time.Second

// Context returns a context that ends with the test, or after Limit.
func Context(tb testing.TB) context.Context {
	tb.Helper()
	return ContextFor(tb, Limit)
}

// ContextFor returns a context that ends with the test, or after d.
func ContextFor(tb testing.TB, d time.Duration) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), d)
	tb.Cleanup(cancel)
	return ctx
}

// contextAfterTest is Context for clean-up functions, which run when the
// test's own context has ended.
func contextAfterTest() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), Limit)
}

// New returns an empty lab.
func New(tb testing.TB) *lab.Lab {
	tb.Helper()
	l, err := lab.New()
	Must(tb, err)
	tb.Cleanup(func() {
		if err := l.Close(); err != nil {
			tb.Errorf("close the lab: %v", err)
		}
	})
	return l
}

// Build returns the standard topology in a lab of its own.
func Build(tb testing.TB, o lab.Options) *lab.Topology {
	tb.Helper()
	t, err := New(tb).Build(o)
	Must(tb, err)
	return t
}

// Must fails the test when err is not nil.
func Must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// Run runs a program in a host to its end and returns what it wrote to stdout.
func Run(tb testing.TB, h *lab.Host, path string, args ...string) string {
	tb.Helper()
	out, err := h.Run(Context(tb), path, args...)
	Must(tb, err)
	return out
}

// Eventually waits until condition is true.
func Eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	deadline := time.Now().Add(Limit)
	for !condition() {
		if time.Now().After(deadline) {
			tb.Fatalf("not within %v: %s", Limit, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
