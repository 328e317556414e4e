package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lvsnat/cmd/director/internal/control"
)

func reloadCommand(c *common) *cobra.Command {
	return c.wantsJSON(&cobra.Command{
		Use:   "reload",
		Short: "Make a running director read its configuration file again",
		Long: "reload applies what differs between the file and what is in force. Connections go on,\n" +
			"those of removed realservers and services included. A broken file changes nothing.",
		Args: cobra.NoArgs,
		RunE: action(func(command *cobra.Command) error {
			done, err := control.NewClient(c.stateDir).Reload(command.Context())
			if err != nil {
				return err
			}
			w := command.OutOrStdout()
			if c.json {
				return writeJSON(w, done)
			}
			if len(done.Changes) == 0 {
				fmt.Fprintln(w, "nothing has changed")
			}
			for _, change := range done.Changes {
				fmt.Fprintln(w, change)
			}
			if len(done.Restart) > 0 {
				fmt.Fprintf(w, "needs a restart: %s\n", strings.Join(done.Restart, ", "))
			}
			return nil
		}),
	})
}
