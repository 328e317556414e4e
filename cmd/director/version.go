package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"lvsnat/cmd/director/internal/buildinfo"
)

func versionCommand(c *common) *cobra.Command {
	return c.wantsJSON(&cobra.Command{
		Use:   "version",
		Short: "Say what this program was built from",
		Args:  cobra.NoArgs,
		RunE: action(func(command *cobra.Command) error {
			info := buildinfo.Read(version)
			if c.json {
				return writeJSON(command.OutOrStdout(), info)
			}
			_, err := fmt.Fprintf(command.OutOrStdout(), "director %s, revision %s, %s\n", info.Version, info.Revision, info.GoVersion)
			return err
		}),
	})
}
