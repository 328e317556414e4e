package main

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"lvsnat/cmd/director/internal/control"
	"lvsnat/cmd/director/internal/ipvsadm"
	"lvsnat/cmd/director/internal/names"
)

// personalities are the names under which the program is another one, with all
// of that one's words and exit codes.
var personalities = map[string]func(*ipvsadm.Program, *cobra.Command, []string) int{
	"ipvsadm": func(p *ipvsadm.Program, command *cobra.Command, args []string) int {
		return p.Run(command.Context(), args)
	},
	"ipvsadm-save": func(p *ipvsadm.Program, command *cobra.Command, args []string) int {
		return p.Run(command.Context(), append([]string{"--save"}, args...))
	},
	"ipvsadm-restore": func(p *ipvsadm.Program, command *cobra.Command, args []string) int {
		return p.RestoreWhole(command.Context(), args)
	},
}

// wordsOf are the words of a command line without the program's own name. If
// that is a personality's, it is kept as the subcommand.
func wordsOf(args []string) []string {
	name := filepath.Base(args[0])
	if personalities[name] == nil {
		return args[1:]
	}
	return append([]string{name}, args[1:]...)
}

// ipvsadmCommand makes the subcommand of a personality.
func ipvsadmCommand(c *common, name, short string) *cobra.Command {
	return &cobra.Command{
		Use:   name + " [WORDS]...",
		Short: short,
		Long: "In grammar, listings, messages and exit codes this is the " + name + " of ipvsadm 1.31, for\n" +
			"a running director. A link of that name to the program is enough for scripts and ldirectord.\n" +
			"The words are those of " + name + "; -h lists them. --state-dir DIR may come before them.",
		// The words are ipvsadm's, -h among them.
		DisableFlagParsing: true,
		RunE: func(command *cobra.Command, args []string) error {
			stateDir, args := stateDirFirst(c.stateDir, args)
			p := &ipvsadm.Program{
				Name:     name,
				Stdin:    command.InOrStdin(),
				Stdout:   command.OutOrStdout(),
				Stderr:   command.ErrOrStderr(),
				Names:    new(names.System),
				Director: control.NewClient(stateDir),
			}
			return ended(personalities[name](p, command, args))
		},
	}
}

// stateDirFirst takes the director's own flag away from the front of words that
// are not the director's.
func stateDirFirst(otherwise string, words []string) (stateDir string, rest []string) {
	const flag = "--state-dir"
	if len(words) > 1 && words[0] == flag {
		return words[1], words[2:]
	}
	if len(words) > 0 {
		if value, ok := strings.CutPrefix(words[0], flag+"="); ok {
			return value, words[1:]
		}
	}
	return otherwise, words
}
