package config

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// A key is one key of a map of the file: how it is read into a T and how it is
// written from one.
type key[T any] struct {
	name     string
	example  string // a right value, for messages
	required bool
	later    bool // of the contract, but refused by its name until it works
	read     func(v value, to *T)
	write    func(from *T) any // the value for an entry
}

// fields reads a map with the keys of a table.
func fields[T any](v value, keys []key[T], to *T) {
	m, ok := v.node.(*ast.MappingNode)
	if !ok {
		v.failKind()
		return
	}
	seen := make(map[string]int, len(m.Values)) // lines of the keys
	meant := make(map[string]bool)              // keys that were misspelt, so not forgotten
	for _, entry := range m.Values {
		line, column := place(entry.Key)
		k := find(keys, entry.Key)
		if k == nil {
			meant[failKey(v.d, entry.Key, keys)] = true
			continue
		}
		if k.later {
			v.d.fail(line, column, k.name+" is not supported yet", "remove it")
			continue
		}
		if first, ok := seen[k.name]; ok {
			v.d.fail(line, column, fmt.Sprintf("%s is set a second time, first in line %d", k.name, first), "remove one of the two")
			continue
		}
		seen[k.name] = line
		k.read(v.d.value(entry.Value, k.name, k.name+": "+k.example), to)
	}
	for _, k := range keys {
		if k.required && seen[k.name] == 0 && !meant[k.name] {
			v.fail(fmt.Sprintf("%s is missing", k.name), fmt.Sprintf("write %s: %s", k.name, k.example))
		}
	}
}

// find returns the table's entry for a key, or nil.
func find[T any](keys []key[T], node ast.MapKeyNode) *key[T] {
	n, ok := node.(*ast.StringNode)
	if !ok {
		return nil
	}
	for i := range keys {
		if keys[i].name == n.Value {
			return &keys[i]
		}
	}
	return nil
}

// failKey reports a key that the table has not, and returns the one that was
// likely meant, or nothing.
func failKey[T any](d *decoder, node ast.MapKeyNode, keys []key[T]) string {
	line, column := place(node)
	if node.IsMergeKey() {
		d.fail(line, column, "merge keys (<<) are not supported", "write the keys out, or give a whole list or map an anchor and an alias")
		return ""
	}
	n, ok := node.(*ast.StringNode)
	if !ok {
		d.fail(line, column, fmt.Sprintf("%q cannot begin a key", node.GetToken().Value), "write a key as plain text")
		return ""
	}
	var known []string
	for _, k := range keys {
		if !k.later {
			known = append(known, k.name)
		}
	}
	remedy := "known here are " + strings.Join(known, ", ")
	meant := nearest(n.Value, known)
	if meant != "" {
		remedy = fmt.Sprintf("did you mean %s?", meant)
	}
	d.fail(line, column, fmt.Sprintf("unknown key %q", n.Value), remedy)
	return meant
}

// nearest returns the word that was likely meant by name, or nothing: at most
// two letters and a third of the word are wrong, missing, too many or swapped.
// Case, '-' for '_' and a plural's s do not count.
func nearest(name string, words []string) string {
	name = plain(name)
	best, least := "", 3
	for _, word := range words {
		w := plain(word)
		// The difference in length is part of the distance; this keeps a
		// name of any length from being compared.
		if len(name)-len(w) > 2 || len(w)-len(name) > 2 {
			continue
		}
		if n := distance(name, w); n < least && n <= len(w)/3 {
			best, least = word, n
		}
	}
	return best
}

func plain(name string) string {
	return strings.TrimSuffix(strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name)), "s")
}

// distance is the optimal string alignment distance of a and b, in bytes.
func distance(a, b string) int {
	// rows[i][j] is the distance of the first i bytes of a and the first j of b.
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
