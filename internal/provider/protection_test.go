package provider

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestProtectionRefusesAtPlan ends what is protected in every way that
// Terraform has. Each is refused by the plan, so that secrets and grants that
// would have been destroyed first are still there.
func TestProtectionRefusesAtPlan(t *testing.T) {
	w := newWorld(t)
	ws := newWorkspace(t)
	w.signIn(ws)
	secret := svcauth.NewSecret()
	text := func(email, protection string) string {
		return required + `
			variable "again" { default = "" }
			resource "terraform_data" "again" { input = var.again }
			resource "svcauth_service_account" "a" {
				name = "a"
				deletion_protection = ` + protection + `
				lifecycle { replace_triggered_by = [terraform_data.again] }
			}
			resource "svcauth_service_account_secret" "s" {
				service_account_id = svcauth_service_account.a.id
				client_secret_wo = "` + secret.Reveal() + `"
				client_secret_wo_version = 1
			}
			resource "svcauth_role" "r" {
				name = "r"
				deletion_protection = ` + protection + `
			}
			resource "svcauth_member" "m" {
				email = "` + email + `"
				deletion_protection = ` + protection + `
			}
			resource "svcauth_service_account_role" "g" {
				service_account_id = svcauth_service_account.a.id
				role_id = svcauth_role.r.id
			}
			resource "svcauth_member_role" "g" {
				member_id = svcauth_member.m.id
				role_id = svcauth_role.r.id
			}`
	}
	ws.write("main.tf", text("m@example.com", "true"))
	ws.must("apply", "-auto-approve")
	asItWas := func() svcauth.ServiceAccount { // when its secret was last used is written later
		a := w.named("a")
		a.LastUsedAt = nil
		for i := range a.Secrets {
			a.Secrets[i].LastUsedAt = nil
		}
		return a
	}
	before := asItWas()
	const account, role, member = "svcauth_service_account.a", "svcauth_role.r", "svcauth_member.m"
	refused := func(what string, args ...string) {
		t.Helper()
		out, err := ws.try(append([]string{"apply", "-auto-approve"}, args...)...)
		require.Error(t, err, what)
		require.Contains(t, out, "Protected from deletion", what)
		require.NotContains(t, out, "Destroying...", what)
		require.Equal(t, before, asItWas(), what)
		require.True(t, w.works(secret), what)
	}
	refused("all of it", "-destroy")
	for _, address := range []string{account, role, member} {
		refused("-replace "+address, "-replace", address)
		ws.must("taint", address)
		refused("taint " + address)
		ws.must("untaint", address)
	}
	refused("replace_triggered_by", "-var", "again=1")
	ws.write("main.tf", text("other@example.com", "true"))
	refused("another e-mail address")
	ws.write("main.tf", text("M@example.com", "true"))
	ws.must("apply", "-auto-approve")
	require.Equal(t, before.ID, w.named("a").ID, "what ends nothing is refused nowhere")

	ws.write("main.tf", text("m@example.com", "false"))
	ws.must("apply", "-auto-approve")
	ws.must("apply", "-auto-approve", "-replace", account, "-replace", member)
	require.NotEqual(t, before.ID, w.named("a").ID)
	ws.must("taint", role)
	ws.must("apply", "-auto-approve")
	ws.must("destroy", "-auto-approve")
}

// TestWhatProtectionCannotSee holds the documentation to its word: without a
// refresh a replacement is refused by the plan, and a tainted one by the apply
// alone, which prevent_destroy makes the plan do.
func TestWhatProtectionCannotSee(t *testing.T) {
	w := newWorld(t)
	ws := newWorkspace(t)
	w.signIn(ws)
	secret := svcauth.NewSecret()
	text := func(lifecycle string) string {
		return required + `
			resource "svcauth_service_account" "a" {
				name = "a"
				deletion_protection = true
				` + lifecycle + `
			}
			resource "svcauth_role" "r" { name = "r" }
			resource "svcauth_service_account_role" "g" {
				service_account_id = svcauth_service_account.a.id
				role_id = svcauth_role.r.id
			}
			resource "svcauth_service_account_secret" "s" {
				service_account_id = svcauth_service_account.a.id
				client_secret_wo = "` + secret.Reveal() + `"
				client_secret_wo_version = 1
			}`
	}
	ws.write("main.tf", text(""))
	ws.must("apply", "-auto-approve")
	id := w.named("a").ID
	refused := func(what, by string, secrets int, args ...string) {
		t.Helper()
		out, err := ws.try(append([]string{"apply", "-auto-approve", "-refresh=false"}, args...)...)
		require.Error(t, err, what)
		require.Contains(t, out, by, what)
		require.Equal(t, id, w.named("a").ID, what)
		require.Len(t, w.named("a").Roles, 1, what)
		require.Len(t, w.named("a").Secrets, secrets, what)
	}
	refused("-replace", "Protected from deletion", 1, "-replace", "svcauth_service_account.a")
	ws.must("taint", "svcauth_service_account.a")
	ws.write("main.tf", text("lifecycle {\n prevent_destroy = true\n}"))
	refused("taint with prevent_destroy", "Instance cannot be destroyed", 1)
	ws.write("main.tf", text(""))
	refused("taint", "Protected from deletion", 0)
}
