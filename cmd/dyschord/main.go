package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return report(stderr, root.ExecuteContext(ctx))
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "dyschord",
		Short: "A replicated key-value store on a distributed hash table",
		Long: "dyschord is a key-value store without an operator: nodes find each other through a\n" +
			"distributed hash table, keep every value on several of them, repair themselves, and\n" +
			"serve plain HTTP. Start with `dyschord dev`.",
		Example:       "  dyschord dev\n  dyschord put greeting hello\n  dyschord get greeting",
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%w: see `%s --help`", err, c.CommandPath())
	})
	root.AddCommand(devCommand(), nodeCommand(), putCommand(), getCommand(), deleteCommand(),
		lookupCommand(), statusCommand(), leaveCommand(), configCommand(), versionCommand())
	return root
}

// run marks the errors of a command that began, so that those without an exit code
// mean failure, and errors in the command line mean usage.
func run(f func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		err := f(c, args)
		var coded *exitError
		if err == nil || errors.As(err, &coded) {
			return err
		}
		return &exitError{exitFailed, err}
	}
}
