package peer

import (
	"strings"
	"testing"
)

func TestNamesAreUniqueAndFound(t *testing.T) {
	seen := make(map[string]bool)
	for _, p := range All {
		if seen[p.Name] {
			t.Errorf("two peers are called %s", p.Name)
		}
		seen[p.Name] = true
		if found, err := ByName(p.Name); err != nil || found.Description != p.Description {
			t.Errorf("ByName(%s): %v, %v", p.Name, found.Name, err)
		}
	}
	if _, err := ByName("nonsense"); err == nil || !strings.Contains(err.Error(), "haproxy") {
		t.Errorf("got error %v, want one that lists the names", err)
	}
}
