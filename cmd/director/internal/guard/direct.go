package guard

import (
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Who talks to a realserver directly, at the very port of a service and through
// the director as a router, gets answers that look like replies: from that port,
// to be forwarded. They are the kernel's, as they are under IPVS, which has no
// connection for them. What tells them apart is that the packets of the other
// direction came this way, too, addressed to the realserver and not to a VIP. So
// these leave their addresses and ports in a set of the kernel's, and the guard
// lets pass what goes back. Of an answer in fragments only the first passes,
// because the later ones have no ports.
const (
	// directTimeout is how long a direct conversation may be without a packet
	// to the realserver.
	directTimeout = time.Hour

	// directSize bounds the set. When it is full, conversations that are not in
	// it are held back.
	directSize = 1 << 16
)

// newDirect makes the set: a realserver's address, protocol and port, and its
// peer's address and port.
func newDirect(t *nftables.Table) *nftables.Set {
	return &nftables.Set{
		Table: t, Name: "direct", Concatenation: true,
		KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService,
			nftables.TypeIPAddr, nftables.TypeInetService),
		Dynamic: true, HasTimeout: true, Timeout: directTimeout, Size: directSize,
	}
}

// fromRealserver loads both ends of what a realserver sends, its own first.
func fromRealserver() []expr.Any {
	return slices.Concat(network(saddrOffset, 4, reg0), protocol(reg1), transport(sportOffset, 2, reg2),
		network(daddrOffset, 4, reg3), transport(dportOffset, 2, reg4))
}

// toRealserver loads the same of what is sent to a realserver.
func toRealserver() []expr.Any {
	return slices.Concat(network(daddrOffset, 4, reg0), protocol(reg1), transport(dportOffset, 2, reg2),
		network(saddrOffset, 4, reg3), transport(sportOffset, 2, reg4))
}

// notDirect matches unless the loaded ends talk directly.
func (r *ruleset) notDirect() []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: reg0, SetName: r.direct.Name, SetID: r.direct.ID, Invert: true}}
}

// remember enters the loaded ends among those that talk directly when the
// realserver's is in the set, or keeps them there for longer.
func (r *ruleset) remember(set int, key []expr.Any) []expr.Any {
	return slices.Concat(key, r.in(set), []expr.Any{
		&expr.Dynset{SrcRegKey: reg0, SetName: r.direct.Name, SetID: r.direct.ID, Operation: unix.NFT_DYNSET_OP_UPDATE},
	})
}
