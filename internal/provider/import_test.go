package provider

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestImportsByNamesThatPeopleGive imports by names with slashes and in another
// case, as the advice after a conflict does.
func TestImportsByNamesThatPeopleGive(t *testing.T) {
	w := newWorld(t)
	ws := newWorkspace(t)
	w.signIn(ws)
	ctx, admin := t.Context(), w.Admin()
	account, err := admin.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: "team/ci"})
	require.NoError(t, err)
	role, err := admin.CreateRole(ctx, svcauth.NewRole{Name: "Read/Write"})
	require.NoError(t, err)
	require.NoError(t, second(admin.AssignServiceAccountRole(ctx, account.ID, role.ID, svcauth.GrantRequest{})))
	m, err := admin.InviteMember(ctx, svcauth.NewMember{Email: "a/b@example.com"})
	require.NoError(t, err)
	require.NoError(t, second(admin.AssignMemberRole(ctx, m.ID, role.ID, svcauth.GrantRequest{})))
	ws.write("main.tf", required+`
		resource "svcauth_service_account" "a" { name = "Team/CI" }
		resource "svcauth_role" "r" { name = "read/write" }
		resource "svcauth_service_account_role" "g" {
			service_account_id = "`+account.ID+`"
			role_id = "`+role.ID+`"
		}
		resource "svcauth_member_role" "g" {
			member_id = "`+m.ID+`"
			role_id = "`+role.ID+`"
		}
		resource "svcauth_service_account_secret" "s" {
			service_account_id = "`+account.ID+`"
			client_secret_wo_version = 1
			client_secret_wo = "`+svcauth.NewSecret().Reveal()+`"
		}`)
	out, err := ws.try("apply", "-auto-approve", "-target", "svcauth_service_account.a")
	require.Error(t, err, "the name is taken, in another case")
	require.Contains(t, out, `terraform import svcauth_service_account.<label> "Team/CI"`)
	for address, id := range map[string]string{
		"svcauth_service_account.a":        "Team/CI",
		"svcauth_role.r":                   "read/write",
		"svcauth_service_account_role.g":   "team/ci/Read/Write",
		"svcauth_member_role.g":            "a/b@example.com/READ/WRITE",
		"svcauth_service_account_secret.s": "team/ci/" + account.ClientSecret.Hint(),
	} {
		require.Contains(t, ws.must("import", address, id), "Import successful", address)
	}
	out = ws.must("plan")
	require.Contains(t, out, "0 to add")
	require.Contains(t, out, "0 to destroy")

	// What can be read in two ways is not guessed.
	require.NoError(t, second(admin.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: "team"})))
	require.NoError(t, second(admin.CreateRole(ctx, svcauth.NewRole{Name: "ci/Read/Write"})))
	ws.must("state", "rm", "svcauth_service_account_role.g")
	out, err = ws.try("import", "svcauth_service_account_role.g", "team/ci/Read/Write")
	require.Error(t, err)
	require.Contains(t, out, "in 2 ways")
	ws.must("import", "svcauth_service_account_role.g", account.ID+"/"+role.ID)
	out, err = ws.try("import", "svcauth_member_role.g", "nobody/Read/Write")
	require.Error(t, err)
	require.Contains(t, out, "there is no member")
}

// TestATokenWaitsForWhatItsOwnArgumentsComeFrom follows the advice that is
// given if the provider's configuration is only known at apply.
func TestATokenWaitsForWhatItsOwnArgumentsComeFrom(t *testing.T) {
	w := newWorld(t)
	ws := newWorkspace(t)
	key := w.Tenant.ApplicationKey
	text := func(more string) string {
		return required + `
			resource "terraform_data" "vault" { input = { url = "` + w.URL + `", id = "` + key.ClientID +
			`", secret = "` + key.ClientSecret.Reveal() + `" } }
			provider "svcauth" {
				url = terraform_data.vault.output.url
				client_id = terraform_data.vault.output.id
				client_secret = terraform_data.vault.output.secret
			}
			resource "svcauth_role" "r" { name = "r" }
			ephemeral "svcauth_access_token" "t" {
				` + more + `
			}`
	}
	ws.write("main.tf", text("depends_on = [terraform_data.vault]"))
	out, err := ws.try("plan")
	require.Error(t, err, "depends_on does not postpone it")
	require.Contains(t, out, "if one of its own arguments comes from there")
	ws.write("main.tf", text("resources = [terraform_data.vault.output.url]"))
	ws.must("apply", "-auto-approve")
	w.roleNamed("r")
}
