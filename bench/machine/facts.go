// Package machine tells on what a benchmark ran and what it cost the
// processors.
package machine

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"runtime"
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
	Commit      string `json:"commit"` // of the repository that it was started in
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

// commit asks git about the working directory, because go run, unlike go build,
// leaves it out of the program.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty= with changes").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
