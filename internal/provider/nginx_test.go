package provider

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// The provider knows an issuer with a path by its name alone, behind nginx that
// hands on no other path: resources, data, keys and ephemeral values.
func TestIssuerWithPathBehindNginx(t *testing.T) {
	needTerraform(t)
	for _, shortened := range []bool{false, true} {
		s := svctest.BelowPath(t, "/auth", shortened, svctest.Options{})
		s.URL = s.Issuer // as everybody sees it
		w := &world{s, t}
		text := w.config(`
			resource "svcauth_role" "r" {
				name       = "R"
				privileges = ["clusters:view"]
			}
			resource "svcauth_service_account" "a" { name = "below" }
			resource "svcauth_service_account_role" "g" {
				service_account_id = svcauth_service_account.a.id
				role_id            = svcauth_role.r.id
			}
			ephemeral "svcauth_generated_secret" "s" {}
			resource "svcauth_service_account_secret" "s" {
				service_account_id       = svcauth_service_account.a.id
				client_secret_wo         = ephemeral.svcauth_generated_secret.s.client_secret
				client_secret_wo_version = 1
			}
			resource "svcauth_member" "m" { email = "bob@example.com" }
			data "svcauth_jwks" "keys" {}
			ephemeral "svcauth_access_token" "t" { resources = [%q] }
			output "keys" { value = length(data.svcauth_jwks.keys.keys) > 0 }
		`, s.Issuer)
		run(t, resource.TestStep{Config: text, ConfigStateChecks: []statecheck.StateCheck{
			statecheck.ExpectKnownOutputValue("keys", knownvalue.Bool(true)),
		}, Check: does(func() { require.Equal(t, "below", w.named("below").Name) })},
			resource.TestStep{Config: text, PlanOnly: true},
			resource.TestStep{
				ResourceName:      "svcauth_service_account.a",
				ImportState:       true,
				ImportStateVerify: true,
				ImportStateId:     "below",
				Config:            text,
			})
	}
}
