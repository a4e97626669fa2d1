package provider

import (
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestDataSourcesShowWhatIsThere(t *testing.T) {
	w := newWorld(t)
	a := w.Account("reader", "clusters:view", "clusters:create")
	w.Account("other")
	public := []string{"clusters:suspend"}
	_, err := w.Admin().UpdateRole(t.Context(), w.roleNamed("Public").ID, 0, svcauth.RolePatch{Privileges: &public}, 0)
	require.NoError(t, err)
	binding, required := svcauth.TokenBindingAny, true
	_, err = w.Admin().UpdateServiceAccount(t.Context(), a.ID, 0,
		svcauth.ServiceAccountPatch{
			TokenBinding: &binding, DefaultResource: new(svctest.CloudAPI), Claims: &map[string]any{"tier": 3},
		}, 0)
	require.NoError(t, err)
	_, err = w.Admin().UpdateRole(t.Context(), w.roleNamed("Role of reader").ID, 0,
		svcauth.RolePatch{RequiresBinding: &required}, 0)
	require.NoError(t, err)
	text := w.config(`
		data "svcauth_service_account" "by_name" { name = "reader" }
		data "svcauth_service_account" "by_id" { id = %[1]q }
		data "svcauth_service_accounts" "all" {}
		data "svcauth_service_accounts" "some" { name_prefix = "REA" }
		data "svcauth_role" "by_name" { name = "Role of reader" }
		data "svcauth_role" "by_id" { id = data.svcauth_role.by_name.id }
		data "svcauth_roles" "all" {}
		data "svcauth_privileges" "all" {}
		data "svcauth_privileges" "own" { api = %[2]q }
		data "svcauth_api" "by_audience" { audience = %[2]q }
		data "svcauth_api" "by_name" { name = data.svcauth_api.by_audience.name }
		data "svcauth_effective_privileges" "reader" { service_account_id = %[1]q }
		data "svcauth_effective_privileges" "admin" { member_id = %[3]q }
		data "svcauth_effective_privileges" "me" {}
		data "svcauth_jwks" "keys" {}
		output "accounts" { value = [length(data.svcauth_service_accounts.all.service_accounts), length(data.svcauth_service_accounts.some.service_accounts)] }
		output "same" { value = data.svcauth_service_account.by_name == data.svcauth_service_account.by_id && data.svcauth_role.by_name == data.svcauth_role.by_id && data.svcauth_api.by_name == data.svcauth_api.by_audience }
		output "hint" { value = data.svcauth_service_account.by_name.secrets[0].hint }
		output "bindings" { value = [data.svcauth_service_account.by_name.token_binding, data.svcauth_role.by_name.requires_binding] }
		output "claims" { value = [jsondecode(data.svcauth_service_account.by_name.claims).tier, data.svcauth_service_account.by_name.default_resource] }
		output "role" { value = data.svcauth_service_account.by_name.roles[0].name }
		output "roles" { value = length(data.svcauth_roles.all.roles) }
		output "own" { value = contains(data.svcauth_privileges.own.names, "members:manage") && !contains(data.svcauth_privileges.own.names, "clusters:view") && contains(data.svcauth_privileges.all.names, "clusters:view") }
		output "api" { value = contains(data.svcauth_api.by_name.privileges, "members:manage") }
		output "effective" { value = data.svcauth_effective_privileges.reader.privileges }
		output "source" { value = data.svcauth_effective_privileges.reader.sources["clusters:suspend"] }
		output "everything" { value = setsubtract(data.svcauth_privileges.all.names, data.svcauth_effective_privileges.admin.privileges) }
		output "me" { value = contains(data.svcauth_effective_privileges.me.privileges, "members:manage") }
		output "alg" { value = data.svcauth_jwks.keys.keys[0].alg }
		output "jwks" { value = length(jsondecode(data.svcauth_jwks.keys.json).keys) == length(data.svcauth_jwks.keys.keys) }
		`, a.ID, w.Issuer, w.member("admin@example.com").ID)
	is := func(name string, v knownvalue.Check) statecheck.StateCheck {
		return statecheck.ExpectKnownOutputValue(name, v)
	}
	texts := func(all ...string) (list []knownvalue.Check) {
		for _, one := range all {
			list = append(list, knownvalue.StringExact(one))
		}
		return list
	}
	run(t, resource.TestStep{Config: text, ConfigStateChecks: []statecheck.StateCheck{
		is("accounts", knownvalue.ListExact([]knownvalue.Check{knownvalue.Int64Exact(2), knownvalue.Int64Exact(1)})),
		is("same", knownvalue.Bool(true)), is("hint", knownvalue.StringExact(a.ClientSecret.Hint())),
		is("role", knownvalue.StringExact("Role of reader")),
		is("bindings", knownvalue.TupleExact([]knownvalue.Check{
			knownvalue.StringExact("any"), knownvalue.Bool(true),
		})),
		is("claims", knownvalue.TupleExact([]knownvalue.Check{
			knownvalue.Int64Exact(3), knownvalue.StringExact(svctest.CloudAPI),
		})),
		is("roles", knownvalue.Int64Exact(3)), is("own", knownvalue.Bool(true)), is("api", knownvalue.Bool(true)),
		is("effective", knownvalue.SetExact(texts("clusters:view", "clusters:create", "clusters:suspend"))),
		is("source", knownvalue.SetExact(texts("Public"))),
		is("everything", knownvalue.SetExact(nil)), is("me", knownvalue.Bool(true)),
		is("alg", knownvalue.StringExact("ES256")), is("jwks", knownvalue.Bool(true)),
	}})
}

func TestDataSourcesSayWhatIsNotThere(t *testing.T) {
	w := newWorld(t)
	for text, want := range map[string]string{
		`data "svcauth_service_account" "x" { name = "nobody" }`:                  `no service account with the name "nobody"`,
		`data "svcauth_service_account" "x" { id = "nobody" }`:                    `not the id of a service account`,
		`data "svcauth_service_account" "x" {}`:                                   `one \(and only one\)`,
		`data "svcauth_role" "x" { name = "nothing" }`:                            `no role with the name "nothing"`,
		`data "svcauth_api" "x" { audience = "https://nowhere.example" }`:         `no API with the audience`,
		`data "svcauth_effective_privileges" "x" { service_account_id = "sa_x" }`: `Not an id`,
	} {
		t.Run(want, func(t *testing.T) {
			pattern := strings.ReplaceAll(want, " ", `\s+`)
			run(t, resource.TestStep{Config: w.config("%s", text), ExpectError: regexp.MustCompile(pattern)})
		})
	}
}

func TestAPIDataShowsTheProfile(t *testing.T) {
	w := &world{svctest.New(t, svctest.Options{Environ: []string{svctest.Catalog(t, map[string]string{
		svctest.CloudAPI: "profile: {preset: spring, claims: {ver: 2}}\naccount_claims: [tier]",
	})}}), t}
	run(t, resource.TestStep{Config: w.config(`
		data "svcauth_api" "cloud" { audience = "` + svctest.CloudAPI + `" }
		data "svcauth_api" "billing" { audience = "` + svctest.BillingAPI + `" }
		output "usual" { value = data.svcauth_api.billing.profile == null }`),
		Check: resource.ComposeTestCheckFunc(
			resource.TestCheckResourceAttr("data.svcauth_api.cloud", "profile.preset", "spring"),
			resource.TestCheckResourceAttr("data.svcauth_api.cloud", "profile.typ", ""),
			resource.TestCheckResourceAttr("data.svcauth_api.cloud", "profile.claims", `{"ver":2}`),
			resource.TestCheckResourceAttr("data.svcauth_api.cloud", "account_claims.0", "tier"),
			resource.TestCheckOutput("usual", "true")),
	})
}
