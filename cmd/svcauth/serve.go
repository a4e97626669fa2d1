package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/app"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func loadConfig(c *cobra.Command) (config.Config, error) {
	file, _ := c.Flags().GetString("config")
	return config.Load(config.LoadOptions{File: file, Environ: os.Environ()})
}

// open builds the server for a command that works with it, and for as long as do runs.
func open(c *cobra.Command, do func(context.Context, *app.App, config.Config) error) (err error) {
	cfg, err := loadConfig(c)
	if err != nil {
		return err
	}
	a, err := app.New(c.Context(), cfg, app.Options{Version: version, Log: c.ErrOrStderr()})
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
	return &cobra.Command{Use: "serve", Short: "Run the server; an empty database is bootstrapped first", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return open(c, func(ctx context.Context, a *app.App, cfg config.Config) error {
			for _, warning := range cfg.Warnings() {
				a.Logger().Warn(warning)
			}
			if err := bootstrapEmpty(ctx, a, c.OutOrStdout(), cfg.Issuer); err != nil {
				return err
			}
			return a.Run(ctx, nil)
		})
	}}
}

// bootstrapEmpty bootstraps a database that has not been, and prints what it made. Of nodes that start at once on an empty database one does; the others go on.
func bootstrapEmpty(ctx context.Context, a *app.App, out io.Writer, issuer string) error {
	done, err := a.Access.Bootstrapped(ctx)
	if done || err != nil {
		return err
	}
	made, err := a.Access.Bootstrap(ctx, access.NewTenant{AdminEmail: "admin@localhost.localdomain"})
	if refused := (*svcauth.Problem)(nil); errors.As(err, &refused) && refused.Code == svcauth.CodeConflict {
		a.Logger().Info("another node has bootstrapped the database, and has printed the first administrator")
		return nil
	} else if err != nil {
		return err
	}
	printTenant(out, issuer, made)
	return nil
}
