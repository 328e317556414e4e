package test

import (
	"os"
	"path/filepath"
	"testing"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

// Both lvs_nat.conf of the LVS-HOWTO are imported and carry traffic. They are
// for a director with one NIC.
func TestTheHOWTOsFilesAreImportedAndRun(t *testing.T) {
	hosts := filepath.Join(t.TempDir(), "hosts")
	labtest.Must(t, os.WriteFile(hosts, []byte("192.168.1.110 lvs\n10.1.1.2 realserver1\n10.1.1.3 realserver2\n10.1.1.4 realserver3\n"), 0o600))
	for _, c := range []struct {
		file string
		want map[string]map[string]int // by VIP and port, how many of twelve connections each realserver gets
	}{
		{"howto-names.conf", map[string]map[string]int{
			"192.168.1.110:23": {"real1": 4, "real2": 4, "real3": 4},
		}},
		{"howto-addresses.conf", map[string]map[string]int{
			"192.168.1.110:23": {"real1": 12},
			"192.168.1.110:80": {"real1": 6, "real2": 3, "real3": 3},
		}},
	} {
		t.Run(c.file, func(t *testing.T) {
			top := labtest.Build(t, lab.Options{OneNIC: true})
			serveNames(t, top, ":23")
			for i, address := range []string{":80", ":8080", ":80"} {
				labtest.Must(t, top.Realservers[i].ServeName(address))
			}
			text := labtest.Run(t, top.Director, labtest.Binary(t, false), "import", "--hosts", hosts,
				filepath.Join("../cmd/director/internal/importer/testdata", c.file))
			labtest.StartDirector(t, top, labtest.Start{Text: text})
			for address, want := range c.want {
				sameCounts(t, getMany(t, top.Client, address, 12), want)
			}
		})
	}
}
