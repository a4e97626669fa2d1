package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/svcauth/svcauth/internal/app"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func loadConfig(c *cobra.Command) (config.Config, error) {
	return config.Load(loadOptions(c))
}

// loadToServe is like loadConfig, for a server: it also refuses whatever a
// start would refuse.
func loadToServe(c *cobra.Command) (config.Config, error) {
	options := loadOptions(c)
	options.Check = app.CheckConfig
	return config.Load(options)
}

// loadToBootstrap is like loadToServe, for a command that makes something in
// the database beside the server: nothing is made with a configuration that no
// server would start with. What belongs to the process that serves, and may be
// denied to this one, is a warning. It also returns what is in the database.
func loadToBootstrap(c *cobra.Command) (cfg config.Config, found app.Rehearsal, err error) {
	options := loadOptions(c)
	options.Check = func(cfg config.Config, refuse func(key string, err error)) {
		app.CheckConfig(cfg, func(key string, err error) {
			switch {
			case err == nil:
			case key == "listen", key == "ops.listen", key == "limits.max_connections", strings.HasPrefix(key, "tls."):
				fmt.Fprintf(c.ErrOrStderr(), "warning: %s: %v\n", key, err)
			default:
				refuse(key, err)
			}
		})
	}
	if cfg, err = config.Load(options); err != nil {
		return cfg, found, err
	}
	catalog, err := config.LoadCatalog(cfg.CatalogFile, cfg.Issuer)
	if err != nil {
		return cfg, found, err
	}
	found = app.Rehearse(c.Context(), cfg, catalog)
	return cfg, found, found.Refused
}

func loadOptions(c *cobra.Command) config.LoadOptions {
	file, _ := c.Flags().GetString("config")
	return config.LoadOptions{File: file, Environ: os.Environ()}
}

// openWith builds the server for a command that needs it, and closes it when do
// returns.
func openWith(
	c *cobra.Command, cfg config.Config, do func(context.Context, *app.App, config.Config) error,
) (err error) {
	a, err := app.New(c.Context(), cfg, app.Options{
		Version:        version,
		Log:            c.ErrOrStderr(),
		PasswordWorker: passwordWorker,
	})
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := a.Close(); err == nil {
			err = closeErr
		}
	}()
	return do(c.Context(), a, cfg)
}

func serveCommand() *cobra.Command {
	var print bool
	c := &cobra.Command{Use: "serve", Short: "Run the server", Args: cobra.NoArgs,
		Long: `Run the server.

On an empty database it first makes the first administrator, as 'svcauth
bootstrap' does, and prints the password and an application key: if standard
output is a terminal, or with --print-credentials. Otherwise it makes none, for
what it printed would stay in a log; it says so and serves, and 'svcauth
bootstrap' makes one beside it.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadToServe(c)
			if err != nil {
				return err
			}
			logged, err := runServer(c, cfg, print)
			if err == nil || cfg.Log.Format != "json" || isTerminal(raw(c.ErrOrStderr())) {
				return err
			}
			if !logged { // a line of text would be the only one among lines of JSON
				app.LogEnd(c.ErrOrStderr(), cfg, version, err)
			}
			return errAnswered
		}}
	c.Flags().BoolVar(&print, "print-credentials", false, "on an empty database, make the first administrator and "+
		"print its password though standard output is no terminal")
	return c
}

// runServer runs the server. logged reports whether its log says how it ended.
func runServer(c *cobra.Command, cfg config.Config, print bool) (logged bool, err error) {
	if err := app.CheckPorts(cfg); err != nil { // before anything is made
		return false, err
	}
	err = openWith(c, cfg, func(ctx context.Context, a *app.App, cfg config.Config) error {
		a.TakeLibraryLogs()
		for _, warning := range cfg.Warnings() {
			a.Logger().Warn(warning)
		}
		if err := bootstrapEmpty(ctx, a, c.OutOrStdout(), cfg.Issuer, print); err != nil {
			return err
		}
		ctx, release := outlive(ctx, a.Logger(), isTerminal(raw(c.ErrOrStderr())))
		defer release()
		logged = true
		return a.Run(ctx, nil)
	})
	return logged, err
}

// bootstrapEmpty bootstraps an empty database if somebody will see what it
// prints or has asked for it. Of nodes that start at the same time only one
// does so.
func bootstrapEmpty(ctx context.Context, a *app.App, out io.Writer, issuer string, print bool) error {
	done, err := a.People.Bootstrapped(ctx)
	if done || err != nil {
		return err
	}
	if !print && !isTerminal(raw(out)) {
		a.Logger().Warn("there is no organization yet, so nobody can sign in and no client gets a token; " +
			"run `svcauth bootstrap` beside this node, with the same configuration: " +
			"it makes the first administrator and prints the password. The server does so itself only on a " +
			"terminal or with --print-credentials, because a log would keep it")
		return nil
	}
	if err := mustBeSeen(out); err != nil {
		return err
	}
	_, err = a.People.Bootstrap(ctx, people.NewTenant{
		AdminEmail: "admin@localhost.localdomain",
		Show:       func(t people.Tenant) error { return printTenant(out, issuer, t) },
	})
	if refused := (*svcauth.Problem)(nil); errors.As(err, &refused) && refused.Code == svcauth.CodeConflict {
		a.Logger().Info("somebody else has bootstrapped the database at the same time, and has seen the first " +
			"administrator's password")
		return nil
	}
	return err
}
