// Package rules holds the module's rules about itself as tests.
package rules

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// arrows says which packages of the module each package may depend on, besides
// itself. Nothing points back towards cmd.
var arrows = map[string][]string{
	"lvsnat/checksum":           {},
	"lvsnat/dataplane/packet":   {"lvsnat/checksum"},
	"lvsnat/conntrack":          {"lvsnat/checksum"},
	"lvsnat/scheduler":          {},
	"lvsnat/dataplane/interval": {},
	"lvsnat/dataplane/afpacket": {"lvsnat/dataplane/interval", "lvsnat/dataplane/packet", "lvsnat/checksum"},
	"lvsnat/dataplane": {
		"lvsnat/conntrack", "lvsnat/scheduler", "lvsnat/dataplane/packet", "lvsnat/checksum",
	},
}

func TestImportsPointOneWay(t *testing.T) {
	for pkg, allowed := range arrows {
		out, err := exec.Command("go", "list", "-deps", pkg).Output()
		if err != nil {
			t.Fatalf("go list -deps %s: %v", pkg, err)
		}
		for _, dep := range strings.Fields(string(out)) {
			if strings.HasPrefix(dep, "lvsnat/") && dep != pkg && !slices.Contains(allowed, dep) {
				t.Errorf("%s depends on %s", pkg, dep)
			}
		}
	}
}

// The packet path is the project's own: no library on it but x/sys, which has
// the system calls.
func TestThePacketPathUsesNoLibrary(t *testing.T) {
	for pkg := range arrows {
		out, err := exec.Command("go", "list", "-deps", pkg).Output()
		if err != nil {
			t.Fatalf("go list -deps %s: %v", pkg, err)
		}
		for _, dep := range strings.Fields(string(out)) {
			foreign := strings.Contains(strings.Split(dep, "/")[0], ".")
			if foreign && !strings.HasPrefix(dep, "golang.org/x/sys/") && !strings.HasPrefix(dep, "golang.org/x/net/bpf") {
				t.Errorf("%s depends on %s", pkg, dep)
			}
		}
	}
}

// Unsafe memory stays where its reasons are written down.
func TestUnsafeStaysInItsFiles(t *testing.T) {
	allowed := []string{"dataplane/afpacket/", "conntrack/memory.go"}
	eachFile(t, func(path string, imports []string) {
		if !slices.Contains(imports, `"unsafe"`) {
			return
		}
		if !slices.ContainsFunc(allowed, func(p string) bool { return strings.HasPrefix(path, p) }) {
			t.Errorf("%s imports unsafe", path)
		}
	})
}

func TestNothingNeedsCgo(t *testing.T) {
	eachFile(t, func(path string, imports []string) {
		if slices.Contains(imports, `"C"`) {
			t.Errorf("%s uses cgo", path)
		}
	})
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}}\t{{.Doc}}", "lvsnat/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		pkg, doc, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if doc == "" && pkg != "lvsnat/test" && pkg != "lvsnat/test/rules" {
			t.Errorf("%s has no package comment", pkg)
		}
	}
}

// eachFile calls f with each Go file's path from the module's root and the
// quoted paths it imports.
func eachFile(t *testing.T, f func(path string, imports []string)) {
	t.Helper()
	const root = "../.."
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		var imports []string
		for _, spec := range file.Imports {
			imports = append(imports, spec.Path.Value)
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		f(rel, imports)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
