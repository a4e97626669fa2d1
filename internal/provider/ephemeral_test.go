package provider

import (
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/echoprovider"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// echoed runs a configuration whose provider "echo" shows an ephemeral value in
// the state, so that it can be looked at.
func echoed(t *testing.T, steps ...resource.TestStep) {
	t.Helper()
	all := factories()
	all["echo"] = func() (tfprotov6.ProviderServer, error) { return echoprovider.NewProviderServer()() }
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: all, Steps: steps})
}

// echoValue gives one attribute of what was echoed.
func echoValue(t *testing.T, s *terraformState, name string) string {
	t.Helper()
	value, ok := s.RootModule().Resources["echo.it"].Primary.Attributes["data."+name]
	require.True(t, ok, "no data.%s", name)
	return value
}

// No server and no credential is needed to make a secret.
func TestGeneratedSecretNeedsNoServer(t *testing.T) {
	needTerraform(t)
	echoed(t, resource.TestStep{Config: `
		ephemeral "svcauth_generated_secret" "s" {}
		provider "echo" { data = ephemeral.svcauth_generated_secret.s }
		resource "echo" "it" {}
		`, Check: func(s *terraformState) error {
		secret, err := svcauth.ParseSecret(echoValue(t, s, "client_secret"))
		require.NoError(t, err)
		require.Equal(t, secret.Hint(), echoValue(t, s, "hint"))
		return nil
	}})
}

func TestGeneratedSecretBecomesTheAccountsSecret(t *testing.T) {
	w := newWorld(t)
	echoed(t, resource.TestStep{Config: w.config(`
		ephemeral "svcauth_generated_secret" "s" {}
		resource "svcauth_service_account" "a" { name = "a" }
		resource "svcauth_service_account_secret" "s" {
			service_account_id = svcauth_service_account.a.id
			client_secret_wo = ephemeral.svcauth_generated_secret.s.client_secret
			client_secret_wo_version = 1
		}
		provider "echo" { data = ephemeral.svcauth_generated_secret.s }
		resource "echo" "it" {}`), Check: func(s *terraformState) error {
		require.True(t, w.works(svcauth.Secret(echoValue(t, s, "client_secret"))))
		return nil
	}})
}

func TestAccessTokenIsOpenedAndGivenBack(t *testing.T) {
	w := newWorld(t)
	a := w.Account("a", "clusters:view", "clusters:create")
	text := func(more string) string {
		return w.config(`
			ephemeral "svcauth_access_token" "t" {
				client_id = %q
				client_secret = %q
				scopes = ["clusters:view"]
				%s
			}
			provider "echo" { data = ephemeral.svcauth_access_token.t }
			resource "echo" "it" {}`, a.ClientID, a.ClientSecret.Reveal(), more)
	}
	granted := statecheck.ExpectKnownValue("echo.it", tfjsonpath.New("data").AtMapKey("granted_scopes"),
		knownvalue.StringExact("clusters:view"))
	var given, kept string
	echoed(t,
		resource.TestStep{
			Config:      w.config(`ephemeral "svcauth_access_token" "t" { client_id = "x" }`),
			ExpectError: regexp.MustCompile(`client_secret`),
		},
		resource.TestStep{
			Config:            text(""),
			ConfigStateChecks: []statecheck.StateCheck{granted},
			Check: func(s *terraformState) error {
				given = echoValue(t, s, "access_token")
				require.False(t, w.Active(a.ClientID, a.ClientSecret, given), "given back at the end of the run")
				return nil
			},
		},
		resource.TestStep{Config: w.config(""), Check: does(func() {})},
		resource.TestStep{Config: text("revoke_on_close = false"), Check: func(s *terraformState) error {
			kept = echoValue(t, s, "access_token")
			require.True(t, w.Active(a.ClientID, a.ClientSecret, kept))
			return nil
		}},
		resource.TestStep{
			Config:      text(`resources = ["https://nowhere.example"]`),
			ExpectError: regexp.MustCompile(`(?s)invalid_target.*Credential`),
		},
		resource.TestStep{Config: w.config("")},
	)
	require.NotEqual(t, given, kept)
}
