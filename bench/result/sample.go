// Package result keeps what a benchmark has measured, from the raw samples to
// the tables that are made of them.
package result

import (
	"fmt"
	"strconv"
	"time"
)

// A Sample is one measurement.
type Sample struct {
	Workload        string             `json:"workload"`
	Peer            string             `json:"peer"`
	Round           int                `json:"round"`
	Value           float64            `json:"value"`
	Unit            string             `json:"unit"`
	Details         map[string]float64 `json:"details,omitempty"`
	Losses          map[string]float64 `json:"losses,omitempty"` // frames, by cause
	Start           time.Time          `json:"start"`
	ElapsedSeconds  float64            `json:"elapsed_seconds"`
	BusySeconds     float64            `json:"busy_seconds"` // of all processors
	StealShare      float64            `json:"steal_share"`
	BackgroundShare float64            `json:"background_share"`   // of the processors, busy before it began
	Repeated        bool               `json:"repeated,omitempty"` // disturbed, and measured again: another sample counts
	Error           string             `json:"error,omitempty"`
}

// What a sample may lose to others before it is called disturbed. Background is
// read from few ticks of the kernel's clock, so its limit is coarse.
const (
	MaxSteal      = 0.01
	MaxBackground = 0.1
)

// Disturbed reports whether a sample shows the neighbours more than the peer.
func (s *Sample) Disturbed() bool {
	return s.StealShare > MaxSteal || s.BackgroundShare > MaxBackground
}

// Metric is the sample's figure of that name among its details, or its value
// when the name is empty; false: it has none.
func (s *Sample) Metric(name string) (float64, bool) {
	if s.Error != "" || s.Repeated {
		return 0, false
	}
	if name == "" {
		return s.Value, true
	}
	v, ok := s.Details[name]
	return v, ok
}

// String is the line of progress.
func (s *Sample) String() string {
	if s.Error != "" {
		return fmt.Sprintf("%-12s %-10s failed: %s", s.Workload, s.Peer, s.Error)
	}
	line := fmt.Sprintf("%-12s %-10s %10s %s", s.Workload, s.Peer, Number(s.Value), s.Unit)
	if s.StealShare > MaxSteal {
		line += fmt.Sprintf("  (other machines took %.0f %%)", 100*s.StealShare)
	}
	if s.BackgroundShare > MaxBackground {
		line += fmt.Sprintf("  (other programs took %.0f %%)", 100*s.BackgroundShare)
	}
	return line
}

// Number writes a figure with three or more digits, "-" for none.
func Number(v float64) string {
	switch {
	case v == 0:
		return "-"
	case v < 100:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
}

// Ratio writes a quotient, "-" for none.
func Ratio(v float64) string {
	if v == 0 {
		return "-"
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
