package provider

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// A plan shows what the server would warn of, of each kind of write, and
// changes nothing. Without a warning, without the server and without the right
// to write it is made all the same.
func TestPlansShowWhatTheServerWouldWarnOf(t *testing.T) {
	needTerraform(t)
	w := &world{svctest.New(t, svctest.Options{Environ: []string{svctest.Catalog(t, map[string]string{
		svctest.CloudAPI: "profile: {preset: spring}",
	})}}), t}
	ws := newWorkspace(t)
	w.signIn(ws)
	cloud, billing := w.Account("c", "clusters:view").Roles[0].ID, w.Account("b", "billing:view").Roles[0].ID
	text := func(resource, roles, privileges, subject string) string {
		return required + fmt.Sprintf(`
		resource "svcauth_service_account" "one" {
			name = "one"
			default_resource = %q
		}
		resource "svcauth_service_account" "two" { name = "two" }
		resource "svcauth_service_account" "three" { name = "three" }
		resource "svcauth_service_account_roles" "one" {
			service_account_id = svcauth_service_account.one.id
			role_ids = [%q, %q]
		}
		resource "svcauth_service_account_roles" "two" {
			service_account_id = svcauth_service_account.two.id
			role_ids = [%s]
		}
		resource "svcauth_role" "wide" {
			name = "wide"
			privileges = [%s]
		}
		resource "svcauth_service_account_role" "three" {
			service_account_id = svcauth_service_account.three.id
			role_id = svcauth_role.wide.id
		}
		resource "svcauth_federated_credential" "one" {
			service_account_id = svcauth_service_account.one.id
			name = "deploy"
			preset = "google"
			subject = %q
		}
		`, resource, cloud, billing, roles, privileges, subject)
	}
	quoted := func(all ...string) string { return `"` + strings.Join(all, `", "`) + `"` }
	const warning = "Warning: The server warns of this change"
	before := text(svctest.CloudAPI, quoted(cloud), quoted("clusters:view"), "1234")
	ws.write("main.tf", before)
	require.NotContains(t, ws.must("apply", "-auto-approve"), warning)
	events := func() int {
		list, err := w.Admin().AuditEvents(t.Context(), svcauth.AuditFilter{
			ListOptions: svcauth.ListOptions{Limit: 200},
		})
		require.NoError(t, err)
		return len(list.Items)
	}
	audited := events()

	for name, c := range map[string]struct{ text, says string }{
		"an account": {text("", quoted(cloud), quoted("clusters:view"), "1234"),
			"The service account one gets no token without a resource"},
		"all roles of an account": {text(svctest.CloudAPI, quoted(cloud, billing), quoted("clusters:view"), "1234"),
			"The service account two gets no token without a resource"},
		"a role": {text(svctest.CloudAPI, quoted(cloud), quoted("clusters:view", "billing:view"), "1234"),
			"The service account three gets no token without a resource"},
		"a federated credential": {text(svctest.CloudAPI, quoted(cloud), quoted("clusters:view"), "me@example.com"),
			"this one is a name"},
		"one grant": {before + fmt.Sprintf(`
			resource "svcauth_service_account_role" "more" {
				service_account_id = svcauth_service_account.three.id
				role_id = %q
			}`, billing), "The service account three gets no token without a resource"},
		"a new federated credential": {before + `
			resource "svcauth_federated_credential" "more" {
				service_account_id = svcauth_service_account.two.id
				name = "more"
				preset = "google"
				subject = "me@example.com"
			}`, "this one is a name"},
	} {
		ws.write("main.tf", c.text)
		out := ws.must("plan")
		require.Contains(t, out, warning, name)
		require.Contains(t, out, c.says, name)
		ws.write("main.tf", before)
		require.Contains(t, ws.must("plan"), "No changes", name)
	}
	require.Equal(t, audited, events(), "a dry run is no change")

	// What is not known yet is no obstacle to the plan, nor what is refused now.
	ws.write("main.tf", before+`
		resource "svcauth_service_account" "new" { name = "new" }
		resource "svcauth_service_account_role" "new" {
			service_account_id = svcauth_service_account.new.id
			role_id = svcauth_role.wide.id
		}
		resource "svcauth_role" "twin" { name = "wide" }
		`)
	require.NotContains(t, ws.must("plan"), warning)

	// Nor is that the caller may only read.
	reader := w.Account("reader", svcauth.MembersRead)
	ws.env = append(ws.env, "SVCAUTH_CLIENT_ID="+reader.ClientID, "SVCAUTH_CLIENT_SECRET="+reader.ClientSecret.Reveal())
	ws.write("main.tf", text("", quoted(cloud, billing), quoted("clusters:view", "billing:view"), "1234"))
	require.NotContains(t, ws.must("plan"), warning)
}

// A server that doesn't answer to the question, or is broken, fails no plan.
func TestNoForesightFailsNoPlan(t *testing.T) {
	w := newWorld(t)
	p := newProxy(t, w.URL)
	var cuts atomic.Int64
	p.rehearsed = func(p *proxy, w http.ResponseWriter, r *http.Request) {
		cuts.Add(1)
		cut(p, w, r)
	}
	ws := newWorkspace(t)
	w.through(p).signIn(ws)
	const block = `provider "svcauth" { max_retries = 0 }
		resource "svcauth_service_account" "ci" { name = %q }`
	ws.write("main.tf", required+fmt.Sprintf(block, "ci"))
	require.Contains(t, ws.must("plan"), "1 to add")
	ws.must("apply", "-auto-approve")
	ws.write("main.tf", required+fmt.Sprintf(block, "other"))
	require.Contains(t, ws.must("plan"), "1 to change")
	require.EqualValues(t, 4, cuts.Load(), "once each time that the provider starts, for an apply twice")
}

// Who asks too much waits as long as the server says, if that is not long. Else
// the plan says what it doesn't know, of each change, and asks no more.
func TestAPlanSaysWhatItCouldNotFindOut(t *testing.T) {
	w := newWorld(t)
	account := w.Account("ci", "clusters:view")
	p := newProxy(t, w.URL)
	refusal := func(seconds string) func(*proxy, http.ResponseWriter, *http.Request) {
		return answers(http.StatusTooManyRequests, `{"status":429,"code":"too_many_requests","detail":"Too often."}`,
			"Retry-After: "+seconds)
	}
	var asked atomic.Int64
	var wait atomic.Value
	p.rehearsed = func(p *proxy, w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 || wait.Load() != "1" {
			refusal(wait.Load().(string))(p, w, r)
			return
		}
		p.forward(w, r)
	}
	ws := newWorkspace(t)
	w.through(p).signIn(ws)
	text := required + fmt.Sprintf(`
		resource "svcauth_federated_credential" "ci" {
			count = 3
			service_account_id = %q
			name = "deploy-${count.index}"
			preset = "google"
			subject = "me-${count.index}@example.com"
		}`, account.ID)
	ws.write("main.tf", text)
	wait.Store("1")
	out := ws.must("plan", "-parallelism=1")
	require.NotContains(t, out, unforeseen)
	require.Contains(t, out, "this one is a name")
	require.EqualValues(t, 4, asked.Load(), "one was asked twice")

	asked.Store(0)
	wait.Store("3600")
	out = ws.must("plan", "-parallelism=1")
	require.Contains(t, out, "3 to add")
	require.Contains(t, out, unforeseen)
	require.Contains(t, out, "plan again in 1h")
	require.Contains(t, out, "2 more similar warnings")
	require.EqualValues(t, 1, asked.Load())
}
