package peer

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lvsnat/bench/testbed"
)

func TestNamesAreUniqueAndFound(t *testing.T) {
	seen := make(map[string]bool)
	for _, p := range All {
		if seen[p.Name] {
			t.Errorf("two peers are called %s", p.Name)
		}
		seen[p.Name] = true
		if found, err := ByName(p.Name); err != nil || found.Description != p.Description {
			t.Errorf("ByName(%s): %v, %v", p.Name, found.Name, err)
		}
		if p.Can == 0 {
			t.Errorf("%s carries nothing", p.Name)
		}
	}
	if _, err := ByName("nonsense"); err == nil || !strings.Contains(err.Error(), "haproxy") {
		t.Errorf("got error %v, want one that lists the names", err)
	}
}

func TestWhatAPeerCannotCarryIsNotAskedOfIt(t *testing.T) {
	if haproxy.Can.Includes(testbed.Forged) {
		t.Error("a proxy is said to carry packets of nobody's connections")
	}
	if testpmd.Can.Includes(testbed.Streams) {
		t.Error("testpmd is said to carry super-packets")
	}
	if !director.Can.Includes(testbed.Streams | testbed.Datagrams | testbed.Forged) {
		t.Error("the director is said not to carry everything")
	}
}

func TestTheDirectorsLossesAreRead(t *testing.T) {
	got, err := parseStatus([]byte(`{"packets": {"forwarded_request": 7, "table_full": 3, "short": 0},
		"nics": [{"name": "eth0", "receive_dropped": 5, "receive_truncated": 0, "transmit_dropped": 2}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		"verdict_table_full": 3, "verdict_short": 0,
		"ring_eth0_receive_dropped": 5, "ring_eth0_truncated": 0, "ring_eth0_transmit_dropped": 2,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if _, err := parseStatus([]byte("director: not running")); err == nil {
		t.Error("a text was accepted")
	}
}

func TestMemoryIsRead(t *testing.T) {
	own, err := processMemory(os.Getpid())()
	if err != nil || own < 1<<20 {
		t.Errorf("this process takes %d bytes, %v", own, err)
	}
	two, err := processMemory(os.Getpid(), os.Getpid())()
	if err != nil || two < own {
		t.Errorf("twice this process takes %d bytes, %v", two, err)
	}
	if kernel, err := kernelMemory(); err != nil || kernel < 1<<20 {
		t.Errorf("the kernel takes %d bytes, %v", kernel, err)
	}
	file := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(file, []byte("Name:	x\nVmRSS:	many kB\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"VmRSS", "VmHWM"} {
		if _, err := kilobytes(file, name); err == nil {
			t.Errorf("%s was read from a file without it", name)
		}
	}
}

func TestAllIsUndoneBackwards(t *testing.T) {
	var order []string
	var u undo
	for _, name := range []string{"first", "second", "third"} {
		u.add(func(context.Context) error {
			order = append(order, name)
			return errors.New(name)
		})
	}
	err := u.all(t.Context())
	if got := strings.Join(order, " "); got != "third second first" {
		t.Errorf("undone %s", got)
	}
	if err == nil || err.Error() != "third" {
		t.Errorf("got error %v, want the first that came up", err)
	}
}
