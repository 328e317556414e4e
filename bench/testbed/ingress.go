package testbed

import (
	"context"
	"fmt"
	"strings"

	"lvsnat/test/lab"
)

// Drop has a host drop packets as they come in on NICs: those that match, an
// nft expression. Whoever taps the NICs still sees them. What happens to a
// packet after its arrival is not a peer's cost, so the rule does as little as
// a rule can. A host drops for one caller at a time; the returned function ends
// it.
func Drop(ctx context.Context, host *lab.Host, match string, nics ...string) (func(context.Context) error, error) {
	lines := []string{"table netdev " + dropTable + " {"}
	for _, nic := range nics {
		lines = append(lines,
			"	chain "+nic+" {",
			"		type filter hook ingress device "+nic+" priority 0",
			"		"+match+" drop",
			"	}")
	}
	if err := NFT(ctx, host, append(lines, "}")...); err != nil {
		return nil, fmt.Errorf("drop %s on %s of %s: %w", match, strings.Join(nics, ", "), host.Name, err)
	}
	return func(ctx context.Context) error { return NFT(ctx, host, "delete table netdev "+dropTable) }, nil
}

const dropTable = "lvsnat_bench"
