package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/svcauth/svcauth/internal/app"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// tenantJSON is the contract's shape of what bootstrap and organization create
// print.
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

func tenantOf(issuer string, t people.Tenant) (out tenantJSON) {
	out.Issuer, out.ConsoleURL = issuer, issuer+"/console"
	out.Admin.Email, out.Admin.Password = t.AdminEmail, t.AdminPassword
	out.ApplicationKey.ClientID = t.ApplicationKey.ClientID
	out.ApplicationKey.ClientSecret = t.ApplicationKey.ClientSecret
	return out
}

// printTenant prints a new organization for people.
func printTenant(w io.Writer, issuer string, t people.Tenant) error {
	_, err := fmt.Fprintf(w, "Made organization %s. This is shown once:\n  console          %s/console\n  "+
		"administrator    %s\n  password         %s\n  application key  %s\n  client secret    %s\n",
		t.Organization.Name, issuer, t.AdminEmail, t.AdminPassword.Reveal(), t.ApplicationKey.ClientID,
		t.ApplicationKey.ClientSecret.Reveal())
	return unseen(t, err)
}

// unseen returns the error for a password that was made but could not be shown.
func unseen(t people.Tenant, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("organization %s was made, but what is shown once could not be written: %w; "+
		"unless you gave the password of %s yourself (--admin-password-file), begin again with an empty database",
		t.Organization.Name, err, t.AdminEmail)
}

// tenantCommand is what bootstrap and organization create have in common.
func tenantCommand(
	use, short string, add func(context.Context, *app.App, people.NewTenant) (people.Tenant, error),
) *cobra.Command {
	var n people.NewTenant
	var passwordFile, output string
	c := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		if err := checkOutput(output); err != nil {
			return err
		}
		if passwordFile != "" {
			if err := config.PrivateFile(passwordFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("--admin-password-file %w", err)
			}
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
				return unseen(made, json.NewEncoder(c.OutOrStdout()).Encode(tenantOf(cfg.Issuer, made)))
			}
			return printTenant(c.OutOrStdout(), cfg.Issuer, made)
		})
	}}
	c.Flags().StringVar(&n.AdminEmail, "admin-email", "admin@localhost.localdomain",
		"address of the first administrator")
	c.Flags().StringVar(&passwordFile, "admin-password-file", "",
		"file with the administrator's password (default: one is made and printed)")
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	if use == "create" {
		c.Flags().StringVar(&n.Name, "name", "", "name of the organization")
		_ = c.MarkFlagRequired("name")
	}
	return c
}

func bootstrapCommand() *cobra.Command {
	return tenantCommand("bootstrap", "Make the first organization and administrator on an empty database",
		func(ctx context.Context, a *app.App, n people.NewTenant) (people.Tenant, error) {
			return a.People.Bootstrap(ctx, n)
		})
}

// createOrganization creates an organization in the database itself, without
// HTTP. See inviteOrganization for the other way.
func createOrganization() *cobra.Command {
	return tenantCommand("create",
		"Make a further organization with an administrator, on the database (on the server's own machine)",
		func(ctx context.Context, a *app.App, n people.NewTenant) (people.Tenant, error) {
			return a.People.AddOrganization(ctx, n)
		})
}
