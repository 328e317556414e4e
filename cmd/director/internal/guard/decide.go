package guard

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// A Mode is the operator's wish for the guard.
type Mode string

// The modes, as the configuration writes them.
const (
	Auto Mode = "auto" // with the guard; without it only where the kernel provably cannot interfere
	NFT  Mode = "nft"  // with the guard, or not at all
	None Mode = "none" // without it: the operator's word that it is safe
)

// Facts are what the decision for or against the guard rests on.
type Facts struct {
	Unsupported error        // why the guard cannot be installed; nil: it can
	LocalVIPs   []netip.Addr // VIPs that the kernel owns
	Forwarding  []string     // sysctls that make the kernel forward, such as net.ipv4.ip_forward
}

// Decide says whether the director is to install its guard, and why, in words
// for its log. An error says that it must not run, and what can be done.
func Decide(mode Mode, f Facts) (use bool, why string, err error) {
	switch {
	case mode == None:
		return false, "guard: none in the configuration: the operator keeps the kernel from handling the director's packets", nil
	case f.Unsupported == nil:
		return true, "the kernel is kept out by nft table netdev " + Table, nil
	case mode == NFT:
		return false, "", fmt.Errorf("guard: nft is not possible: %w; mend that, or set guard: none when nothing of the kernel can meet the director's packets", f.Unsupported)
	}
	if reasons := f.interference(); len(reasons) > 0 {
		return false, "", fmt.Errorf("the kernel would handle the director's packets (%s), and the guard against that is not possible: %w; mend that, or take the VIPs off the box and switch forwarding off, or set guard: none",
			strings.Join(reasons, "; "), f.Unsupported)
	}
	return false, fmt.Sprintf("no guard is possible (%v), and none is needed: the kernel owns no VIP and does not forward", f.Unsupported), nil
}

// interference lists what the kernel would do to the director's packets. It
// resets connections to an address that it owns, and forwards replies past the
// director; what is neither its own nor to be forwarded it drops without a
// word (ip_error in net/ipv4/route.c).
func (f Facts) interference() []string {
	var reasons []string
	if len(f.LocalVIPs) > 0 {
		reasons = append(reasons, fmt.Sprintf("it owns %v", f.LocalVIPs))
	}
	if len(f.Forwarding) > 0 {
		reasons = append(reasons, strings.Join(f.Forwarding, ", ")+" = 1")
	}
	return reasons
}

// Gather collects the facts, for the network namespace of the calling thread.
func (g *Guard) Gather(s State) (Facts, error) {
	f := Facts{Unsupported: g.Supported()}
	own := newOwnAddrs(s.Local)
	for _, service := range s.Services {
		for _, vip := range own.in(service.Addr.Prefix()) {
			if !slices.Contains(f.LocalVIPs, vip) {
				f.LocalVIPs = append(f.LocalVIPs, vip)
			}
		}
	}
	// Forwarding is a property of the receiving NIC. The switch for the whole
	// box counts too: a NIC that is created again takes it over.
	sysctls := []string{"ip_forward"}
	for _, nic := range g.nics {
		sysctls = append(sysctls, "conf/"+nic+"/forwarding")
	}
	for _, sysctl := range sysctls {
		value, err := os.ReadFile("/proc/sys/net/ipv4/" + sysctl)
		if err != nil {
			return f, fmt.Errorf("guard: whether the kernel forwards: %w", err)
		}
		if !bytes.Equal(bytes.TrimSpace(value), []byte("0")) {
			f.Forwarding = append(f.Forwarding, "net.ipv4."+strings.ReplaceAll(sysctl, "/", "."))
		}
	}
	return f, nil
}
