// Command svcauth is the authorization server and the tool for those who run
// it.
//
// It owns the command line, the exit statuses (0 done, 1 failed, 2 wrong usage)
// and what is printed. It refuses to know any rule: the management commands ask
// the server over HTTP, like any other client.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

var version = "dev" // set when released

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends the program at once, whatever it waits for
	passwordWorker = ownCommand(hashPasswords)
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// errAnswered ends a command with status 1. Its answer, which was no, is
// printed already.
var errAnswered = errors.New("the answer is no")

// usageError is a mistake in how a command was called.
type usageError string

func (e usageError) Error() string { return string(e) }

func wrongUsage(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	stdout, stderr = &plain{to: stdout}, &plain{to: stderr}
	root := rootCommand()
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetArgs(args)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd(args...)
	// cobra's own command answers an unknown shell with its help and status 0.
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.Args, completion.RunE = knownVerb, func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	begun := false
	eachCommand(root, func(c *cobra.Command) {
		if do := c.RunE; do != nil {
			c.RunE = func(c *cobra.Command, args []string) error {
				begun = true
				return do(c, args)
			}
		}
	})
	c, err := root.ExecuteContextC(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errAnswered):
		return 1
	// Errors that cobra finds before it runs a command: in flags, arguments or
	// the command's name.
	case !begun || errors.As(err, &usage):
		fmt.Fprintf(stderr, "svcauth: %v\nRun '%s --help' for how to use it.\n", err, c.CommandPath())
		return 2
	}
	fmt.Fprintf(stderr, "svcauth: %s\n", sentence(ctx, err))
	return 1
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "svcauth",
		Short:         "OAuth2 authorization server for machines",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version,
		Long: `OAuth2 authorization server for machines: the server, and the tool that manages
it.

The management commands ask a server over HTTPS. They find it, and who asks, in
  SVCAUTH_URL            its issuer, such as https://auth.example.com
  SVCAUTH_CLIENT_ID      of an application key or a service account
  SVCAUTH_CLIENT_SECRET  its secret; or SVCAUTH_CLIENT_SECRET_FILE; or no secret
                         but SVCAUTH_PRIVATE_KEY_FILE, SVCAUTH_ASSERTION_FILE
                         or SVCAUTH_CERT_FILE with SVCAUTH_KEY_FILE
or in a profile of ~/.config/svcauth/credentials (mode 0600; --profile or
SVCAUTH_PROFILE chooses another than default):
  [default]
  url           = https://auth.example.com
  client_id     = ak_01h455vb4pex5vsknk084sn02q
  client_secret = svcs_...

Exit status: 0 done, 1 failed or the answer is no, 2 wrong usage.`,
		Args: knownVerb,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		if strings.Contains(err.Error(), "shorthand") { // -x, and x is no flag: a jti or a name, perhaps
			err = fmt.Errorf("%w; an argument that begins with a dash goes after --", err)
		}
		return err
	})
	// Flags are explained within the width of a terminal. --config is shown
	// only at commands that use it, not at those that speak over HTTP.
	root.SetUsageTemplate(strings.NewReplacer(".FlagUsages", ".FlagUsagesWrapped 80",
		"{{if .HasAvailableInheritedFlags}}",
		`{{if and .HasAvailableInheritedFlags (not (.Flags.Lookup "ca-file"))}}`).Replace(root.UsageTemplate()))
	root.SetVersionTemplate("{{.Version}}\n")
	root.PersistentFlags().String("config", "",
		"configuration file of the server (default: SVCAUTH_CONFIG, else the built-in defaults)")
	root.AddGroup(&cobra.Group{
		ID:    serverGroup,
		Title: "The server, on its own machine:",
	}, &cobra.Group{ID: manageGroup, Title: "Management, over HTTP:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(serverGroup, serveCommand(), demoCommand(), bootstrapCommand(), migrateCommand(), backupCommand(),
		restoreCommand(), configCommand(), healthcheckCommand())
	add(manageGroup, tokenCommand(), serviceAccountCommand(), federatedCommand(),
		roleCommand(), memberCommand(), applicationKeyCommand(),
		organizationCommand(), auditCommand(),
		signingKeyCommand(), resourceServerCommand(), apiCommand(), privilegeCommand(), meCommand(), explainCommand())
	add("", keyCommand(), versionCommand(), hashPasswordsCommand())
	return root
}

const (
	serverGroup = "server"
	manageGroup = "manage"
)

// eachCommand calls do for c and all commands below it.
func eachCommand(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, child := range c.Commands() {
		eachCommand(child, do)
	}
}
