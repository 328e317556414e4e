package machine

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A Usage is the time that all processors together spent during a
// measurement.
type Usage struct {
	Elapsed time.Duration // by the wall clock
	Busy    time.Duration // programs, kernel and interrupts
	Steal   time.Duration // taken by other guests of the same hypervisor
}

// StealShare is the part of the processors' time that others took. Above a
// hundredth, a figure says more about the neighbours than about the program.
func (u Usage) StealShare() float64 {
	if u.Busy+u.Steal == 0 {
		return 0
	}
	return u.Steal.Seconds() / (u.Busy + u.Steal).Seconds()
}

// A Watch measures usage from the moment it was started.
type Watch struct {
	start       time.Time
	busy, steal time.Duration
}

// StartWatch starts measuring.
func StartWatch() (Watch, error) {
	busy, steal, err := processorTime()
	return Watch{time.Now(), busy, steal}, err
}

// Read returns the usage since the start.
func (w Watch) Read() (Usage, error) {
	busy, steal, err := processorTime()
	return Usage{time.Since(w.start), busy - w.busy, steal - w.steal}, err
}

// Background watches the machine for d, while its caller does nothing, and
// returns the share of all processors that something else keeps busy.
func Background(d time.Duration) (float64, error) {
	w, err := StartWatch()
	if err != nil {
		return 0, err
	}
	time.Sleep(d)
	u, err := w.Read()
	if err != nil {
		return 0, err
	}
	return u.Busy.Seconds() / u.Elapsed.Seconds() / float64(runtime.NumCPU()), nil
}

// processorTime reads the sums since the machine was started. The kernel
// counts them in ticks of a hundredth of a second (USER_HZ, proc_stat(5)).
func processorTime() (busy, steal time.Duration, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, fmt.Errorf("read processor time: %w", err)
	}
	return parseStat(string(text))
}

func parseStat(text string) (busy, steal time.Duration, err error) {
	const tick = time.Second / 100
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	// cpu user nice system idle iowait irq softirq steal; guest time, which
	// follows, is counted in user already.
	const idleField, iowaitField, stealField = 4, 5, 8
	if len(fields) <= stealField || fields[0] != "cpu" {
		return 0, 0, errors.New("read processor time: /proc/stat has no line for all processors")
	}
	for i := 1; i <= stealField; i++ {
		ticks, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read processor time: %w", err)
		}
		switch i {
		case idleField, iowaitField:
		case stealField:
			steal = time.Duration(ticks) * tick
		default:
			busy += time.Duration(ticks) * tick
		}
	}
	return busy, steal, nil
}
