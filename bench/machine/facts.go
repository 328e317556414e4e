// Package machine tells on what a benchmark ran and what it cost the
// processors.
package machine

import (
	"bufio"
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// Facts is what one has to know of a machine before comparing figures.
type Facts struct {
	CPU         string `json:"cpu"`
	CPUs        int    `json:"cpus"`
	Kernel      string `json:"kernel"`
	Memory      uint64 `json:"memory_bytes"`
	Mitigations string `json:"mitigations"` // of CPU faults that make system calls dear
	Go          string `json:"go"`
	Commit      string `json:"commit"` // of the benchmark, if it was built inside its repository
}

// Read returns the facts of this machine. What cannot be found out is empty.
func Read() Facts {
	f := Facts{
		CPU:         field("/proc/cpuinfo", "model name"),
		CPUs:        runtime.NumCPU(),
		Mitigations: spectre(),
		Go:          runtime.Version(),
		Commit:      commit(),
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		f.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		f.Memory = uint64(info.Totalram) * uint64(info.Unit)
	}
	return f
}

// field is the value of the first line "name : value" of a file.
func field(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		key, value, ok := strings.Cut(lines.Text(), ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// spectre is what the kernel does about Spectre v2, which decides what an
// indirect call and a system call cost.
func spectre() string {
	text, err := os.ReadFile("/sys/devices/system/cpu/vulnerabilities/spectre_v2")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var revision, modified string
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				modified = " with changes"
			}
		}
	}
	return revision + modified
}
