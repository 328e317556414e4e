package ipvsadm

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lvsnat/test/oracle/transcript"
)

// answerOf runs a command line and returns what it would have answered.
func answerOf(t *testing.T, d Director, step transcript.Step) transcript.Step {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := Program{
		Name: step.Command[0], Stdin: strings.NewReader(step.Stdin), Stdout: &stdout, Stderr: &stderr,
		Names: testNames, Director: d,
	}
	step.Exit = p.Run(t.Context(), step.Command[1:])
	step.Stdout, step.Stderr = stdout.String(), stderr.String()
	return step
}

// fresh is where `make oracle-fresh` has put recordings of a moment ago.
var fresh = flag.String("fresh", "", "a directory with sample*.txt to be replayed, too")

// TestTheRealIpvsadmSaysTheSame replays what Debian's ipvsadm 1.31 answered in
// the guest of test/oracle, byte for byte.
func TestTheRealIpvsadmSaysTheSame(t *testing.T) {
	files, err := filepath.Glob("testdata/oracle/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d recordings, %v", len(files), err)
	}
	if *fresh != "" {
		samples, err := filepath.Glob(filepath.Join(*fresh, "sample*.txt"))
		if err != nil || len(samples) == 0 {
			t.Fatalf("%d recordings in %s, %v", len(samples), *fresh, err)
		}
		files = append(files, samples...)
	}
	for _, file := range files {
		if filepath.Base(file) == "differences.txt" {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) { replay(t, file) })
	}
}

func replay(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := transcript.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	d := newFake()
	for _, step := range steps {
		if e := step.Event; e != nil {
			if e[0] != "wait" {
				d.open(e[0], e[1], e[2], e[3])
			}
			continue
		}
		got := answerOf(t, d, step)
		if got.Stdout != step.Stdout || got.Stderr != step.Stderr || got.Exit != step.Exit {
			t.Errorf("%s:%d: the director says\n%s\nipvsadm says\n%s", file, step.Line,
				transcript.Format([]transcript.Step{got}), transcript.Format([]transcript.Step{step}))
		}
	}
}
