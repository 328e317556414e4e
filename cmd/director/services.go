package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lvsnat/cmd/director/internal/control"
)

func servicesCommand(c *common) *cobra.Command {
	return c.wantsJSON(&cobra.Command{
		Use:   "services",
		Short: "List virtual services and their realservers",
		Args:  cobra.NoArgs,
		RunE: action(func(command *cobra.Command) error {
			services, err := control.NewClient(c.stateDir).Services(command.Context())
			if err != nil {
				return err
			}
			if c.json {
				return writeJSON(command.OutOrStdout(), services)
			}
			return writeServices(command.OutOrStdout(), services.Services)
		}),
	})
}

// writeServices writes a line for each service and, below it, one for each of
// its realservers, as LVS's people know it from ipvsadm -L.
func writeServices(w io.Writer, services []control.Service) error {
	t := newTable(w)
	fmt.Fprintln(t, "Prot\tService / Realserver\tScheduler / Weight\tActive\tInactive\tConnections\tRequests\tReplies\tRequest bytes\tReply bytes")
	for _, s := range services {
		fmt.Fprintf(t, "%s\t%s\t%s\t\t\t%s\n", strings.ToUpper(s.Protocol), s.Address, s.Scheduler, traffic(s.Traffic))
		for _, rs := range s.Realservers {
			weight := fmt.Sprint(rs.Weight)
			if rs.Removed {
				weight = "removed"
			}
			fmt.Fprintf(t, "  ->\t%s\t%s\t%d\t%d\t%s\n", rs.Address, weight, rs.Active, rs.Inactive, traffic(rs.Traffic))
		}
	}
	return t.Flush()
}

func traffic(t control.Traffic) string {
	return fmt.Sprintf("%d\t%d\t%d\t%d\t%d", t.Connections, t.RequestPackets, t.ReplyPackets, t.RequestBytes, t.ReplyBytes)
}
