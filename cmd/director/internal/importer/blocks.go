package importer

import (
	"fmt"
	"strings"
)

// A statement is a line of a keepalived.conf, with the block that follows it.
type statement struct {
	line  int
	words []string
	block []statement
}

// maxDepth bounds how deep blocks lie in one another.
const maxDepth = 20

// A blockReader takes a keepalived.conf apart: words on lines, blocks between
// braces, remarks after # or !.
type blockReader struct {
	tokens []token
}

// A token is a word, a brace or the end of a line.
type token struct {
	line int
	text string // "\n": the end of the line
}

func readBlocks(text string) ([]statement, error) {
	r := &blockReader{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		for _, word := range words(line) {
			r.tokens = append(r.tokens, token{number, word})
		}
		r.tokens = append(r.tokens, token{number, "\n"})
	}
	list, err := r.block(0)
	if err == nil && len(r.tokens) > 0 {
		err = fmt.Errorf("%d: a block ends here that has not begun", r.tokens[0].line)
	}
	return list, err
}

// words takes a line apart. Text between double quotes is one word.
func words(line string) []string {
	var list []string
	for {
		line = strings.TrimLeft(line, " \t\r\n")
		switch {
		case line == "" || line[0] == '#' || line[0] == '!':
			return list
		case line[0] == '{' || line[0] == '}':
			list, line = append(list, line[:1]), line[1:]
		case line[0] == '"':
			text, rest, _ := strings.Cut(line[1:], `"`)
			list, line = append(list, text), rest
		default:
			end := strings.IndexAny(line, " \t\r\n{}\"")
			if end < 0 {
				end = len(line)
			}
			list, line = append(list, line[:end]), line[end:]
		}
	}
}

// block reads statements up to the brace that ends them, which it leaves.
func (r *blockReader) block(depth int) ([]statement, error) {
	var list []statement
	fresh := true // the next word begins a statement
	for len(r.tokens) > 0 {
		t := r.tokens[0]
		switch {
		case t.text == "}":
			return list, nil
		case t.text == "\n":
			fresh = true
		case t.text == "{" && len(list) == 0:
			return nil, fmt.Errorf("%d: a block begins here without a name", t.line)
		case t.text == "{":
			if depth == maxDepth {
				return nil, fmt.Errorf("%d: blocks lie more than %d deep in one another", t.line, maxDepth)
			}
			r.tokens = r.tokens[1:]
			inner, err := r.block(depth + 1)
			if err != nil {
				return nil, err
			}
			if len(r.tokens) == 0 {
				return nil, fmt.Errorf("%d: the block that begins here does not end", t.line)
			}
			list[len(list)-1].block = inner
			fresh = true
		case fresh:
			list = append(list, statement{line: t.line, words: []string{t.text}})
			fresh = false
		default:
			last := &list[len(list)-1]
			last.words = append(last.words, t.text)
		}
		r.tokens = r.tokens[1:]
	}
	return list, nil
}
