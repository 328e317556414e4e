package traffic

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Listing makes the rows of a list out of what ipvsadm says: of all that it
// lists only what belongs to the VIP.
//
//	plain        ipvsadm -Ln
//	stats        ipvsadm -Ln --stats --exact
//	connections  ipvsadm -Lnc
func Listing(vip netip.Addr, plain, stats, connections string) ([]string, error) {
	rows := ofVIP(vip, plain)
	counted := ofVIP(vip, stats)
	if len(rows) != len(counted) {
		return nil, fmt.Errorf("ipvsadm -Ln has %d rows of %v, with --stats %d", len(rows), vip, len(counted))
	}
	for i := range rows {
		// Protocol and address, or arrow and address, then the connections.
		words := strings.Fields(counted[i])
		if len(words) < 3 || !strings.HasPrefix(rows[i], words[0]+" "+words[1]+" ") {
			return nil, fmt.Errorf("ipvsadm -Ln says %q where --stats says %q", rows[i], counted[i])
		}
		rows[i] += " = " + words[2]
	}
	var table []string
	for line := range strings.Lines(connections) {
		// Protocol, expiry, state, client, virtual end, realserver's.
		words := strings.Fields(line)
		if len(words) != 6 {
			continue
		}
		if virtual, err := netip.ParseAddrPort(words[4]); err == nil && virtual.Addr() == vip {
			table = append(table, strings.Join(words, " "))
		}
	}
	slices.SortFunc(table, func(a, b string) int { return strings.Compare(identity(a), identity(b)) })
	return append(rows, table...), nil
}

// ofVIP returns the rows of a VIP's services and their realservers.
func ofVIP(vip netip.Addr, listing string) []string {
	var rows []string
	ours := false
	for line := range strings.Lines(listing) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		if words[0] != "->" {
			address, err := netip.ParseAddrPort(words[1])
			ours = err == nil && address.Addr() == vip
		}
		if ours {
			rows = append(rows, strings.Join(words, " "))
		}
	}
	return rows
}

// identity is what a row is about, without what changes.
func identity(row string) string {
	words := strings.Fields(row)
	if _, ok := ParseEntry(row); ok {
		return words[0] + " " + strings.Join(words[3:], " ")
	}
	return words[0] + " " + words[1]
}

// An Entry is a row of the connection table.
type Entry struct {
	Protocol string // TCP or UDP
	Seconds  int    // until it expires
	State    string
	Client   netip.AddrPort // port 0: a template
	Virtual  netip.AddrPort
	Real     netip.AddrPort
}

// ParseEntry reads a row of a listing. It returns false for one that is none of
// the connection table.
func ParseEntry(row string) (e Entry, ok bool) {
	words := strings.Fields(row)
	if len(words) != 6 || words[0] == "->" {
		return e, false
	}
	var minutes, seconds int
	if _, err := fmt.Sscanf(words[1], "%d:%d", &minutes, &seconds); err != nil {
		return e, false
	}
	e = Entry{Protocol: words[0], Seconds: minutes*60 + seconds, State: words[2]}
	for i, end := range []*netip.AddrPort{&e.Client, &e.Virtual, &e.Real} {
		var err error
		if *end, err = netip.ParseAddrPort(words[3+i]); err != nil {
			return e, false
		}
	}
	return e, true
}

// leeway is by how many seconds the expiry of an entry may differ: the kernel saw
// a packet up to a second and a half after the time that is written down, the
// time of a listing is in the middle of the program's run, and both round.
const leeway = 3

// Compare returns the pairs of rows in which two listings differ; what one of
// them lacks is empty.
func Compare(want, got []string) (pairs [][2]string) {
	found := byIdentity(got)
	for name, row := range byIdentity(want) {
		if !Alike(row, found[name]) {
			pairs = append(pairs, [2]string{row, found[name]})
		}
		delete(found, name)
	}
	for _, row := range found {
		pairs = append(pairs, [2]string{"", row})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return strings.Compare(a[0]+a[1], b[0]+b[1]) })
	return pairs
}

// byIdentity gives each row a name that no other has.
func byIdentity(rows []string) map[string]string {
	named := make(map[string]string, len(rows))
	service := ""
	for _, row := range rows {
		name := identity(row)
		if strings.HasPrefix(row, "->") {
			name = service + name
		} else {
			service = name
		}
		for named[name] != "" {
			name += "+"
		}
		named[name] = row
	}
	return named
}

// Alike reports whether two rows say the same. The expiry of an entry may differ
// by a little.
func Alike(a, b string) bool {
	if a == b {
		return true
	}
	x, isEntry := ParseEntry(a)
	y, alsoEntry := ParseEntry(b)
	return isEntry && alsoEntry && identity(a) == identity(b) && x.State == y.State &&
		max(x.Seconds-y.Seconds, y.Seconds-x.Seconds) <= leeway
}
