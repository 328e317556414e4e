package peer

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// processMemory is the memory that processes hold in RAM, files they have
// mapped included (VmRSS, proc_pid_status(5)), in bytes. Pages that two of them
// share count twice.
func processMemory(pids ...int) func() (int64, error) {
	return func() (sum int64, err error) {
		for _, pid := range pids {
			n, err := kilobytes(fmt.Sprintf("/proc/%d/status", pid), "VmRSS")
			if err != nil {
				return 0, err
			}
			sum += n
		}
		return sum, nil
	}
}

// kernelMemory is what the kernel has allocated for its own objects and cannot
// drop (SUnreclaim, proc_meminfo(5)), in bytes. It is the whole machine's, so
// that only its growth says something.
func kernelMemory() (int64, error) { return kilobytes("/proc/meminfo", "SUnreclaim") }

// kilobytes reads a line "name: number kB" and returns the number in bytes.
func kilobytes(path, name string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read memory use: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		value, ok := strings.CutPrefix(line, name+":")
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read memory use: %s of %s: %w", name, path, err)
		}
		return n << 10, nil
	}
	return 0, fmt.Errorf("read memory use: %s has no %s", path, name)
}
