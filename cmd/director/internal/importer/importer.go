// Package importer makes a configuration of files that other tools have for the
// same purpose: rules as ipvsadm-save writes them, the lvs_nat.conf of the
// LVS-HOWTO's configure script, and the virtual servers of a keepalived.conf.
//
// What has no counterpart is left out, and every such thing is told with its
// place.
package importer

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/ipvsadm"
)

// maxSize bounds a file, bytes.
const maxSize = 16 << 20

// Guesses where a file does not name the NICs: those of the LVS-HOWTO.
const (
	guessedVIPNIC = "eth0"
	guessedDIPNIC = "eth1"
)

// A Note tells about something in the file that is not in the configuration as
// it stands there.
type Note struct {
	File string
	Line int // from 1; 0: the file as a whole
	Text string
}

// String gives file:line: text.
func (n Note) String() string {
	if n.Line == 0 {
		return fmt.Sprintf("%s: %s", n.File, n.Text)
	}
	return fmt.Sprintf("%s:%d: %s", n.File, n.Line, n.Text)
}

// An importer collects what a file says.
type importer struct {
	file   string
	names  ipvsadm.Names
	config config.Config
	notes  []Note
}

func (i *importer) note(line int, format string, args ...any) {
	i.notes = append(i.notes, Note{i.file, line, fmt.Sprintf(format, args...)})
}

// Import reads the text of a file, whose kind it finds out itself; file is what
// notes call it. The configuration is one that config.Parse takes when it is
// written. An error says why there is none.
func Import(file string, text []byte, names ipvsadm.Names) (*config.Config, []Note, error) {
	if len(text) > maxSize {
		return nil, nil, fmt.Errorf("%s: larger than %d MiB", file, maxSize>>20)
	}
	i := &importer{file: file, names: names, config: config.Config{
		Connections: 2097152, Metrics: "127.0.0.1:9105", Guard: config.GuardAuto,
		Timeouts: config.Timeouts{TCP: 900 * time.Second, TCPFIN: 120 * time.Second, UDP: 300 * time.Second},
	}}
	var err error
	switch kindOf(text) {
	case rulesKind:
		i.rules(text)
	case howtoKind:
		err = i.howto(text)
	case keepalivedKind:
		err = i.keepalived(text)
	default:
		err = fmt.Errorf("%s: neither rules of ipvsadm-save, nor a lvs_nat.conf, nor a keepalived.conf with virtual servers", file)
	}
	if err != nil {
		return nil, i.notes, err
	}
	return i.finish()
}

// finish fills in what the file does not say and holds the result to the rules
// of a configuration.
func (i *importer) finish() (*config.Config, []Note, error) {
	c := &i.config
	if c.VIPNIC == "" {
		c.VIPNIC, c.DIPNIC = guessedVIPNIC, guessedDIPNIC
		i.note(0, "names no NICs: vip_nic %s and dip_nic %s are a guess", c.VIPNIC, c.DIPNIC)
	}
	if len(c.Services) == 0 {
		return nil, i.notes, fmt.Errorf("%s: has no service that the director could have", i.file)
	}
	if err := config.Check(c); err != nil {
		return nil, i.notes, fmt.Errorf("%s: %w", i.file, err)
	}
	// Written and read, so that what is printed is known to be good.
	read, err := config.Parse("the configuration", config.Marshal(c))
	if err != nil {
		return nil, i.notes, fmt.Errorf("%s: %w", i.file, problems(err))
	}
	return read, i.notes, nil
}

// problems leaves out places in a text that nobody has seen.
func problems(err error) error {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return err
	}
	var list []error
	for _, e := range joined.Unwrap() {
		var problem *config.Error
		if errors.As(e, &problem) {
			e = fmt.Errorf("%s; %s", problem.Problem, problem.Remedy)
		}
		list = append(list, e)
	}
	return errors.Join(list...)
}

// A kind is what a file is.
type kind int

const (
	unknownKind kind = iota
	rulesKind
	howtoKind
	keepalivedKind
)

// kindOf goes by the first line that only one kind can have.
func kindOf(text []byte) kind {
	for line := range bytes.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		switch {
		case strings.HasPrefix(word, "-") && word != "-", word == "ipvsadm":
			return rulesKind
		case strings.HasPrefix(word, "LVS_TYPE="), strings.HasPrefix(word, "SERVICE="), strings.HasPrefix(word, "VIP="):
			return howtoKind
		case word == "virtual_server" && rest != "":
			return keepalivedKind
		}
	}
	return unknownKind
}

// rules reads what ipvsadm-save writes.
func (i *importer) rules(text []byte) {
	state := ipvsadm.ReadRules(text, i.config.Timeouts, i.names, func(line int, why error) {
		i.note(line, "ignored: %v", why)
	})
	i.config.Services, i.config.Timeouts = state.Services, state.Timeouts
}
