package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lvsnat/cmd/director/internal/control"
)

func saveCommand(c *common) *cobra.Command {
	return &cobra.Command{
		Use:   "save",
		Short: "Write the configuration in force as a file",
		Long: "save writes to stdout what a configuration file would have to say for the director to\n" +
			"be as it is now, with what was changed at run time. Comments of the file it was\n" +
			"started with are not in it.",
		Args: cobra.NoArgs,
		RunE: action(func(command *cobra.Command) error {
			saved, err := control.NewClient(c.stateDir).Config(command.Context())
			if err != nil {
				return err
			}
			_, err = io.WriteString(command.OutOrStdout(), saved.Text)
			return err
		}),
	}
}

func diffCommand(c *common) *cobra.Command {
	return &cobra.Command{
		Use:   "diff",
		Short: "Show what a reload would change",
		Long: "diff compares what is in force with the configuration file. It writes what a reload\n" +
			"would change and exits with 0 when that is nothing, 1 when it is something, and 2\n" +
			"when it could not compare.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			difference, err := control.NewClient(c.stateDir).Difference(command.Context())
			if err != nil {
				report(command.ErrOrStderr(), err)
				return ended(exitWrongUse)
			}
			w := command.OutOrStdout()
			for _, change := range difference.Changes {
				fmt.Fprintln(w, change)
			}
			for _, key := range difference.Restart {
				fmt.Fprintf(w, "%s: differs, and only a restart applies it\n", key)
			}
			if len(difference.Changes)+len(difference.Restart) > 0 {
				return ended(exitFailed)
			}
			return nil
		},
	}
}
