package ipvsadm

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"lvsnat/cmd/director/internal/control"
)

// listConnections writes the connection table, as it comes from the director
// and without keeping it.
func (f format) listConnections(ctx context.Context, p *printer, d Director, withEngine bool) error {
	p.printf("IPVS connection entries\n")
	if withEngine {
		p.printf("pro expire %-11s %-18s %-18s %-18s %-16s %s\n", "state", "source", "virtual", "destination", "pe name", "pe_data")
	} else {
		p.printf("pro expire %-11s %-18s %-18s %s\n", "state", "source", "virtual", "destination")
	}
	_, err := d.Connections(ctx, control.Filter{}, func(c control.Connection) error {
		if err := f.connection(p, c); err != nil {
			return err
		}
		return p.err
	})
	return err
}

func (f format) connection(p *printer, c control.Connection) error {
	protocol := uint8(tcp)
	if c.Protocol == "udp" {
		protocol = udp
	}
	var ends [3]string
	for i, text := range []string{c.Client, c.Virtual, c.Real} {
		address, err := netip.ParseAddrPort(text)
		if err != nil {
			return fmt.Errorf("the director's listing of connections: %w", err)
		}
		ends[i] = f.endpoint(address, protocol)
	}
	// Minutes and seconds, of whole seconds that are left.
	seconds := c.ExpiresMs / 1000
	p.printf("%-3s %-6s %-11s %-18s %-18s %s\n", strings.ToUpper(c.Protocol),
		fmt.Sprintf("%02d:%02d", seconds/60, seconds%60), c.State, ends[0], ends[1], ends[2])
	return nil
}
