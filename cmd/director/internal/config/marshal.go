package config

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/token"

	"lvsnat/scheduler"
)

// An entry is one key of a map to be written. Its value is a string, an int, a
// bool, a []string, an []entry (a map) or an [][]entry (a list of maps).
type entry struct {
	name  string
	value any
}

// entries is a map to be written, in the order of the table.
func entries[T any](keys []key[T], from *T) []entry {
	var result []entry
	for _, k := range keys {
		if k.later {
			continue
		}
		if value := k.write(from); value != nil {
			result = append(result, entry{k.name, value})
		}
	}
	return result
}

// list is a list of maps to be written.
func list[T any](keys []key[T], from []T) [][]entry {
	result := make([][]entry, len(from))
	for i := range from {
		result[i] = entries(keys, &from[i])
	}
	return result
}

// Marshal writes a configuration as a file that Parse reads back to the same
// value. Defaults are written, too, but for keys that few services have. c must be
// valid, as Parse returns it or Check finds it.
func Marshal(c *Config) []byte {
	doc := document{Config: *c}
	for _, spec := range c.Services {
		doc.services = append(doc.services, serviceOf(spec))
	}
	var b bytes.Buffer
	writeBlock(&b, entries(directorKeys, &doc), "")
	return b.Bytes()
}

func serviceOf(spec scheduler.ServiceSpec) service {
	s := service{
		address:     virtual{Address: spec.Address},
		protocol:    spec.Protocol,
		scheduler:   spec.Scheduler,
		persistence: spec.Persistence,
		netmask:     netmask{bits: spec.Netmask},
		onePacket:   spec.OnePacket,
		rotateTies:  option[bool]{value: spec.RotateTies},
		slowStart:   option[time.Duration]{value: spec.SlowStart},
	}
	for _, name := range FlagNames(spec.Flags) {
		s.flags = append(s.flags, word{text: name})
	}
	for _, r := range spec.Realservers {
		s.realservers = append(s.realservers, realserver{
			address: endpoint{addr: r.Address.Addr(), port: r.Address.Port()},
			weight:  r.Weight,
			upper:   r.Upper,
			lower:   r.Lower,
		})
	}
	return s
}

// writeBlock writes a map with a line for each key; the first line is indented
// by the caller.
func writeBlock(b *bytes.Buffer, m []entry, indent string) {
	for i, e := range m {
		if i > 0 {
			b.WriteString(indent)
		}
		rows, isList := e.value.([][]entry)
		if !isList || len(rows) == 0 {
			fmt.Fprintf(b, "%s: %s\n", e.name, inline(e.value))
			continue
		}
		fmt.Fprintf(b, "%s:\n", e.name)
		for _, row := range rows {
			fmt.Fprintf(b, "%s  - ", indent)
			if flat(row) {
				fmt.Fprintf(b, "%s\n", inline(row))
			} else {
				writeBlock(b, row, indent+"    ")
			}
		}
	}
}

// flat reports whether a map holds no list and so fits on a line.
func flat(m []entry) bool {
	for _, e := range m {
		if _, isList := e.value.([][]entry); isList {
			return false
		}
	}
	return true
}

// inline writes a value that stands on the line of its key.
func inline(value any) string {
	switch x := value.(type) {
	case string:
		return scalar(x)
	case int:
		return strconv.Itoa(x)
	case bool:
		return strconv.FormatBool(x)
	case []string:
		return "[" + strings.Join(x, ", ") + "]"
	case []entry:
		parts := make([]string, len(x))
		for i, e := range x {
			parts[i] = e.name + ": " + inline(e.value)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return "[]"
}

// scalar quotes a text unless every YAML reader takes it for text as it is. A
// colon is quoted because older readers end a key there within { }.
func scalar(text string) string {
	safe := strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-") == ""
	if safe && !token.IsNeedQuoted(text) {
		return text
	}
	return strconv.Quote(text)
}
