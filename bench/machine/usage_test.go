package machine

import (
	"testing"
	"time"
)

func TestProcessorTimeIsSplitIntoBusyAndSteal(t *testing.T) {
	busy, steal, err := parseStat("cpu  100 20 300 4000 50 6 70 8 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := 4960 * time.Millisecond; busy != want {
		t.Errorf("busy %v, want %v", busy, want)
	}
	if want := 80 * time.Millisecond; steal != want {
		t.Errorf("steal %v, want %v", steal, want)
	}
}

func TestAnUnknownFormOfProcessorTimeIsAnError(t *testing.T) {
	for _, text := range []string{"", "cpu 1 2 3", "cpu0 1 2 3 4 5 6 7 8 9 10", "cpu 1 2 3 4 5 6 x 8"} {
		if _, _, err := parseStat(text); err == nil {
			t.Errorf("%q was understood", text)
		}
	}
}

func TestStealShare(t *testing.T) {
	if got := (Usage{Busy: 3 * time.Second, Steal: time.Second}).StealShare(); got != 0.25 {
		t.Errorf("got %v, want 0.25", got)
	}
	if got := (Usage{}).StealShare(); got != 0 {
		t.Errorf("an idle machine: got %v, want 0", got)
	}
}

func TestThisMachineHasFactsAndUsage(t *testing.T) {
	if f := Read(); f.CPUs == 0 || f.Kernel == "" || f.Memory == 0 || f.Go == "" {
		t.Errorf("got %+v", f)
	}
	w, err := StartWatch()
	if err != nil {
		t.Fatal(err)
	}
	if u, err := w.Read(); err != nil || u.Elapsed <= 0 || u.Busy < 0 {
		t.Errorf("got %+v, %v", u, err)
	}
}
