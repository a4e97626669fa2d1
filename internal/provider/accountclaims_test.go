package provider

import (
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestServiceAccountClaims takes an account's own claims, and what its tokens
// are for by default, through their life: made, written otherwise, changed here
// and outside, imported, refused, taken out.
func TestServiceAccountClaims(t *testing.T) {
	w := newWorld(t)
	const address = "svcauth_service_account.ci"
	account := func(more string) string {
		return w.config(`
		data "svcauth_api" "cloud" { name = "Cloud API" }
		resource "svcauth_service_account" "ci" {
			name = "ci"
			%s
		}`, more)
	}
	has := func(resource string, claims map[string]any) resource.TestCheckFunc {
		return does(func() {
			a := w.named("ci")
			require.Equal(t, claims, a.Claims)
			require.Equal(t, resource, a.DefaultResource)
		})
	}
	const both = `default_resource = data.svcauth_api.cloud.audience
			claims = jsonencode({ tier = { level = 3, of = ["a", true, null] }, customer = "c-42" })`
	claims := map[string]any{"customer": "c-42", "tier": map[string]any{"level": 3.0, "of": []any{"a", true, nil}}}
	run(t,
		resource.TestStep{Config: account(both), Check: resource.ComposeTestCheckFunc(
			has(svctest.CloudAPI, claims),
			resource.TestCheckResourceAttr(address, "claims",
				`{"customer":"c-42","tier":{"level":3,"of":["a",true,null]}}`))},
		resource.TestStep{ResourceName: address, ImportState: true, ImportStateVerify: true},
		// The same, written otherwise: the state has it as it is written.
		resource.TestStep{Config: account(`default_resource = data.svcauth_api.cloud.audience
			claims = <<-EOT
				{"tier": {"of": ["a", true, null], "level": 3.0}, "customer": "c-42"}
			EOT`), Check: resource.ComposeTestCheckFunc(has(svctest.CloudAPI, claims), does(func() {
			a, err := w.Admin().ServiceAccount(t.Context(), w.named("ci").ID)
			require.NoError(t, err)
			require.EqualValues(t, 1, a.Version, "nothing was sent that changes it")
		}))},
		resource.TestStep{Config: account(both + "\n" + `description = "x"`), Check: has(svctest.CloudAPI, claims)},
		resource.TestStep{
			PreConfig: func() {
				_, err := w.Admin().UpdateServiceAccount(t.Context(), w.named("ci").ID, 0, svcauth.ServiceAccountPatch{
					Claims: &map[string]any{"tier": "gold"}, DefaultResource: new(""),
				}, 0)
				require.NoError(t, err)
			},
			Config: account(both), ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate),
			Check: has(svctest.CloudAPI, claims),
		},
		resource.TestStep{Config: account(`claims = jsonencode({ customer = 7 })`),
			Check: has("", map[string]any{"customer": 7.0})},
		resource.TestStep{Config: account(`claims = jsonencode({ seal = 1 })`), ExpectError: regexp.MustCompile(
			`(?s)claims = jsonencode.*No\s+API\s+takes\s+a\s+claim\s+"seal"\s+of\s+service\s+accounts`)},
		resource.TestStep{Config: account(`default_resource = "https://no.example"`), ExpectError: regexp.MustCompile(
			`(?s)default_resource = .*is\s+no\s+API\s+of\s+the\s+catalogue`)},
		resource.TestStep{Config: account(`claims = jsonencode(["tier"])`),
			ExpectError: regexp.MustCompile(`Expected\s+a\s+JSON\s+object`)},
		resource.TestStep{Config: account(`claims = jsonencode(null)`),
			ExpectError: regexp.MustCompile(`Expected\s+a\s+JSON\s+object`)},
		resource.TestStep{Config: account(""), ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate),
			Check: resource.ComposeTestCheckFunc(has("", map[string]any{}),
				resource.TestCheckResourceAttr(address, "claims", "{}"),
				resource.TestCheckResourceAttr(address, "default_resource", ""))},
		resource.TestStep{ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{Config: account("") + `
			data "svcauth_service_account" "ci" { id = svcauth_service_account.ci.id }`,
			Check: resource.TestCheckResourceAttr("data.svcauth_service_account.ci", "claims", "{}")},
	)
}
