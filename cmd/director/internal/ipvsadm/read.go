package ipvsadm

import (
	"bufio"
	"bytes"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/control"
)

// ReadRules carries out rules, as ipvsadm-save writes them, on nothing and
// returns what comes of it. Timeouts are those given. What is not understood,
// or cannot be carried out, is passed over and told with its line, from 1.
func ReadRules(text []byte, timeouts config.Timeouts, names Names, ignored func(line int, why error)) control.State {
	t := newTable(control.State{Timeouts: timeouts})
	lines := bufio.NewScanner(bytes.NewReader(text))
	// A line may be as long as the text.
	lines.Buffer(nil, len(text)+1)
	for n := 1; lines.Scan(); n++ {
		words := ruleWords(lines.Text())
		if len(words) == 0 {
			continue
		}
		c, err := parse("ipvsadm", words, names)
		if err == nil && !c.changes() {
			err = usage("a listing has no place in a file of rules")
		}
		if err == nil {
			err = t.change(c)
		}
		if err != nil {
			ignored(n, err)
		}
	}
	return t.State
}
