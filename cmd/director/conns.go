package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lvsnat/cmd/director/internal/control"
)

func connsCommand(c *common) *cobra.Command {
	var filter filterFlags
	command := c.wantsJSON(&cobra.Command{
		Use:   "conns",
		Short: "List connections",
		Long: "conns lists the connection table, in no order. The ends of --client, --virtual and --real\n" +
			"are an address, a prefix, a port or a range of ports with a colon before it, or both, as\n" +
			"the configuration has the addresses of services.",
		Example: "  director conns --client 192.168.1.0/24 --state established\n  director conns --virtual :80 --limit 0 --json\n  director conns --virtual 192.168.1.96/28:5000-5999",
		Args:    cobra.NoArgs,
	})
	filter.define(command)
	command.PreRunE = func(*cobra.Command, []string) error { return filter.parse() }
	command.RunE = action(func(command *cobra.Command) error {
		client := control.NewClient(c.stateDir)
		if c.json {
			return client.CopyConnections(command.Context(), filter.parsed, command.OutOrStdout())
		}
		return writeConnections(command, client, filter.parsed)
	})
	return command
}

// filterFlags are the flags that say which connections are listed.
type filterFlags struct {
	client, virtual, real string
	parsed                control.Filter
}

func (f *filterFlags) define(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.client, "client", "", "only those of this client")
	flags.StringVar(&f.virtual, "virtual", "", "only those to this virtual service")
	flags.StringVar(&f.real, "real", "", "only those to this realserver")
	flags.StringVar(&f.parsed.State, "state", "", "only those in this state, by IPVS's name")
	flags.IntVar(&f.parsed.Limit, "limit", control.DefaultLimit, "at most so many; 0: all")
}

// parse reads the ends, so that a wrong one is a wrong use and not a failure.
func (f *filterFlags) parse() error {
	ends := []struct {
		flag, text string
		end        *control.Endpoint
	}{{"client", f.client, &f.parsed.Client}, {"virtual", f.virtual, &f.parsed.Virtual}, {"real", f.real, &f.parsed.Real}}
	for _, e := range ends {
		var err error
		if *e.end, err = control.ParseEndpoint(e.text); err != nil {
			return fmt.Errorf("--%s: %w", e.flag, err)
		}
	}
	if f.parsed.Limit < 0 {
		return fmt.Errorf("--limit: %d is not a number of connections; 0 means all", f.parsed.Limit)
	}
	return nil
}

// writeConnections writes a line for each connection as it arrives. Columns have
// fixed widths, the longest IPv4 ends: to align a million lines by their
// contents would mean to keep them.
func writeConnections(command *cobra.Command, client *control.Client, f control.Filter) error {
	w := bufio.NewWriter(command.OutOrStdout())
	if err := writeConnection(w, "Pro", "Expires", "State", "Client", "Virtual service", "Realserver"); err != nil {
		return err
	}
	listed := 0
	complete, err := client.Connections(command.Context(), f, func(c control.Connection) error {
		listed++
		return writeConnection(w, strings.ToUpper(c.Protocol), expires(c.ExpiresMs), c.State, c.Client, c.Virtual, c.Real)
	})
	if err != nil && listed == 0 {
		return err // the header by itself would say that there are no connections
	}
	if err := errors.Join(err, w.Flush()); err != nil {
		return err
	}
	if !complete {
		fmt.Fprintf(command.ErrOrStderr(), "director: there are more than %d; --limit 0 lists all\n", f.Limit)
	}
	return nil
}

func writeConnection(w io.Writer, protocol, expires, state, client, virtual, realserver string) error {
	_, err := fmt.Fprintf(w, "%-3s  %-7s  %-11s  %-21s  %-21s  %s\n", protocol, expires, state, client, virtual, realserver)
	return err
}

// expires writes a time as ipvsadm -Lc does, minutes and seconds.
func expires(ms int64) string {
	left := time.Duration(ms) * time.Millisecond
	return fmt.Sprintf("%02d:%02d", int(left.Minutes()), int(left.Seconds())%60)
}
