// Command oracle asks the real IPVS, in user-mode-linux, what it does:
//
//	go run ./test/oracle FILE...
//	go run ./test/oracle traffic FILE...
//	go run ./test/oracle fresh SEED DIRECTORY
//
// The files are transcripts of command lines, or with the word traffic scenarios
// of packets, and their answers are recorded anew. With the word fresh a sample
// of both is made at random and put into a directory. Tests replay them against
// the director. It needs root, and Debian's packages user-mode-linux, kmod,
// iproute2 and ipvsadm.
//
// New files for the tree come from
//
//	go run ./test/oracle sample SEED FILE
//	go run ./test/oracle traffic-sample SEED SCENARIOS PHASES FILE
//	go run ./test/oracle states FILE
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"lvsnat/test/oracle/traffic"
	"lvsnat/test/oracle/transcript"
	"lvsnat/test/oracle/uml"
)

// The program runs itself with these words.
const (
	guestVerb = "guest" // in the guest; the kind of work, a directory with a copy of the file and arguments follow
	sendVerb  = "send"  // as the guest's client; see send
)

// An operator has it do more than transcripts with these words.
const (
	trafficVerb       = "traffic"
	freshVerb         = "fresh"
	sampleVerb        = "sample"
	statesVerb        = "states"
	trafficSampleVerb = "traffic-sample"
)

// The kinds of work for a guest.
const (
	transcriptKind = "transcript"
	scriptKind     = "script"
	samplerKind    = "sample"
)

// patience is how long one boot with all its commands may take.
const patience = 4 * time.Minute

// The sizes of a fresh sample, which takes about 40 seconds.
const (
	freshScenarios = 40
	freshPhases    = 2
)

func main() {
	// The guest must not outlive this program.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "oracle: %v\n", err)
		os.Exit(1)
	}
}

// following is how many words follow each verb.
var following = map[string]int{sendVerb: 3, freshVerb: 2, sampleVerb: 2, trafficSampleVerb: 4, statesVerb: 1}

func run(ctx context.Context, words []string) error {
	if len(words) == 0 {
		return errors.New("name files; the beginning of test/oracle/main.go says what else there is")
	}
	verb, rest := words[0], words[1:]
	if n, ok := following[verb]; ok && len(rest) != n {
		return fmt.Errorf("%s has %d arguments, not %d; see the beginning of test/oracle/main.go", verb, n, len(rest))
	}
	switch verb {
	case sendVerb:
		return send(rest[0], rest[1], rest[2])
	case guestVerb:
		return guest(rest[0], rest[1], rest[2:])
	case trafficVerb:
		return record(ctx, scriptKind, rest)
	case freshVerb:
		return recordFresh(ctx, rest[0], rest[1])
	case sampleVerb:
		return recordSample(ctx, rest[0], rest[1])
	case trafficSampleVerb:
		return recordTraffic(ctx, rest[3], rest[:3]...)
	case statesVerb:
		return recordStates(ctx, rest[0])
	}
	return record(ctx, transcriptKind, words)
}

// recordFresh makes both samples at the same time: a guest mostly waits.
func recordFresh(ctx context.Context, seed, dir string) error {
	lines := make(chan error, 1)
	go func() { lines <- recordSample(ctx, seed, filepath.Join(dir, "sample-"+seed+".txt")) }()
	err := recordTraffic(ctx, filepath.Join(dir, "traffic-"+seed+".txt"), seed, strconv.Itoa(freshScenarios), strconv.Itoa(freshPhases), orLess)
	return errors.Join(err, <-lines)
}

func recordSample(ctx context.Context, seed, file string) error {
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		return fmt.Errorf("seed %q: %w", seed, err)
	}
	if err := os.WriteFile(file, transcript.Format(sample(n)), 0o644); err != nil {
		return err
	}
	return record(ctx, transcriptKind, []string{file})
}

func recordStates(ctx context.Context, file string) error {
	if err := os.WriteFile(file, traffic.Format(traffic.StateTable()), 0o644); err != nil {
		return err
	}
	return record(ctx, scriptKind, []string{file})
}

// recordTraffic plays scenarios that are made up; see playSample for the
// arguments.
func recordTraffic(ctx context.Context, file string, arguments ...string) error {
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		return err
	}
	return record(ctx, samplerKind, []string{file}, arguments...)
}

// attempts is how often a file is tried. A guest's processes are traced
// processes of this box, and a signal from elsewhere to one of them ends the
// guest ("child stopped with signal 18"): seen in about one of five boots on a
// box that did much else. And a virtual box may itself be halted for a minute,
// while the guest's timers go on.
const attempts = 6

// record works through the files one by one.
func record(ctx context.Context, kind string, files []string, arguments ...string) error {
	for _, file := range files {
		var err error
		for range attempts {
			if err = recordFile(ctx, kind, file, arguments); err == nil || ctx.Err() != nil {
				break
			}
			fmt.Fprintf(os.Stderr, "oracle: %s: %v\n", file, err)
		}
		if err != nil {
			return fmt.Errorf("%s: given up", file)
		}
	}
	return nil
}

// recordFile boots the guest with a copy of the file and takes over what it
// made of it.
func recordFile(ctx context.Context, kind, file string, arguments []string) error {
	dir, err := os.MkdirTemp("", "oracle-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, copyName), text, 0o600); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	booted := uml.Boot(ctx, dir, program, append([]string{guestVerb, kind, dir}, arguments...)...)
	// With a report the work is done, whatever became of the guest while it
	// powered off.
	report, err := os.ReadFile(filepath.Join(dir, reportName))
	if err != nil {
		return errors.Join(booted, fmt.Errorf("the guest left no report: %w", err))
	}
	if len(report) > 0 {
		return fmt.Errorf("in the guest: %s", report)
	}
	if text, err = os.ReadFile(filepath.Join(dir, copyName)); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

const (
	copyName   = "transcript"
	reportName = "report" // what went wrong in the guest; empty: nothing
)
