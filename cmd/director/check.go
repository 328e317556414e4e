package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"lvsnat/cmd/director/internal/config"
)

func checkCommand() *cobra.Command {
	var file string
	command := &cobra.Command{
		Use:   "check -c FILE",
		Short: "Look for mistakes in a configuration file",
		Long:  "check reads FILE as run would. It writes each mistake to stderr, as FILE:LINE:COLUMN:\nwhat is wrong; what would be right.",
		Args:  cobra.NoArgs,
		RunE: action(func(command *cobra.Command) error {
			c, err := config.Load(file)
			if err != nil {
				return err
			}
			realservers := 0
			for _, s := range c.Services {
				realservers += len(s.Realservers)
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "%s: good: %d services with %d realservers\n", file, len(c.Services), realservers)
			return err
		}),
	}
	wantsFile(command, &file)
	return command
}
