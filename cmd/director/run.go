package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"lvsnat/cmd/director/internal/buildinfo"
	"lvsnat/cmd/director/internal/daemon"
)

// memoryLimit keeps the Go heap modest. The connection table and the rings are
// not part of it; what is left are services, and listings on their way to an
// operator.
const memoryLimit = 512 << 20

func runCommand(c *common, getenv func(string) string) *cobra.Command {
	var file string
	command := &cobra.Command{
		Use:   "run -c FILE",
		Short: "Run a director in the foreground",
		Long: "run balances connections as FILE says until it gets SIGTERM or SIGINT. SIGHUP makes it\n" +
			"read FILE again. It logs to stderr, and writes the line \"director ready\" there once\n" +
			"packets are forwarded.",
		Args: cobra.NoArgs,
		RunE: action(func(command *cobra.Command) error {
			if getenv("GOMEMLIMIT") == "" {
				debug.SetMemoryLimit(memoryLimit)
			}
			ctx, stop := signal.NotifyContext(command.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			// A second signal ends a stop that hangs.
			defer context.AfterFunc(ctx, stop)()
			hangups := make(chan os.Signal, 1)
			signal.Notify(hangups, syscall.SIGHUP)
			defer signal.Stop(hangups)
			stderr := command.ErrOrStderr()
			return daemon.Run(ctx, daemon.Options{
				File:     file,
				StateDir: c.stateDir,
				Build:    buildinfo.Read(version),
				Log:      slog.New(slog.NewTextHandler(stderr, nil)),
				Notifier: daemon.Notifier{Socket: getenv("NOTIFY_SOCKET")},
				Hangups:  hangups,
				Ready:    func() { fmt.Fprintln(stderr, "director ready") },
			})
		}),
	}
	wantsFile(command, &file)
	return command
}

// wantsFile adds the flag for the configuration file, without which the
// subcommand is used wrongly.
func wantsFile(command *cobra.Command, file *string) {
	command.Flags().StringVarP(file, "config", "c", "", "configuration file")
	if err := command.MarkFlagRequired("config"); err != nil {
		panic(err) // the flag was defined in the line before
	}
}
