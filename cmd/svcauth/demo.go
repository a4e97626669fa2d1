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

// demoProfile is a profile with the administrator's application key, mode 0600
// like the master key beside it. So the user's next steps, with the management
// commands or deploy/terraform, need no secret to be copied. Only the demo
// writes one.
const demoProfile = "data/credentials"

func demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Run the server with an example service account, and the example API beside it",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return open(c, func(ctx context.Context, a *app.App, cfg config.Config) error {
				if err := prepareDemo(ctx, c.OutOrStdout(), a, cfg); err != nil {
					return err
				}
				group, ctx := errgroup.WithContext(ctx)
				listening := make(chan struct{})
				group.Go(func() error { return a.Run(ctx, func(net.Addr) { close(listening) }) })
				group.Go(func() error {
					select {
					case <-listening:
						return runExampleAPI(ctx, c, cfg.Issuer)
					case <-ctx.Done():
						return nil
					}
				})
				return group.Wait()
			})
		},
	}
}

// prepareDemo creates the example in an empty database and prints how to use
// it. It leaves any other database as it is.
func prepareDemo(ctx context.Context, w io.Writer, a *app.App, cfg config.Config) error {
	done, err := a.People.Bootstrapped(ctx)
	if err != nil {
		return err
	}
	if done {
		fmt.Fprintf(w, "svcauth at %s, example API at http://127.0.0.1:8081. Secrets were shown at the first start.\n",
			cfg.Issuer)
		return nil
	}
	tenant, err := a.People.Bootstrap(ctx, people.NewTenant{AdminEmail: "admin@localhost.localdomain"})
	if err != nil {
		return err
	}
	ctx = access.WithActor(ctx, access.System(tenant.Organization.ID))
	account, err := exampleAccount(ctx, a, "example", "Cluster operator", "clusters:view", "clusters:create",
		"clusters:suspend", "clusters:resume")
	if err != nil {
		return err
	}
	api, err := exampleAccount(ctx, a, "example-api", "Resource server", svcauth.TokensIntrospect)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(map[string]string{"client_id": api.ClientID, "client_secret": api.ClientSecret.Reveal()})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(exampleCredentials), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(exampleCredentials, raw, 0o600); err != nil {
		return err
	}
	key := tenant.ApplicationKey
	profile := fmt.Sprintf("# Of the demo's administrator: SVCAUTH_CONFIG_FILE=%s lets svcauth and Terraform use it.\n"+
		"[default]\nurl = %s\nclient_id = %s\nclient_secret = %s\n",
		demoProfile, cfg.Issuer, key.ClientID, key.ClientSecret.Reveal())
	if err := os.WriteFile(demoProfile, []byte(profile), 0o600); err != nil {
		return err
	}
	if err := printTenant(w, cfg.Issuer, tenant); err != nil {
		return err
	}
	fmt.Fprintf(w, `
Service account "example", role "Cluster operator". Fetch a token, call the example API with it, revoke it:

  TOKEN=$(curl -s -u %[2]s:%[3]s -d grant_type=client_credentials %[1]s/oauth2/token |
    sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -s -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8081/api/1.0/clusters
  curl -s -u %[2]s:%[3]s -d token="$TOKEN" %[1]s/oauth2/revoke

Ctrl-C stops both.
`, cfg.Issuer, account.ClientID, account.ClientSecret.Reveal())
	return nil
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

// runExampleAPI runs the program example-api from this program's directory
// until ctx is done.
func runExampleAPI(ctx context.Context, c *cobra.Command, issuer string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program := exec.CommandContext(ctx, filepath.Join(filepath.Dir(self), "example-api"))
	program.Cancel = func() error { return program.Process.Signal(syscall.SIGTERM) }
	program.Env = append(os.Environ(), "EXAMPLE_API_ISSUER="+issuer, "EXAMPLE_API_CREDENTIALS_FILE="+exampleCredentials)
	program.Stdout, program.Stderr = c.OutOrStdout(), c.ErrOrStderr()
	err = program.Run()
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return fmt.Errorf("the example API has ended: %w", err)
}
