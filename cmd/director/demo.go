package main

import (
	"time"

	"github.com/spf13/cobra"

	"lvsnat/cmd/director/internal/demo"
)

func demoCommand(getenv func(string) string) *cobra.Command {
	var scheduler string
	var realservers int
	var duration time.Duration
	command := &cobra.Command{
		Use:   "demo",
		Short: "Show a director, realservers and a client at work in a lab of network namespaces",
		Long: "demo builds a small network inside this machine, lets a client connect through a director\n" +
			"again and again, and shows what happens on each wire. It needs root, touches nothing of the\n" +
			"machine's own network, and leaves nothing behind. Ctrl-C ends it. SCHEDULER, REALSERVERS and\n" +
			"DURATION in the environment stand for the flags; NO_COLOR means what it says.",
		Args: cobra.NoArgs,
	}
	flags := command.Flags()
	flags.StringVar(&scheduler, "scheduler", "", "by its IPVS name (default rr)")
	flags.IntVar(&realservers, "realservers", 0, "how many (default 3)")
	flags.DurationVar(&duration, "duration", 0, "of the whole, such as 30s; 0: until it is interrupted")
	command.RunE = action(func(command *cobra.Command) error {
		o, err := demo.Defaults(getenv)
		if err != nil {
			return err
		}
		if flags.Changed("scheduler") {
			o.Scheduler = scheduler
		}
		if flags.Changed("realservers") {
			o.Realservers = realservers
		}
		if flags.Changed("duration") {
			o.Duration = duration
		}
		return demo.Run(command.Context(), o, command.OutOrStdout())
	})
	return command
}
