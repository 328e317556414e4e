package ipvsadm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// restore carries out a line of options for each command, all of them as one
// change: between two lines nobody sees half of it, and when a line is wrong,
// nothing has changed. What the director refuses, such as a service that is
// there already, is reported and passed over, as ipvsadm does.
func (p *Program) restore(ctx context.Context, rules io.Reader, dry bool) int {
	commands, err := p.readRules(rules)
	if err != nil {
		return p.end(err)
	}
	return p.carryOut(ctx, commands, dry)
}

// RestoreWhole makes the services those of the rules on stdin and no others, as
// ipvsadm-restore does, but as one change that leaves alone what stays. Lines
// that begin with # are remarks. It returns the exit code.
func (p *Program) RestoreWhole(ctx context.Context, args []string) int {
	c, err := parse(p.Name, append([]string{"--restore"}, args...), p.Names)
	if err != nil {
		return p.end(err)
	}
	commands, err := p.readRules(p.Stdin)
	if err != nil {
		return p.end(err)
	}
	return p.carryOut(ctx, append([]*command{{verb: clearAll}}, commands...), c.given[dryRun])
}

func (p *Program) readRules(r io.Reader) ([]*command, error) {
	var commands []*command
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		words := ruleWords(lines.Text())
		if len(words) == 0 {
			continue
		}
		c, err := parse(p.Name, words, p.Names)
		if err == nil && c.verb == restore {
			err = tryHelp(p.Name) // rules cannot read rules
		}
		var answer answer
		if err != nil && !errors.As(err, &answer) {
			return nil, failure{fmt.Sprintf("%v\nline %d: nothing was changed", err, n), exitOf(err)}
		}
		if err != nil {
			return nil, err
		}
		commands = append(commands, c)
	}
	if err := lines.Err(); err != nil {
		return nil, failure{fmt.Sprintf("read rules: %v; nothing was changed", err), exitError}
	}
	return commands, nil
}

// ruleWords takes a line of rules apart. It may begin with the program's name
// and end with a comment.
func ruleWords(line string) []string {
	words := strings.Fields(line)
	if i := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "#") }); i >= 0 {
		words = words[:i]
	}
	return slices.DeleteFunc(words, func(w string) bool { return w == "ipvsadm" })
}
