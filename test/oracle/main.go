// Command oracle asks the real IPVS, in user-mode-linux, what it answers to the
// command lines of a transcript, and writes the answers into it:
//
//	go run ./test/oracle FILE...
//	go run ./test/oracle sample SEED FILE
//
// Commands and events are taken from the files, or made at random and written
// into a new one; tests replay them against the director. It needs root, and
// Debian's packages user-mode-linux, kmod, iproute2 and ipvsadm.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"lvsnat/test/oracle/transcript"
	"lvsnat/test/oracle/uml"
)

// The program runs itself with these words.
const (
	guestVerb  = "guest" // in the guest; a directory with a copy of the file follows
	guestWords = 3
	sendVerb   = "send" // as the guest's client; see send
	sendWords  = 5
)

// An operator has it make a file with this word.
const (
	sampleVerb  = "sample"
	sampleWords = 4
)

// patience is how long one boot with all its commands may take.
const patience = 2 * time.Minute

func main() {
	switch {
	case len(os.Args) == sendWords && os.Args[1] == sendVerb:
		exitOn(send(os.Args[2], os.Args[3], os.Args[4]))
	case len(os.Args) == guestWords && os.Args[1] == guestVerb:
		exitOn(guest(os.Args[2]))
	case len(os.Args) == sampleWords && os.Args[1] == sampleVerb:
		exitOn(recordSample(os.Args[2], os.Args[3]))
	default:
		exitOn(record(os.Args[1:]))
	}
}

func recordSample(seed, file string) error {
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		return fmt.Errorf("seed %q: %w", seed, err)
	}
	if err := os.WriteFile(file, transcript.Format(sample(n)), 0o644); err != nil {
		return err
	}
	return record([]string{file})
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "oracle: %v\n", err)
		os.Exit(1)
	}
}

// attempts is how often a file is tried. A guest's processes are traced
// processes of this box, and a signal from elsewhere to one of them ends the
// guest ("child stopped with signal 18"): seen in about one of five boots on a
// box that did much else.
const attempts = 6

// record works through the files one by one.
func record(files []string) error {
	for _, file := range files {
		var err error
		for range attempts {
			if err = recordFile(file); err == nil {
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
func recordFile(file string) error {
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
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := uml.Boot(ctx, dir, program, guestVerb, dir); err != nil {
		return err
	}
	report, err := os.ReadFile(filepath.Join(dir, reportName))
	if err != nil {
		return fmt.Errorf("the guest left no report: %w", err)
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
