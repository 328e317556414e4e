package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	// maxSize holds 30,000 services of 10 realservers, a line each.
	maxSize = 16 << 20 // bytes

	// maxDepth is well above the 6 levels of the deepest key. The parser
	// recurses, and its time and memory grow with the square of the depth: a
	// line of 64 KiB brackets takes 12 s and 6 GB.
	maxDepth = 40

	// maxItems bounds the services and realservers of a file together, which
	// aliases could otherwise multiply: 400,000 suffices for what maxSize holds
	// without them.
	maxItems = 400_000
)

// parse makes the syntax tree of a file and returns its top.
func (d *decoder) parse(text []byte) (value, bool) {
	if len(text) > maxSize {
		d.fail(1, 1, fmt.Sprintf("the file is larger than %d MiB", maxSize>>20), "split it among several directors")
		return value{}, false
	}
	source := strings.TrimPrefix(string(text), "\ufeff")
	if !d.checkText(source) {
		return value{}, false
	}
	tokens := lexer.Tokenize(source)
	if t := tooDeep(tokens); t != nil {
		d.fail(t.Position.Line, t.Position.Column, fmt.Sprintf("this is nested more than %d levels deep", maxDepth), "check the brackets and the indentation")
		return value{}, false
	}
	// Repeated keys are found by fields, which says so in the words of all other messages.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.failSyntax(err)
		return value{}, false
	}
	var root value
	found := false
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if found {
			t := doc.Body.GetToken()
			d.fail(t.Position.Line, 1, "a second document begins here", "keep one document in a file and remove the line ---")
			return value{}, false
		}
		root, found = d.value(doc.Body, "the file", "keys such as vip_nic: eth0"), true
	}
	if !found {
		d.fail(1, 1, "the file is empty", "write at least vip_nic: eth0 and dip_nic: eth1")
	}
	return root, found
}

// checkText refuses what is not text: YAML 1.2.2, section 5.1, allows no
// control characters but tab and line breaks.
func (d *decoder) checkText(source string) bool {
	line, column := 1, 1
	for i, r := range source {
		switch {
		case r == '\n':
			line, column = line+1, 0
		case r == utf8.RuneError && !strings.HasPrefix(source[i:], "\ufffd"):
			d.fail(line, column, fmt.Sprintf("the byte 0x%02x is not UTF-8", source[i]), "save the file as UTF-8 text")
			return false
		case r < ' ' && r != '\t' && r != '\r' || r == 0x7f:
			d.fail(line, column, fmt.Sprintf("the control character 0x%02x is not allowed", r), "remove it")
			return false
		}
		column++
	}
	return true
}

// tooDeep returns the first token that is nested deeper than maxDepth, or nil.
// The depth is that of open brackets, of block columns (each level of a block
// begins further to the right than the one around it), and of anchors and tags
// in a row.
func tooDeep(tokens token.Tokens) *token.Token {
	var columns []int
	brackets, properties, line := 0, 0, 0
	for i, t := range tokens {
		column := t.Position.Column
		switch t.Type {
		case token.CommentType:
			continue
		case token.MappingStartType, token.SequenceStartType:
			brackets++
		case token.MappingEndType, token.SequenceEndType:
			brackets = max(0, brackets-1)
		case token.AnchorType, token.TagType:
			properties++
		default:
			if i == 0 || tokens[i-1].Type != token.AnchorType {
				properties = 0
			}
		}
		marker := t.Type == token.SequenceEntryType || t.Type == token.MappingKeyType
		if brackets == 0 && (marker || t.Position.Line != line) {
			for len(columns) > 0 && columns[len(columns)-1] >= column {
				columns = columns[:len(columns)-1]
			}
			columns = append(columns, column)
		}
		line = t.Position.Line
		if len(columns)+brackets+properties > maxDepth {
			return t
		}
	}
	return nil
}

// failSyntax reports an error of the YAML library.
func (d *decoder) failSyntax(err error) {
	problem, line, column := err.Error(), 1, 1
	var syntax yaml.Error
	if errors.As(err, &syntax) {
		problem = syntax.GetMessage()
		if t := syntax.GetToken(); t != nil {
			line, column = t.Position.Line, t.Position.Column
		}
	}
	remedy := "check indentation and quotes here and in the line above"
	for _, s := range syntaxRemedies {
		if strings.Contains(problem, s.part) {
			remedy = s.remedy
			break
		}
	}
	// The library puts the character itself into its messages.
	problem = strings.ReplaceAll(problem, "'\t'", "tab")
	d.fail(line, column, "not YAML: "+problem, remedy)
}

// syntaxRemedies says what to do about the YAML library's messages, by a part
// of their text.
var syntaxRemedies = []struct{ part, remedy string }{
	{"\t", "indent with spaces"},
	{"tab character", "indent with spaces"},
	{"find end character of", "close the quotes"},
	{"']'", "begin a list with [, separate its entries with commas, and end it with ]"},
	{"'}'", "begin a map with {, separate its entries with commas, and end it with }"},
	{"mapping value is not allowed", "begin each key in the same column as its neighbours, and put quotes around text that holds a colon and a space"},
	{"unexpected key name", "write key: value, with a space after the colon"},
	{"non-map value", "write key: value, with a space after the colon"},
}
