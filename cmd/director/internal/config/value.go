package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// A decoder holds what is known of one file while it is read.
type decoder struct {
	file     string
	problems []*Error
	anchors  map[string]ast.Node // nil: the value was refused
	items    int                 // list entries that may still come
}

func (d *decoder) fail(line, column int, problem, remedy string) {
	d.problems = append(d.problems, &Error{d.file, line, column, shorten(problem), shorten(remedy)})
}

// shorten leaves out the middle of a long sentence, where it quotes the file.
func shorten(sentence string) string {
	const most, part = 300, 140 // bytes
	if len(sentence) <= most {
		return sentence
	}
	head, tail := sentence[:part], sentence[len(sentence)-part:]
	return strings.ToValidUTF8(head, "") + " [...] " + strings.ToValidUTF8(tail, "")
}

// A value is one value of the file with its place and the words for messages
// about it. Its accessors report what is wrong and return false; on a value
// that was already reported they only return false.
type value struct {
	d            *decoder
	node         ast.Node // neither anchor nor alias; nil: already reported
	line, column int
	name         string // "weight", "a realserver"
	example      string // a right way to write it: "weight: 1"
}

// value looks up node's place and follows its anchors and aliases.
func (d *decoder) value(node ast.Node, name, example string) value {
	v := value{d: d, name: name, example: example}
	v.line, v.column = place(node)
	v.node = d.resolve(node)
	if v.node != nil {
		v.line, v.column = place(v.node)
	}
	return v
}

// place returns where the text of a node begins.
func place(node ast.Node) (line, column int) {
	t := node.GetToken()
	if m, ok := node.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		t = m.Values[0].Key.GetToken() // the map's own token is the first colon
	}
	if t == nil || t.Position == nil {
		return 1, 1
	}
	return t.Position.Line, t.Position.Column
}

// resolve follows anchors and aliases. A list or map may hold an alias of
// itself; that ends at the depth of the tables, where a list is no address.
func (d *decoder) resolve(node ast.Node) ast.Node {
	line, column := place(node)
	switch n := node.(type) {
	case *ast.AnchorNode:
		inner := d.resolve(n.Value)
		d.anchors[n.Name.GetToken().Value] = inner
		return inner
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		target, ok := d.anchors[name]
		if !ok {
			d.fail(line, column, fmt.Sprintf("the alias *%s has no anchor", name), fmt.Sprintf("write &%s before the value that it stands for, further up in the file", name))
		}
		return target
	case *ast.TagNode:
		d.fail(line, column, fmt.Sprintf("the tag %s is not supported", n.Start.Value), "remove it")
		return nil
	}
	return node
}

// fail reports a problem with the value. An empty remedy stands for the
// value's example.
func (v value) fail(problem, remedy string) {
	if remedy == "" {
		remedy = "write " + v.example
	}
	v.d.fail(v.line, v.column, problem, remedy)
}

// failKind reports that the value is of a wrong kind.
func (v value) failKind() {
	if v.node != nil {
		v.fail(v.name+" is "+kind(v.node), "")
	}
}

// kind tells what a value is in an operator's words.
func kind(node ast.Node) string {
	switch n := node.(type) {
	case *ast.NullNode:
		return "empty"
	case *ast.MappingNode:
		return "a map"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode:
		return "the text " + strconv.Quote(n.Value)
	case *ast.LiteralNode:
		return "a block of text"
	case *ast.BoolNode:
		return "the truth value " + n.Token.Value
	}
	return "the number " + node.GetToken().Value
}

// empty reports whether nothing is written after the key.
func (v value) empty() bool {
	_, ok := v.node.(*ast.NullNode)
	return ok
}

// text returns the value of a text.
func (v value) text() (string, bool) {
	n, ok := v.node.(*ast.StringNode)
	if !ok {
		v.failKind()
		return "", false
	}
	return n.Value, true
}

// word reads a text that must be one of words.
func (v value) word(to *string, words ...string) bool {
	text, ok := v.text()
	if !ok {
		return false
	}
	if !slices.Contains(words, text) {
		v.fail(fmt.Sprintf("%s %q is not known", v.name, text), "write "+alternatives(words))
		return false
	}
	*to = text
	return true
}

// truth reads true or false.
func (v value) truth(to *bool) {
	n, ok := v.node.(*ast.BoolNode)
	if !ok {
		v.failKind()
		return
	}
	*to = n.Value
}

// A word is a text with the place where it stands.
type word struct {
	text         string
	line, column int
}

// An option is a value with the place where it stands, for a rule between it
// and other keys.
type option[T any] struct {
	value        T
	line, column int
}

func (o *option[T]) at(v value) { o.line, o.column = v.line, v.column }

func texts(words []word) []string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = w.text
	}
	return list
}

// integer reads a whole number from least to most. It takes decimal
// digits only: YAML's 010, 0x10 and 1_0 are three different numbers, which no
// one who writes a weight expects.
func (v value) integer(least, most int, to *int) {
	digits, ok := v.digits()
	if !ok {
		v.failKind()
		return
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < least || n > most {
		v.fail(fmt.Sprintf("%s %s is out of range", v.name, digits), fmt.Sprintf("write a number from %d to %d", least, most))
		return
	}
	*to = n
}

// digits returns the text of a plain decimal number, which may be too large
// for any type of the library's.
func (v value) digits() (string, bool) {
	if v.node == nil {
		return "", false
	}
	t := v.node.GetToken()
	if t.Type != token.IntegerType && t.Type != token.StringType {
		return "", false
	}
	digits := strings.TrimPrefix(t.Value, "-")
	if digits == "" || digits != "0" && digits[0] == '0' || strings.Trim(digits, "0123456789") != "" {
		return "", false
	}
	return t.Value, true
}

// seconds reads a duration of whole seconds from 1 s to most.
func (v value) seconds(most time.Duration, to *time.Duration) {
	if digits, ok := v.digits(); ok {
		v.fail(fmt.Sprintf("%s %s has no unit", v.name, digits), fmt.Sprintf("write %ss for seconds", digits))
		return
	}
	text, ok := v.text()
	if !ok {
		return
	}
	duration, err := time.ParseDuration(text)
	switch {
	case err != nil:
		v.fail(fmt.Sprintf("%s %q is not a duration", v.name, text), "write a number with its unit, such as 900s, 15m or 1h30m")
	case duration < time.Second || duration > most:
		v.fail(fmt.Sprintf("%s %s is out of range", v.name, text), fmt.Sprintf("write a duration from 1s to %s", inSeconds(most)))
	case duration%time.Second != 0:
		v.fail(fmt.Sprintf("%s %s is not a number of whole seconds", v.name, text), "write "+inSeconds(duration.Round(time.Second)))
	default:
		*to = duration
	}
}

// each calls visit with the entries of a list, which may be empty, in their
// order. The words are those for messages about an entry.
func (v value) each(name, example string, visit func(value)) {
	if v.empty() {
		return
	}
	n, ok := v.node.(*ast.SequenceNode)
	if !ok {
		v.failKind()
		return
	}
	if v.d.items -= len(n.Values); v.d.items < 0 {
		v.fail(fmt.Sprintf("services and realservers are more than %d up to here", maxItems), "split the file among several directors")
		return
	}
	for _, node := range n.Values {
		visit(v.d.value(node, name, example))
	}
}

// alternatives joins words: "a", "a or b", "a, b or c".
func alternatives(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
