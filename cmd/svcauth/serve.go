package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/app"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/store"
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

// tenantJSON is the shape of contract: what bootstrap and organization create print.
type tenantJSON struct {
	Issuer     string `json:"issuer"`
	ConsoleURL string `json:"console_url"`
	Admin      struct {
		Email    string         `json:"email"`
		Password svcauth.Secret `json:"password"`
	} `json:"admin"`
	ApplicationKey struct {
		ClientID     string         `json:"client_id"`
		ClientSecret svcauth.Secret `json:"client_secret"`
	} `json:"application_key"`
}

func tenantOf(issuer string, t access.Tenant) (out tenantJSON) {
	out.Issuer, out.ConsoleURL = issuer, issuer+"/console"
	out.Admin.Email, out.Admin.Password = t.AdminEmail, t.AdminPassword
	out.ApplicationKey.ClientID, out.ApplicationKey.ClientSecret = t.ApplicationKey.ClientID, t.ApplicationKey.ClientSecret
	return out
}

func printTenant(w io.Writer, issuer string, t access.Tenant) {
	fmt.Fprintf(w, "Made organization %s. This is shown once:\n  administrator    %s\n  password         %s\n  application key  %s\n  client secret    %s\n",
		t.Organization.Name, t.AdminEmail, t.AdminPassword.Reveal(), t.ApplicationKey.ClientID, t.ApplicationKey.ClientSecret.Reveal())
	fmt.Fprintf(w, "Issuer: %s\n", issuer)
}

// tenantCommand is the common part of bootstrap and organization create.
func tenantCommand(use, short string, add func(context.Context, *app.App, access.NewTenant) (access.Tenant, error)) *cobra.Command {
	var n access.NewTenant
	var passwordFile, output string
	c := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		if output != "table" && output != "json" {
			return fmt.Errorf("%w: -o %s: expected table or json", errUsage, output)
		}
		if passwordFile != "" {
			raw, err := os.ReadFile(passwordFile)
			if err != nil {
				return fmt.Errorf("read the administrator's password: %w", err)
			}
			n.AdminPassword = svcauth.Secret(strings.TrimRight(string(raw), "\r\n"))
		}
		return open(c, func(ctx context.Context, a *app.App, cfg config.Config) error {
			made, err := add(ctx, a, n)
			if err != nil {
				return err
			}
			if output == "json" {
				return json.NewEncoder(c.OutOrStdout()).Encode(tenantOf(cfg.Issuer, made))
			}
			printTenant(c.OutOrStdout(), cfg.Issuer, made)
			return nil
		})
	}}
	c.Flags().StringVar(&n.AdminEmail, "admin-email", "admin@localhost.localdomain", "address of the first administrator")
	c.Flags().StringVar(&passwordFile, "admin-password-file", "", "file with the administrator's password (default: one is made and printed)")
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	if use == "create" {
		c.Flags().StringVar(&n.Name, "name", "", "name of the organization")
		_ = c.MarkFlagRequired("name")
	}
	return c
}

func bootstrapCommand() *cobra.Command {
	return tenantCommand("bootstrap", "Make the first organization and administrator on an empty database",
		func(ctx context.Context, a *app.App, n access.NewTenant) (access.Tenant, error) {
			return a.Access.Bootstrap(ctx, n)
		})
}

func organizationCommand() *cobra.Command {
	c := &cobra.Command{Use: "organization", Short: "Organizations", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(tenantCommand("create", "Make a further organization, on the database",
		func(ctx context.Context, a *app.App, n access.NewTenant) (access.Tenant, error) {
			return a.Access.AddOrganization(ctx, n)
		}))
	return c
}

func migrateCommand() *cobra.Command {
	return &cobra.Command{Use: "migrate", Short: "Bring the database's schema up to date", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		cfg, err := loadConfig(c)
		if err != nil {
			return err
		}
		db, err := store.Open(store.Config{URL: cfg.Database.URL.Reveal(), MaxConns: 2})
		if err != nil {
			return err
		}
		defer db.Close()
		steps, err := db.Migrate(c.Context())
		if err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "%d migrations applied; the schema is up to date.\n", steps)
		return nil
	}}
}

func configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "The configuration", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(&cobra.Command{Use: "check", Short: "Check the configuration and show every value with its source", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		cfg, err := loadConfig(c)
		if err != nil {
			return err
		}
		if _, err := config.LoadCatalog(cfg.CatalogFile, cfg.Issuer); err != nil {
			return err
		}
		w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		for _, e := range cfg.Describe() {
			fmt.Fprintf(w, "%s\t%s\t%s\n", e.Key, e.Value, e.Source)
		}
		for _, warning := range cfg.Warnings() {
			fmt.Fprintln(c.ErrOrStderr(), "warning: "+warning)
		}
		return w.Flush()
	}})
	return c
}

func healthcheckCommand() *cobra.Command {
	var at string
	c := &cobra.Command{Use: "healthcheck", Short: "Ask a running server whether it is ready (for containers)", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		client := &http.Client{Timeout: 3 * time.Second}
		resp, err := client.Get(at)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answered %s", at, resp.Status)
		}
		return nil
	}}
	c.Flags().StringVar(&at, "url", "http://127.0.0.1:8080/readyz", "what to ask")
	return c
}
