package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/internal/app"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/store"
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
	return printNewTenant(w, issuer, t, "This is shown once")
}

func printNewTenant(w io.Writer, issuer string, t people.Tenant, kept string) error {
	_, err := fmt.Fprintf(w, "Made organization %s. %s:\n  console          %s/console\n  "+
		"administrator    %s\n  password         %s\n  application key  %s\n  client secret    %s\n",
		t.Organization.Name, kept, issuer, t.AdminEmail, t.AdminPassword.Reveal(), t.ApplicationKey.ClientID,
		t.ApplicationKey.ClientSecret.Reveal())
	return settle(w, err)
}

// settle returns err, or an error if what was written to a file has no room
// there: some file systems say so only when asked.
func settle(w io.Writer, err error) error {
	file, ok := raw(w).(*os.File)
	if err != nil || !ok {
		return err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil // a terminal or a pipe
	}
	return file.Sync()
}

// mustBeSeen refuses to print what is shown once to nowhere. A standard output
// that is closed is the null device to a Go program.
func mustBeSeen(w io.Writer) error {
	file, ok := raw(w).(*os.File)
	if !ok {
		return nil
	}
	here, err := file.Stat()
	if err != nil {
		return fmt.Errorf("what is shown once can't be written: %w", err)
	}
	if nowhere, err := os.Stat(os.DevNull); err == nil && os.SameFile(here, nowhere) {
		return errors.New("what is shown once would be lost, so nothing was made or changed: standard output is " +
			"closed or goes to " + os.DevNull)
	}
	return nil
}

// place names the database, for an error that it is another one than expected.
func place(cfg config.Config) string {
	if path, ok := store.SQLiteFile(cfg.Database.URL.Reveal()); ok {
		if full, err := filepath.Abs(path); err == nil {
			return full
		}
	}
	return cfg.Database.URL.String()
}

// mustBeThere refuses a database in which there is no organization yet. To open
// it would make one, in whatever directory this is.
func mustBeThere(cfg config.Config, found app.Rehearsal) error {
	if found.Bootstrapped || found.Note != "" {
		return nil
	}
	return fmt.Errorf("the database %s has not been bootstrapped: run this where the server runs and with its "+
		"configuration (--config or SVCAUTH_CONFIG), or `svcauth bootstrap` first", place(cfg))
}

// tenantMaker is a rule that makes an organization on the database.
type tenantMaker = func(context.Context, people.NewTenant) (people.Tenant, error)

// tenantFlags is what bootstrap and organization create are told of an
// organization that they make on the database.
type tenantFlags struct {
	people.NewTenant
	passwordFile string
}

func (f *tenantFlags) passwordFlag(flags *pflag.FlagSet) {
	flags.StringVar(&f.passwordFile, "admin-password-file", "",
		"file with the administrator's password (default: one is made and printed)")
}

// run makes an organization on the database by add, if check finds nothing
// wrong with that database.
func (f *tenantFlags) run(c *cobra.Command, check func(config.Config, app.Rehearsal) error,
	add func(*app.App) tenantMaker,
) error {
	output, _ := c.Flags().GetString("output")
	if err := checkOutput(output); err != nil {
		return err
	}
	if f.passwordFile != "" {
		if err := config.PrivateFile(f.passwordFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("--admin-password-file %w", err)
		}
		text, err := os.ReadFile(f.passwordFile)
		if err != nil {
			return fmt.Errorf("read the administrator's password: %w", err)
		}
		f.AdminPassword = svcauth.Secret(strings.TrimRight(string(text), "\r\n"))
	}
	cfg, found, err := loadToBootstrap(c)
	if err == nil && f.passwordFile == "" {
		err = mustBeSeen(c.OutOrStdout())
	}
	if err == nil {
		err = check(cfg, found)
	}
	if err != nil {
		return err
	}
	f.Show = func(t people.Tenant) error {
		if output == "json" {
			return settle(c.OutOrStdout(), json.NewEncoder(c.OutOrStdout()).Encode(tenantOf(cfg.Issuer, t)))
		}
		return printTenant(c.OutOrStdout(), cfg.Issuer, t)
	}
	return openWith(c, cfg, func(ctx context.Context, a *app.App, _ config.Config) error {
		_, err := add(a)(ctx, f.NewTenant)
		return err
	})
}

// addOrganization makes a further organization on the database.
func (f *tenantFlags) addOrganization(c *cobra.Command) error {
	return f.run(c, mustBeThere, func(a *app.App) tenantMaker { return a.People.AddOrganization })
}

// mustBeEmpty refuses a database that has an organization.
func mustBeEmpty(cfg config.Config, found app.Rehearsal) error {
	if !found.Bootstrapped {
		return nil
	}
	return fmt.Errorf("the database %s has been bootstrapped already: sign in as an administrator; to one who "+
		"can't any more `svcauth bootstrap --recover-admin ADDRESS` gives a way back in", place(cfg))
}

func bootstrapCommand() *cobra.Command {
	var f tenantFlags
	c := &cobra.Command{
		Use: "bootstrap", Short: "Make the first organization and administrator on an empty database",
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&f.AdminEmail, "admin-email", "admin@localhost.localdomain",
		"address of the first administrator")
	f.passwordFlag(c.Flags())
	c.Flags().StringP("output", "o", "table", "table or json")
	c.Long = `Make the first organization, its administrator and an application key on an empty
database, and print them. Everything is checked first: the configuration, the
catalogue, the master key, the paths. If nothing can be printed, nothing is made.

--recover-admin gives an administrator who can't sign in any more a way back in:
it prints a link, good for an hour and once, by which a new password is set.
Password, sessions and application keys of that member end; the audit log says
so. Whoever is no administrator is not made one, unless there is none left.`
	c.Example = "  svcauth bootstrap --admin-email ada@example.com\n" +
		"  svcauth bootstrap --recover-admin ada@example.com"
	var r people.RecoveryRequest
	c.Flags().StringVar(&r.Email, "recover-admin", "", "address of an administrator to give a way back in")
	c.Flags().StringVar(&r.Organization, "organization", "",
		"with --recover-admin: name or id of the organization, if the address is in several")
	c.MarkFlagsMutuallyExclusive("recover-admin", "admin-email")
	c.MarkFlagsMutuallyExclusive("recover-admin", "admin-password-file")
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case c.Flags().Changed("recover-admin"):
			return recoverAdmin(c, r)
		case c.Flags().Changed("organization"):
			return wrongUsage("--organization goes with --recover-admin")
		}
		return f.run(c, mustBeEmpty, func(a *app.App) tenantMaker { return a.People.Bootstrap })
	}
	return c
}
