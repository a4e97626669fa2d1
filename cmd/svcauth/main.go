// Command svcauth is the authorization server and the tool for those who run it.
//
// It owns: the command line, exit statuses (0 done, 1 failed, 2 wrong usage), what is printed. It refuses to know any rule.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

var version = "dev" // set when released

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// errUsage marks what the caller of a command did wrong.
var errUsage = errors.New("usage")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{Use: "svcauth", Short: "OAuth2 authorization server for machines", SilenceErrors: true, SilenceUsage: true, Version: version,
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	root.PersistentFlags().String("config", "", "configuration file (default: SVCAUTH_CONFIG, else the built-in defaults)")
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetArgs(args)
	root.AddCommand(serveCommand(), bootstrapCommand(), organizationCommand(), migrateCommand(), configCommand(), demoCommand(), healthcheckCommand())
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "svcauth: %v\nRun 'svcauth --help' for how to use it.\n", err)
		return 2
	}
	fmt.Fprintf(stderr, "svcauth: %v\n", err)
	return 1
}
