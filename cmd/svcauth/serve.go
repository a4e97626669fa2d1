package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/app"
	"github.com/svcauth/svcauth/internal/config"
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
			done, err := a.Access.Bootstrapped(ctx)
			if err != nil {
				return err
			}
			if !done {
				made, err := a.Access.Bootstrap(ctx, access.NewTenant{AdminEmail: "admin@localhost.localdomain"})
				if err != nil {
					return err
				}
				printTenant(c.OutOrStdout(), cfg.Issuer, made)
			}
			return a.Run(ctx, nil)
		})
	}}
}
