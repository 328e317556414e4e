package names

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
)

// ReadHosts reads the IPv4 addresses of a file like hosts(5). Of two lines for
// one name the first counts; lines that are not understood are passed over.
func ReadHosts(path string) (map[string]netip.Addr, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read hosts: %w", err)
	}
	hosts := make(map[string]netip.Addr)
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(fields[0])
		if err != nil || !addr.Is4() {
			continue
		}
		for _, name := range fields[1:] {
			if _, known := hosts[name]; !known {
				hosts[name] = addr
			}
		}
	}
	return hosts, nil
}
