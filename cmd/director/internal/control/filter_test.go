package control

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"lvsnat/dataplane"
)

func TestAFilterSurvivesTheWayToTheDirector(t *testing.T) {
	endpoint := rapid.Custom(func(t *rapid.T) Endpoint {
		e := Endpoint{Port: rapid.Uint16().Draw(t, "port")}
		if e.Port != 0 && e.Port < 65535 && rapid.Bool().Draw(t, "range") {
			e.LastPort = rapid.Uint16Min(e.Port+1).Draw(t, "last port")
		}
		if rapid.Bool().Draw(t, "prefix") {
			addr := Addr(rapid.Uint32().Draw(t, "addr"))
			e.Prefix = netip.PrefixFrom(addr, rapid.IntRange(0, 32).Draw(t, "bits")).Masked()
		}
		return e
	})
	rapid.Check(t, func(t *rapid.T) {
		want := Filter{
			Client:  endpoint.Draw(t, "client"),
			Virtual: endpoint.Draw(t, "virtual"),
			Real:    endpoint.Draw(t, "real"),
			State:   rapid.SampledFrom([]string{"", "ESTABLISHED", "UDP"}).Draw(t, "state"),
			Limit:   rapid.IntRange(0, 1_000_000).Draw(t, "limit"),
		}
		got, err := parseFilter(want.query())
		if err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestAListingAskedForWithoutALimitIsBounded(t *testing.T) {
	f, err := parseFilter(nil)
	if err != nil || f.Limit != DefaultLimit {
		t.Errorf("limit %d, error %v", f.Limit, err)
	}
}

func FuzzParseEndpoint(f *testing.F) {
	for _, seed := range []string{"", "192.168.1.254", "192.168.1.77/24", "10.1.1.2:8000", ":80", "::1", "[::1]:80", "1.2.3.4/33:1", "a:b:c", "1.2.3.4:0", "192.168.1.96/28:5000-5999", ":9-1", ":0-9"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := ParseEndpoint(text)
		if err != nil {
			return
		}
		again, err := ParseEndpoint(e.String())
		if err != nil || again != e {
			t.Fatalf("%q is %+v, which written as %q is %+v, %v", text, e, e, again, err)
		}
		if e.Prefix.IsValid() {
			addr := e.Prefix.Addr().As4()
			first := uint32(addr[0])<<24 | uint32(addr[1])<<16 | uint32(addr[2])<<8 | uint32(addr[3])
			if !(Filter{Client: e}).matches(dataplane.Connection{ClientAddr: first, ClientPort: e.Port}) {
				t.Fatalf("%q does not match its own first address", text)
			}
		}
	})
}
