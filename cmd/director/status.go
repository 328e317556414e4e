package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"lvsnat/cmd/director/internal/control"
)

func statusCommand(c *common) *cobra.Command {
	return c.wantsJSON(&cobra.Command{
		Use:   "status",
		Short: "Show how a running director is",
		Args:  cobra.NoArgs,
		RunE: action(func(command *cobra.Command) error {
			status, err := control.NewClient(c.stateDir).Status(command.Context())
			if err != nil {
				return err
			}
			if c.json {
				return writeJSON(command.OutOrStdout(), status)
			}
			return writeStatus(command.OutOrStdout(), status)
		}),
	})
}

// writeStatus writes the status for people, in blocks: the whole, NICs, VIPs,
// what became of packets.
func writeStatus(w io.Writer, s control.Status) error {
	t := newTable(w)
	uptime := time.Duration(s.UptimeSeconds) * time.Second
	fmt.Fprintf(t, "director\t%s, process %d, up %v\n", s.Release, s.PID, uptime)
	fmt.Fprintf(t, "configuration\t%s of %s\n", s.Config.File, s.Config.Loaded.Format(time.DateTime))
	if s.Config.Error != "" {
		fmt.Fprintf(t, "last reload\tfailed: %s\n", s.Config.Error)
	}
	if len(s.Config.Restart) > 0 {
		fmt.Fprintf(t, "restart needed\tfor the changed %v\n", s.Config.Restart)
	}
	fmt.Fprintf(t, "guard\t%s: %s\n", inForce(s.Guard.Active), s.Guard.Reason)
	if c := s.Guard.Classifier; c.Reason != "" {
		fmt.Fprintf(t, "classifier\t%s: %s\n", inForce(c.Active), c.Reason)
	}
	fmt.Fprintf(t, "workers\t%s\n", workersText(s))
	fmt.Fprintf(t, "TCP profile\t%s\n", s.TCPProfile)
	fmt.Fprintf(t, "connections\t%d of %d, %d half-open, %d evicted\n",
		s.Connections.Current, s.Connections.Limit, s.Connections.HalfOpen, s.Connections.Evicted)
	switch s.Connections.Flood {
	case "evicting":
		fmt.Fprintln(t, "flood\tthe table is full: half-open connections make way for new ones")
	case "shedding":
		fmt.Fprintf(t, "flood\tmore new connections than the workers can carry: of clients not seen before %d a second are admitted\n", s.Connections.Admitted)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, block := range []func(io.Writer, control.Status){writeNICs, writeVIPs, writeConflicts, writePackets} {
		t := newTable(w)
		block(t, s)
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// workersText names the threads where workers share them.
func workersText(s control.Status) string {
	if s.Threads >= s.Workers {
		return fmt.Sprint(s.Workers)
	}
	return fmt.Sprintf("%d, sharing threads (%d), which forwards more at the moment", s.Workers, s.Threads)
}

func inForce(active bool) string {
	if active {
		return "in force"
	}
	return "none"
}

func writeNICs(w io.Writer, s control.Status) {
	fmt.Fprintln(w, "\nNIC\tRole\tState\tMAC\tMTU\tReceived\tDropped\tTruncated\tSent\tDropped")
	for _, nic := range s.NICs {
		state := "down"
		switch {
		case nic.MAC == "":
			state = "gone"
		case nic.Up:
			state = "up"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\n", nic.Name, nic.Role, state, cmp.Or(nic.MAC, "-"), nic.MTU,
			nic.Received, nic.ReceiveDropped, nic.Truncated, nic.Sent, nic.TransmitDropped)
	}
}

func writeVIPs(w io.Writer, s control.Status) {
	if len(s.VIPs) == 0 {
		return
	}
	fmt.Fprintln(w, "\nVIP\tARP by\tServices")
	for _, vip := range s.VIPs {
		fmt.Fprintf(w, "%s\t%s\t%d\n", vip.Address, vip.ARP, vip.Services)
	}
}

func writeConflicts(w io.Writer, s control.Status) {
	if len(s.ARPConflicts) == 0 {
		return
	}
	fmt.Fprintln(w, "\nVIP claimed\tby MAC\ton NIC\tTimes\tLast")
	for _, c := range s.ARPConflicts {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", c.Address, c.MAC, c.NIC, c.Count, c.LastSeen.Format(time.DateTime))
	}
}

func writePackets(w io.Writer, s control.Status) {
	fmt.Fprintln(w, "\nPackets\tCount")
	for _, verdict := range slices.Sorted(maps.Keys(s.Packets)) {
		if n := s.Packets[verdict]; n > 0 {
			fmt.Fprintf(w, "%s\t%d\n", verdict, n)
		}
	}
}
