// Package uml runs a program in Debian's user-mode-linux, a kernel with IPVS
// that is itself an ordinary process. The guest's root file system is this box's
// own; its network is its own.
package uml

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const kernel = "linux.uml"

// grace is how long the kernel's processes may take to end after it was
// told to.
const grace = 10 * time.Second

// Boot runs the program in a guest, with dir for its scratch files, and returns
// when the guest has powered off or ctx has ended. What the program writes to
// stdout and stderr, and how it ended, is only seen in what it leaves behind.
// The path of dir must need no quoting.
func Boot(ctx context.Context, dir, program string, args ...string) error {
	script := filepath.Join(dir, "init")
	if err := os.WriteFile(script, []byte(initScript(program, args)), 0o700); err != nil {
		return err
	}
	arguments := []string{
		"mem=1G", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw", "quiet",
		"init=" + script, "con=null", "con0=fd:0,fd:1",
	}
	// The kernel keeps its memory in a file of TMPDIR.
	cmd := exec.CommandContext(ctx, kernel, arguments...)
	cmd.Env = append(os.Environ(), "TMPDIR=/dev/shm")
	// The guest's processes are processes of this box. In a session of their own
	// they can be ended together, and no shell's job control reaches them.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = grace
	console, err := cmd.CombinedOutput()
	if cmd.Process != nil {
		// What a guest leaves that did not power off: its processes are stopped
		// where the kernel held them.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // fails when there is nothing, as it should be
	}
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("user-mode-linux: %w: install Debian's packages user-mode-linux, kmod and ipvsadm", err)
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("user-mode-linux: %w\n%s", err, lastWords(console))
	}
	return nil
}

// initScript is the guest's first process, which powers off whatever becomes of
// the program.
func initScript(program string, args []string) string {
	var words []string
	for _, word := range append([]string{program}, args...) {
		words = append(words, "'"+strings.ReplaceAll(word, "'", `'\''`)+"'")
	}
	return "#!/bin/sh\nexport PATH=/usr/sbin:/usr/bin:/sbin:/bin\n" + strings.Join(words, " ") + "\npoweroff -f\n"
}

// lastWords is the end of a console's text, without the kernel's call traces.
func lastWords(console []byte) string {
	var b strings.Builder
	for line := range strings.Lines(string(console)) {
		if !strings.HasPrefix(line, " [<") {
			b.WriteString(line)
		}
	}
	text := b.String()
	return text[max(0, len(text)-2000):]
}
