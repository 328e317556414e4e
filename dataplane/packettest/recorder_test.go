package packettest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// A recorder stands in for a test that is to fail: it keeps what is reported.
type recorder struct {
	testing.TB
	mu     sync.Mutex
	errors []string
}

func (r *recorder) Helper() {}

func (r *recorder) Logf(string, ...any) {}

func (r *recorder) Error(args ...any) { r.record(fmt.Sprint(args...)) }

func (r *recorder) Errorf(format string, args ...any) { r.record(fmt.Sprintf(format, args...)) }

func (r *recorder) Fatalf(format string, args ...any) { r.record(fmt.Sprintf(format, args...)) }

func (r *recorder) record(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, s)
}

// expect demands that exactly these things were reported, each named by a
// piece of its message.
func (r *recorder) expect(t *testing.T, pieces ...string) {
	t.Helper()
	if len(r.errors) != len(pieces) {
		t.Fatalf("reported %q, want %q", r.errors, pieces)
	}
	for i, piece := range pieces {
		if !strings.Contains(r.errors[i], piece) {
			t.Errorf("reported %q, want a message with %q", r.errors[i], piece)
		}
	}
}
