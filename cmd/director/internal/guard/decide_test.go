package guard

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestDecide(t *testing.T) {
	unsupported := errors.New("no nftables here")
	owned := []netip.Addr{netip.MustParseAddr("192.0.2.10")}
	forwarding := []string{"net.ipv4.ip_forward"}
	for _, tt := range []struct {
		name    string
		mode    Mode
		facts   Facts
		use     bool
		why     string
		refused []string // words of the error
	}{
		{"auto uses the guard where it can", Auto, Facts{LocalVIPs: owned, Forwarding: forwarding}, true, "table netdev lvsnat", nil},
		{"auto goes on without where the kernel cannot interfere", Auto, Facts{Unsupported: unsupported}, false, "owns no VIP and does not forward", nil},
		{"auto refuses when the kernel owns a VIP", Auto, Facts{Unsupported: unsupported, LocalVIPs: owned}, false, "",
			[]string{"192.0.2.10", "no nftables here", "guard: none"}},
		{"auto refuses when the kernel forwards", Auto, Facts{Unsupported: unsupported, Forwarding: forwarding}, false, "",
			[]string{"net.ipv4.ip_forward = 1", "no nftables here"}},
		{"nft uses the guard", NFT, Facts{}, true, "table netdev lvsnat", nil},
		{"nft refuses without it, even where it is not needed", NFT, Facts{Unsupported: unsupported}, false, "", []string{"guard: nft", "no nftables here"}},
		{"none never uses it", None, Facts{LocalVIPs: owned, Forwarding: forwarding}, false, "operator", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			use, why, err := Decide(tt.mode, tt.facts)
			if use != tt.use || !strings.Contains(why, tt.why) {
				t.Errorf("use %v because %q, want %v because %q", use, why, tt.use, tt.why)
			}
			if (err != nil) != (tt.refused != nil) {
				t.Fatalf("error %v", err)
			}
			for _, word := range tt.refused {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("error %q does not name %q", err, word)
				}
			}
		})
	}
}

func TestGatherReadsTheNamespace(t *testing.T) {
	box := newBox(t)
	g := box.guard(t)
	gather := func() (f Facts) {
		box.Do(func() {
			var err error
			if f, err = g.Gather(handled); err != nil {
				t.Fatal(err)
			}
		})
		return f
	}
	f := gather()
	if f.Unsupported != nil {
		t.Errorf("unsupported: %v", f.Unsupported)
	}
	if !slices.Equal(f.LocalVIPs, []netip.Addr{netip.MustParseAddr(ownVIP), netip.MustParseAddr(wholeVIP), inRange1, inRange2}) {
		t.Errorf("the kernel's VIPs: %v", f.LocalVIPs)
	}
	want := []string{"net.ipv4.ip_forward", "net.ipv4.conf.eth0.forwarding", "net.ipv4.conf.eth1.forwarding"}
	if !slices.Equal(f.Forwarding, want) {
		t.Errorf("forwarding: %v, want %v", f.Forwarding, want)
	}
	box.Sysctl("ipv4/ip_forward", 0)
	box.Sysctl("ipv4/conf/eth1/forwarding", 1)
	if f := gather(); !slices.Equal(f.Forwarding, []string{"net.ipv4.conf.eth1.forwarding"}) {
		t.Errorf("forwarding: %v, want eth1's", f.Forwarding)
	}
}
