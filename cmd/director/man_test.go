package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// format returns a man page as it is shown. No warning may come of it.
func format(t *testing.T, page string) string {
	t.Helper()
	command := exec.Command("groff", "-man", "-ww", "-Tascii", "-P-cbou", "-rLL=200n")
	command.Stdin = strings.NewReader(page)
	var warnings strings.Builder
	command.Stderr = &warnings
	shown, err := command.Output()
	if err != nil || warnings.Len() > 0 {
		t.Errorf("groff (of the Debian package groff-base): %v, it says %q of\n%s", err, &warnings, page)
	}
	return string(shown)
}

func TestEachSubcommandHasAManPage(t *testing.T) {
	t.Setenv(stateDirEnvironment, "/the/builders/own")
	dir := filepath.Join(t.TempDir(), "man")
	if code, stdout, stderr := runHere("man", dir); code != exitDone || stdout+stderr != "" {
		t.Fatalf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	names := []string{"director"}
	for _, command := range newRoot(os.Getenv).Commands() {
		if command.IsAvailableCommand() {
			names = append(names, "director-"+command.Name())
		}
	}
	for _, name := range names {
		page, err := os.ReadFile(filepath.Join(dir, name+".8"))
		if err != nil {
			t.Error(err)
			continue
		}
		shown := format(t, string(page))
		for _, part := range []string{name + " - ", "--state-dir", defaultStateDir} {
			if !strings.Contains(shown, part) {
				t.Errorf("%s(8) has no %q:\n%s", name, part, shown)
			}
		}
	}
	pages, err := os.ReadDir(dir)
	if err != nil || len(pages) != len(names) {
		t.Errorf("%d pages (%v), want %d", len(pages), err, len(names))
	}
}

func TestManPagesThatCannotBeWrittenAreAFailure(t *testing.T) {
	file := write(t, "")
	if code, _, stderr := runHere("man", file); code != exitFailed || !strings.Contains(stderr, "director: write man pages: ") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	if code, _, _ := runHere("man"); code != exitWrongUse {
		t.Errorf("without a directory: exit code %d", code)
	}
}

func TestATextIsOnItsManPageAsItIs(t *testing.T) {
	config, err := os.ReadFile("../../packaging/director.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(config) + ".a line that looks like a request\n'and another\na \\fBbackslash\\n and \"quotes\" -x\n"
	command := exec.Command("sh", "../../packaging/manpage", "director.yaml", "5", "configuration")
	command.Stdin = strings.NewReader(text)
	page, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	shown := format(t, string(page))
	for line := range strings.Lines(text) {
		if !strings.Contains(shown, strings.TrimSpace(line)) {
			t.Errorf("the page has no line %q", line)
		}
	}
}
