package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/app"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// exampleCredentials is the file, mode 0600, with the example API's own
// credentials.
const exampleCredentials = "data/example-api.json"

// demoSecrets is a file of profiles, mode 0600 like the master key beside it,
// with all that the demo shows: so nothing of it is lost with the screen, and
// the user's next steps, with the management commands or deploy/terraform, need
// no secret to be copied. Only the demo writes one.
const demoSecrets = "data/credentials"

// demoPorts are those of this machine that the demo listens on.
type demoPorts struct{ server, api int }

func demoCommand() *cobra.Command {
	var ports demoPorts
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run the server with an example service account, and the example API beside it",
		Long: `Run the server with an example service account, and the example API beside it,
on this machine only. On an empty database it makes both and prints how to use
them. What it prints is kept in ` + demoSecrets + `.

It logs warnings only, as text. A configuration of your own wins over this and
over --port.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadDemo(c, ports)
			if err != nil {
				return err
			}
			return openWith(c, cfg, func(ctx context.Context, a *app.App, cfg config.Config) error {
				if err := prepareDemo(ctx, c.OutOrStdout(), a, cfg, ports); err != nil {
					return err
				}
				group, ctx := errgroup.WithContext(ctx)
				listening := make(chan struct{})
				group.Go(func() error { return a.Run(ctx, func(net.Addr) { close(listening) }) })
				group.Go(func() error {
					select {
					case <-listening:
						return runExampleAPI(ctx, c, cfg.Issuer, ports)
					case <-ctx.Done():
						return nil
					}
				})
				return group.Wait()
			})
		},
	}
	c.Flags().IntVar(&ports.server, "port", 8080, "where the server listens")
	c.Flags().IntVar(&ports.api, "api-port", 8081, "where the example API listens")
	return c
}

// apiAddress is where the example API listens.
func (p demoPorts) apiAddress() string { return fmt.Sprintf("127.0.0.1:%d", p.api) }

// loadDemo returns the configuration, with the demo's own values where the
// environment has none. It refuses what can't be listened on before anything is
// made. Metrics are dispensable: without their port they are off.
func loadDemo(c *cobra.Command, ports demoPorts) (config.Config, error) {
	options := loadOptions(c)
	options.Environ = append(options.Environ, // the first of two counts
		"SVCAUTH_LOG_LEVEL=warn", "SVCAUTH_LOG_FORMAT=text",
		fmt.Sprintf("SVCAUTH_ISSUER=http://localhost:%d", ports.server),
		fmt.Sprintf("SVCAUTH_LISTEN=127.0.0.1:%d", ports.server))
	options.Check = app.CheckConfig
	cfg, err := config.Load(options)
	if err != nil {
		return cfg, err
	}
	if api, err := examplePath(); err != nil {
		return cfg, err
	} else if _, err := exec.LookPath(api); err != nil {
		return cfg, fmt.Errorf("the example API's program can't be run: %w; `make run` builds both", err)
	}
	for _, wanted := range []struct{ address, who string }{
		{cfg.Listen, "svcauth"}, {ports.apiAddress(), "the example API"},
	} {
		if err := app.CheckFree(wanted.address); err != nil {
			return cfg, fmt.Errorf("%s can't listen: %w; end what listens there, or choose other ports: "+
				"make run DEMO_PORT=18080 DEMO_API_PORT=18081", wanted.who, err)
		}
	}
	if app.CheckFree(cfg.Ops.Listen) != nil {
		fmt.Fprintf(c.ErrOrStderr(), "No metrics: something else listens on %s (ops.listen).\n", cfg.Ops.Listen)
		cfg.Ops.Listen = ""
	}
	return cfg, nil
}

// prepareDemo creates the example in an empty database and prints how to use
// it. It leaves any other database as it is.
func prepareDemo(ctx context.Context, w io.Writer, a *app.App, cfg config.Config, ports demoPorts) error {
	done, err := a.People.Bootstrapped(ctx)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	here, err := filepath.Abs(demoSecrets)
	if err != nil {
		return err
	}
	commands := fmt.Sprintf("  export PATH=%q:\"$PATH\" SVCAUTH_CONFIG_FILE=%q\n  svcauth service-account list\n",
		filepath.Dir(self), here)
	if done {
		return printAgain(w, cfg.Issuer, commands, ports)
	}
	if err := os.MkdirAll(filepath.Dir(exampleCredentials), 0o700); err != nil {
		return err
	}
	tenant, err := a.People.Bootstrap(ctx, people.NewTenant{
		AdminEmail: "admin@localhost.localdomain",
		Show: func(t people.Tenant) error {
			if err := keepSecrets(cfg.Issuer, t, svcauth.ServiceAccount{}); err != nil {
				return err
			}
			return printNewTenant(w, cfg.Issuer, t, "Kept in "+demoSecrets)
		},
	})
	if err != nil {
		return err
	}
	account, err := makeExample(ctx, a, tenant)
	if err == nil {
		err = keepSecrets(cfg.Issuer, tenant, account)
	}
	if err != nil {
		return fmt.Errorf("the example could not be made: %w; mend that, remove data/, and start again", err)
	}
	fmt.Fprintf(w, `
Service account "example", role "Cluster operator". Fetch a token, call the example API, revoke the token, call again:

  TOKEN=$(curl -s -u %[2]s:%[3]s -d grant_type=client_credentials %[1]s/oauth2/token |
    sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -s -H "Authorization: Bearer $TOKEN" http://%[4]s/api/1.0/clusters
  curl -s -u %[2]s:%[3]s -d token="$TOKEN" %[1]s/oauth2/revoke
  curl -s -H "Authorization: Bearer $TOKEN" http://%[4]s/api/1.0/clusters    # refused

Commands for the administrator, in another terminal:

%[5]s
All of this is kept in %[6]s. The API's description is at %[1]s/docs. Ctrl-C stops both.
`, cfg.Issuer, account.ClientID, account.ClientSecret.Reveal(), ports.apiAddress(), commands, demoSecrets)
	return nil
}

// makeExample creates what the demo shows, and writes the file that the example
// API reads.
func makeExample(ctx context.Context, a *app.App, tenant people.Tenant) (account svcauth.ServiceAccount, err error) {
	ctx = access.WithActor(ctx, access.System(tenant.Organization.ID))
	if account, err = exampleAccount(ctx, a, "example", "Cluster operator", "clusters:view", "clusters:create",
		"clusters:suspend", "clusters:resume"); err != nil {
		return account, err
	}
	api, err := exampleAccount(ctx, a, "example-api", "Resource server", svcauth.TokensIntrospect)
	if err != nil {
		return account, err
	}
	raw, err := json.Marshal(map[string]string{"client_id": api.ClientID, "client_secret": api.ClientSecret.Reveal()})
	if err != nil {
		return account, err
	}
	return account, os.WriteFile(exampleCredentials, raw, 0o600)
}

// keepSecrets writes demoSecrets, with the account's profile once there is one.
func keepSecrets(issuer string, tenant people.Tenant, account svcauth.ServiceAccount) error {
	profile := func(name, id string, secret svcauth.Secret) string {
		return fmt.Sprintf("\n[%s]\nurl = %s\nclient_id = %s\nclient_secret = %s\n",
			name, issuer, id, secret.Reveal())
	}
	key := tenant.ApplicationKey
	text := fmt.Sprintf("# The demo's secrets. SVCAUTH_CONFIG_FILE=%s lets svcauth and Terraform use the first.\n"+
		"# Sign in to the console as %s with the password %s\n", demoSecrets, tenant.AdminEmail,
		tenant.AdminPassword.Reveal()) + profile("default", key.ClientID, key.ClientSecret)
	if account.ID != "" {
		text += profile("example", account.ClientID, account.ClientSecret)
	}
	return os.WriteFile(demoSecrets, []byte(text), 0o600)
}

// issuerLine is the line of a profile that says where the server is.
var issuerLine = regexp.MustCompile(`(?m)^url = .*$`)

// printAgain says how to use what an earlier start has made. The port may be
// another one now.
func printAgain(w io.Writer, issuer, commands string, ports demoPorts) error {
	raw, err := os.ReadFile(demoSecrets)
	if err != nil {
		_, err = fmt.Fprintf(w, "svcauth at %s, example API at http://%s. "+
			"The database is not empty and was not made by the demo: there is no example in it. "+
			"To begin anew, remove data/.\n", issuer, ports.apiAddress())
		return err
	}
	if err := os.WriteFile(demoSecrets, issuerLine.ReplaceAll(raw, []byte("url = "+issuer)), 0o600); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, `svcauth at %[1]s, console at %[1]s/console, example API at http://%[2]s.
Everything is as the last start left it; the password of the console and all secrets are in %[3]s.
Commands for the administrator, in another terminal:

%[4]s
To begin anew, stop this and remove data/. Ctrl-C stops both.
`, issuer, ports.apiAddress(), demoSecrets, commands)
	return err
}

func exampleAccount(
	ctx context.Context, a *app.App, name, role string, privileges ...string,
) (svcauth.ServiceAccount, error) {
	made, err := a.Access.CreateRole(ctx, svcauth.NewRole{
		Name:        role,
		Description: "Made by the demo",
		Privileges:  privileges,
	})
	if err != nil {
		return svcauth.ServiceAccount{}, err
	}
	return a.Access.CreateServiceAccount(ctx, svcauth.NewServiceAccount{
		Name:        name,
		Description: "Made by the demo",
		RoleIDs:     []string{made.ID},
	})
}

// examplePath is where the example API's program is: beside this one.
func examplePath() (string, error) {
	self, err := os.Executable()
	return filepath.Join(filepath.Dir(self), "example-api"), err
}

// runExampleAPI runs the program example-api from this program's directory
// until ctx is done.
func runExampleAPI(ctx context.Context, c *cobra.Command, issuer string, ports demoPorts) error {
	path, err := examplePath()
	if err != nil {
		return err
	}
	program := exec.CommandContext(ctx, path)
	program.Cancel = func() error { return program.Process.Signal(syscall.SIGTERM) }
	program.Env = append(os.Environ(), "EXAMPLE_API_ISSUER="+issuer, "EXAMPLE_API_LISTEN="+ports.apiAddress(),
		"EXAMPLE_API_CREDENTIALS_FILE="+exampleCredentials, "EXAMPLE_API_LOG_LEVEL=warn")
	program.Stdout, program.Stderr = c.OutOrStdout(), c.ErrOrStderr()
	err = program.Run()
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return fmt.Errorf("the example API has ended: %w", err)
}
