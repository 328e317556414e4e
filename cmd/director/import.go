package main

import (
	"fmt"
	"net/netip"
	"os"

	"github.com/spf13/cobra"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/importer"
	"lvsnat/cmd/director/internal/names"
)

func importCommand() *cobra.Command {
	var hosts string
	command := &cobra.Command{
		Use:   "import FILE",
		Short: "Make a configuration of another tool's file",
		Long: "import reads rules of ipvsadm-save, a lvs_nat.conf of the LVS-HOWTO's configure script,\n" +
			"or the virtual servers of a keepalived.conf, and writes a configuration file to stdout.\n" +
			"What it leaves out it tells on stderr, as FILE:LINE: what and why.",
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			if err := importFile(command, args[0], hosts); err != nil {
				return failure{err}
			}
			return nil
		},
	}
	command.Flags().StringVar(&hosts, "hosts", "", "a file like /etc/hosts, whose names count before the box's own")
	return command
}

func importFile(command *cobra.Command, file, hosts string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	known := withHosts{System: new(names.System)}
	if hosts != "" {
		if known.hosts, err = names.ReadHosts(hosts); err != nil {
			return fmt.Errorf("import: %w", err)
		}
	}
	c, notes, err := importer.Import(file, text, known)
	for _, note := range notes {
		fmt.Fprintln(command.ErrOrStderr(), note)
	}
	if err != nil {
		return err
	}
	_, err = command.OutOrStdout().Write(config.Marshal(c))
	return err
}

// withHosts knows a file's hosts before the box's own.
type withHosts struct {
	*names.System
	hosts map[string]netip.Addr
}

// Host returns the IPv4 address of a host.
func (n withHosts) Host(name string) (netip.Addr, bool) {
	if addr, ok := n.hosts[name]; ok {
		return addr, true
	}
	return n.System.Host(name)
}
