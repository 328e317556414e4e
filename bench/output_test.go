package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lvsnat/bench/report"
	"lvsnat/bench/result"
)

// written is an output directory of a run in which the subject has figures.
func written(t *testing.T, figures ...float64) string {
	t.Helper()
	r := &result.Report{Subject: "director", Against: "nft", Workloads: []result.Column{{Name: "web", Unit: "requests/s"}}}
	for round, v := range figures {
		r.Samples = append(r.Samples,
			result.Sample{Workload: "web", Peer: "director", Unit: "requests/s", Round: round, Value: v},
			result.Sample{Workload: "web", Peer: "nft", Unit: "requests/s", Round: round, Value: 100})
	}
	directory := t.TempDir()
	if err := writeOutput(directory, r); err != nil {
		t.Fatal(err)
	}
	return directory
}

func TestAnOutputDirectoryHasEverything(t *testing.T) {
	directory := written(t, 100, 110)
	for _, name := range []string{samplesFile, tablesFile, gobenchFile, "quotients.svg", "quotients.png"} {
		if info, err := os.Stat(filepath.Join(directory, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTablesAreMadeAnew(t *testing.T) {
	directory := written(t, 100, 110)
	if err := os.Remove(filepath.Join(directory, tablesFile)); err != nil {
		t.Fatal(err)
	}
	readme := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(readme, []byte("before\n"+report.Begin+"\n"+report.End+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"report", "-update", readme, directory}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	for _, path := range []string{readme, filepath.Join(directory, tablesFile)} {
		if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), "| web") {
			t.Errorf("%s: %v, %q", path, err, text)
		}
	}
	for _, args := range [][]string{{"report", t.TempDir()}, {"report", "-update", os.DevNull, directory}} {
		if code := run(t.Context(), args, &stdout, &stderr); code != 1 {
			t.Errorf("%v: exit code %d, want 1", args, code)
		}
	}
}

func TestTwoRunsAreCompared(t *testing.T) {
	old, new := written(t, 100, 101, 102, 103), written(t, 140, 141, 142, 143)
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"compare", old, filepath.Join(new, samplesFile)}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	got := strings.Join(strings.Fields(lines[len(lines)-1]), " ")
	const figures, verdict = "1.02 1.42 1.39", "0.029 better web, director / nft" // medians of quotients
	if !strings.HasPrefix(got, figures) || !strings.HasSuffix(got, verdict) {
		t.Errorf("got %q, want %s ... %s", got, figures, verdict)
	}
	for _, args := range [][]string{{"compare", old}, {"compare", old, new, new}} {
		if code := run(t.Context(), args, &stdout, &stderr); code != 2 {
			t.Errorf("%v: exit code %d, want 2", args, code)
		}
	}
	if code := run(t.Context(), []string{"compare", old, filepath.Join(old, "nothing")}, &stdout, &stderr); code != 1 {
		t.Errorf("a file that is not there: exit code %d, want 1", code)
	}
}
