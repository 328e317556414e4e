package main

import (
	"cmp"
	"errors"

	"github.com/spf13/cobra"

	"lvsnat/cmd/director/internal/buildinfo"
)

const (
	defaultStateDir     = "/run/director"
	stateDirEnvironment = "DIRECTOR_STATE_DIR"
)

// common is what several subcommands share.
type common struct {
	stateDir string
	json     bool
}

// newRoot makes the command with all its subcommands; getenv is os.Getenv.
func newRoot(getenv func(string) string) *cobra.Command {
	var c common
	root := &cobra.Command{
		Use:                "director",
		Short:              "LVS-NAT in userspace",
		Long:               "director balances TCP and UDP connections to virtual addresses among realservers,\nby network address translation in userspace.",
		Version:            buildinfo.Read(version).Version,
		DisableSuggestions: true, // they take several lines, and an error has one
		SilenceErrors:      true,
		SilenceUsage:       true,
		RunE:               noSubcommand,
	}
	root.PersistentFlags().StringVar(&c.stateDir, "state-dir", cmp.Or(getenv(stateDirEnvironment), defaultStateDir),
		"directory of the control socket; one for each director\n(environment: "+stateDirEnvironment+")")
	root.AddCommand(
		runCommand(&c, getenv),
		checkCommand(),
		statusCommand(&c),
		servicesCommand(&c),
		connsCommand(&c),
		reloadCommand(&c),
		saveCommand(&c),
		diffCommand(&c),
		importCommand(),
		ipvsadmCommand(&c, "ipvsadm", "List and change services in the words of ipvsadm"),
		ipvsadmCommand(&c, "ipvsadm-save", "Write services as ipvsadm-save does"),
		ipvsadmCommand(&c, "ipvsadm-restore", "Make services what rules on stdin say, in one step"),
		cleanupCommand(&c),
		demoCommand(getenv),
		manCommand(),
		versionCommand(&c),
	)
	return root
}

// noSubcommand is what a command that is nothing without a subcommand does.
func noSubcommand(*cobra.Command, []string) error { return errors.New("a subcommand is missing") }

// refuseWrongUse makes cobra's own subcommands tell wrong words from a question
// for help, which to cobra are the same. They write to what root writes to now.
func refuseWrongUse(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, command := range root.Commands() {
		switch command.Name() {
		case "completion":
			command.RunE = noSubcommand
		case "help":
			command.Args = func(_ *cobra.Command, words []string) error {
				_, _, err := root.Find(words)
				return err
			}
		}
	}
}

// wantsJSON adds the flag of subcommands that answer programs, too.
func (c *common) wantsJSON(command *cobra.Command) *cobra.Command {
	command.Flags().BoolVar(&c.json, "json", false, "write JSON")
	return command
}
