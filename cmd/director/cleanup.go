package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"lvsnat/cmd/director/internal/daemon"
)

func cleanupCommand(c *common) *cobra.Command {
	return &cobra.Command{
		Use:   "cleanup",
		Short: "Remove what a director that has crashed left behind",
		Long: "cleanup removes the guard, the control socket and the lock of a director that was killed.\n" +
			"The next start would take them over: cleanup is for a box that is to have no director.\n" +
			"It refuses while one runs.",
		Args: cobra.NoArgs,
		RunE: action(func(command *cobra.Command) error {
			removed, err := daemon.Cleanup(c.stateDir)
			for _, what := range removed {
				fmt.Fprintf(command.OutOrStdout(), "removed %s\n", what)
			}
			if err == nil && len(removed) == 0 {
				fmt.Fprintln(command.OutOrStdout(), "there was nothing to remove")
			}
			return err
		}),
	}
}
