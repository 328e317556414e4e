package guard

import (
	"fmt"
	"net"
	"slices"

	"github.com/google/nftables"
)

// Left lists what there is of a guard, of this process or another, in words for
// the operator.
func Left() ([]string, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("look for the guard: %w", err)
	}
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyNetdev)
	if err != nil {
		return nil, fmt.Errorf("look for the guard: %w", err)
	}
	var left []string
	if slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == Table }) {
		left = append(left, "nft table netdev "+Table)
	}
	holders, err := qdiscs()
	if err != nil {
		return nil, fmt.Errorf("look for the guard: %w", err)
	}
	for _, q := range holders {
		is, err := classified(q.index)
		if err != nil {
			return nil, err
		}
		if nic, err := net.InterfaceByIndex(q.index); is && err == nil {
			left = append(left, "tc filter on "+nic.Name)
		}
	}
	return left, nil
}
