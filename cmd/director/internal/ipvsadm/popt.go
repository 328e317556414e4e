package ipvsadm

import "strings"

// A scanner takes command line words apart as popt does, the library that
// ipvsadm uses (popt.c): short options may be joined (-Ln) and have their value
// joined (-t192.168.1.110:80 or -t=192.168.1.110:80), long options may have it
// after an equals sign, and words that are neither may stand anywhere.
type scanner struct {
	words   []string
	next    int    // index of the next word
	joined  string // what is left of a word of short options
	onlyArg bool   // after --
	args    []string
}

// A parsed option is one that the scanner has found.
type parsed struct {
	option option
	value  string
	given  bool // there is a value
}

// scan returns the next option; ok is false at the end. An error names the word
// that causes it.
func (s *scanner) scan() (p parsed, ok bool, err error) {
	if s.joined == "" && !s.advance() {
		return parsed{}, false, nil
	}
	var known bool
	var value string
	var attached bool // the value stands in the same word
	if s.joined != "" {
		p.option, known = shortOption(s.joined[0])
		value, attached = s.joined[1:], len(s.joined) > 1
		s.joined = ""
		value, equals := strings.CutPrefix(value, "=")
		switch {
		case !known:
		case p.option.value == noValue && equals:
			return p, true, s.fail("option does not take an argument")
		case p.option.value == noValue:
			s.joined, attached = value, false
		}
		return s.finish(p, known, value, attached)
	}
	name, value, attached := strings.Cut(s.word()[2:], "=")
	p.option, known = longOption(name)
	if known && p.option.value == noValue && attached {
		return p, true, s.fail("option does not take an argument")
	}
	return s.finish(p, known, value, attached)
}

// advance finds the next word with an option and puts aside those without. It
// leaves a word of short options in joined.
func (s *scanner) advance() bool {
	for s.next < len(s.words) {
		word := s.words[s.next]
		s.next++
		switch {
		case s.onlyArg || len(word) < 2 || word[0] != '-':
			s.args = append(s.args, word)
		case word == "--":
			s.onlyArg = true
		case word[1] == '-':
			return true
		default:
			s.joined = word[1:]
			return true
		}
	}
	return false
}

// finish gives an option its value, from its own word or the next one.
func (s *scanner) finish(p parsed, known bool, value string, attached bool) (parsed, bool, error) {
	switch {
	case !known:
		return p, true, s.fail("unknown option")
	case p.option.value == noValue:
		return p, true, nil
	case attached:
		p.value, p.given = value, true
		return p, true, nil
	case s.next < len(s.words) && !(p.option.value == mayHaveValue && strings.HasPrefix(s.words[s.next], "-")):
		p.value, p.given = s.words[s.next], true
		s.next++
		return p, true, nil
	case p.option.value == mayHaveValue:
		return p, true, nil
	}
	return p, true, s.fail("missing argument")
}

// word is the word that was looked at last.
func (s *scanner) word() string { return s.words[s.next-1] }

// fail says what is wrong with that word.
func (s *scanner) fail(what string) error {
	return failure{text: s.word() + ": " + what, exit: exitError}
}
