package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"lvsnat/cmd/director/internal/buildinfo"
)

// manCommand is for whoever packages the program, and not listed.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write the man pages of all subcommands",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := writeManPages(args[0]); err != nil {
				return failure{fmt.Errorf("write man pages: %w", err)}
			}
			return nil
		},
	}
}

// writeManPages writes director(8) and a page for each subcommand into a
// directory, which it makes. Their date is now, or SOURCE_DATE_EPOCH.
func writeManPages(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// The builder's environment is not the reader's, nor is it a default.
	root := newRoot(func(string) string { return "" })
	root.DisableAutoGenTag = true
	return doc.GenManTree(root, &doc.GenManHeader{
		Section: "8",
		Source:  "director " + buildinfo.Read(version).Version,
		Manual:  "LVS-NAT in userspace",
	}, dir)
}
