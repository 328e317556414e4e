package lab_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

// victimEnv makes the test binary a process with a lab that waits to be killed.
const victimEnv = "LVSNAT_LAB_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(victimEnv) == "" {
		os.Exit(m.Run())
	}
	if err := beVictim(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// beVictim builds a lab with two programs: one that the lab has started, and
// one that this one has started and does not wait for. It writes the
// namespace's name and the two process ids, and waits for ever.
func beVictim() error {
	l, err := lab.New()
	if err != nil {
		return err
	}
	h, err := l.Host("victim")
	if err != nil {
		return err
	}
	p, err := h.Start(lab.Command{Path: "sh", Args: []string{"-c", "sleep 1000 & echo $!; exec sleep 1000"}})
	if err != nil {
		return err
	}
	var orphan string
	for orphan == "" {
		orphan = strings.TrimSpace(p.Stdout().String())
	}
	fmt.Println(h.Namespace, p.PID(), orphan)
	select {}
}

func TestAKilledProcessLeavesNothingThatTheNextLabDoesNotRemove(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	labtest.Must(t, err)
	labtest.Must(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	labtest.Must(t, errors.Join(err, cmd.Process.Kill()))
	_ = cmd.Wait() // the error says that it was killed
	var namespace string
	var program, orphan int
	_, err = fmt.Sscan(line, &namespace, &program, &orphan)
	labtest.Must(t, err)
	labtest.Eventually(t, "the program dies with the process that has started it", func() bool { return !runs(program) })
	if !runs(orphan) {
		t.Error("the program's own child is gone already: the test proves nothing")
	}

	labtest.New(t)
	labtest.Eventually(t, "the child is ended", func() bool { return !runs(orphan) })
	if _, err := os.Stat(filepath.Join("/run/netns", namespace)); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", namespace, err)
	}
}

// runs reports whether a process exists and is not just waiting to be reaped.
func runs(pid int) bool {
	if errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}
