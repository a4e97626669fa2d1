package provider

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// revokeOf gives back the token that a request carries.
func (w *world) revokeOf(r *http.Request) {
	key := w.Tenant.ApplicationKey
	answer := w.Post("/oauth2/revoke", key.ClientID, key.ClientSecret, url.Values{
		"token": {strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")},
	})
	require.Equal(w.t, http.StatusOK, answer.Status)
}

const chain = `
	resource "svcauth_service_account" "one" { name = "one" }
	resource "svcauth_service_account" "two" {
		name = "two"
		depends_on = [svcauth_service_account.one]
	}
	resource "svcauth_service_account" "three" {
		name = "three"
		depends_on = [svcauth_service_account.two]
	}
	resource "svcauth_service_account" "four" {
		name = "four"
		depends_on = [svcauth_service_account.three]
	}`

// A token that is revoked in the middle of an apply is replaced, and the apply
// goes on.
func TestARevokedTokenIsRenewedWithinAnApply(t *testing.T) {
	w := newWorld(t)
	p := newProxy(t, w.URL)
	var posts, tokens atomic.Int64
	p.before(func(r *http.Request) {
		if r.URL.Path == "/oauth2/token" {
			tokens.Add(1)
		}
		if r.Method == "POST" && r.URL.Path == "/v1/service-accounts" && posts.Add(1) == 2 {
			w.revokeOf(r)
		}
	})
	var before int64
	run(t, resource.TestStep{
		PreConfig: func() { before = tokens.Load() },
		Config:    w.through(p).config(chain),
		Check: does(func() {
			require.EqualValues(t, 5, posts.Load(), "one, two refused, two again, three, four")
			require.GreaterOrEqual(t, tokens.Load()-before, int64(2))
			w.named("three")
		}),
	})
}

// A token of 60 s and an apply that takes longer by the server's clock.
func TestAnExpiredTokenIsRenewedWithinAnApply(t *testing.T) {
	needTerraform(t)
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	w := &world{svctest.New(t, svctest.Options{Clock: clock, Environ: []string{"SVCAUTH_TOKEN_TTL=60s"}}), t}
	p := newProxy(t, w.URL)
	var posts atomic.Int64
	p.before(func(r *http.Request) {
		if r.Method == "POST" && r.URL.Path == "/v1/service-accounts" && posts.Add(1) == 2 {
			ahead.Add(int64(2 * time.Minute))
		}
	})
	run(t, resource.TestStep{
		Config: w.through(p).config(chain),
		Check:  does(func() { require.EqualValues(t, 5, posts.Load()) }),
	})
}

// The same on real time: three minutes with tokens of one. It is a drill,
// because it takes them.
func TestAnApplyOutlivesItsTokens(t *testing.T) {
	if os.Getenv("SVCAUTH_TEST_LONG") != "1" {
		t.Skip("takes three minutes: set SVCAUTH_TEST_LONG=1")
	}
	needTerraform(t)
	w := &world{svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_TOKEN_TTL=60s"}}), t}
	p := newProxy(t, w.URL)
	var tokens atomic.Int64
	var slow atomic.Bool
	p.before(func(r *http.Request) {
		if r.URL.Path == "/oauth2/token" {
			tokens.Add(1)
		}
		if slow.Load() && (r.Method == "POST" || r.Method == "DELETE") && strings.HasPrefix(r.URL.Path, "/v1/") {
			time.Sleep(28 * time.Second) // within the client's patience
		}
	})
	text := w.through(p).config(chain) // one after the other, two slow requests for each
	began := time.Now()
	run(t, resource.TestStep{PreConfig: func() { slow.Store(true) }, Config: text, Check: does(func() {
		slow.Store(false)
		require.Greater(t, time.Since(began), 3*time.Minute)
		require.Greater(t, tokens.Load(), int64(3))
	})})
}

// TestARefusedServiceAccountIsToldTheWayOut checks that a service account
// manages access only if the organization lets it. The error says both ways
// out.
func TestARefusedServiceAccountIsToldTheWayOut(t *testing.T) {
	w := newWorld(t)
	machine := w.Account("terraform", svcauth.MembersManage, svcauth.MembersRead, svcauth.RolesManage)
	text := block(w.URL, machine.ClientID, machine.ClientSecret) +
		`resource "svcauth_service_account" "a" { name = "a" }` + "\n"
	run(t,
		resource.TestStep{
			Config: text,
			ExpectError: regexp.MustCompile(
				`(?s)service\s+account\s+may\s+not\s+manage\s+access.*two\s+ways\s+out.*service_accounts_may_manage_access\s+on.*application\s+key`),
		},
		resource.TestStep{PreConfig: func() {
			on := true
			_, err := w.Admin().UpdateOrganization(t.Context(), 0, svcauth.OrganizationPatch{
				ServiceAccountsMayManageAccess: &on,
			})
			require.NoError(t, err)
		}, Config: text},
	)
}

// TestThePipelinesServiceAccount makes a service account by the commands of the
// provider's page, and runs the first example with it.
func TestThePipelinesServiceAccount(t *testing.T) {
	w := newWorld(t)
	ws := newWorkspace(t)
	signedOut := ws.env
	w.signIn(ws)
	_, commands, _ := strings.Cut(read(t, docsDir, "index.md"), "```shell\n")
	commands, _, _ = strings.Cut(commands, "\n```")
	build := exec.Command("go", "build", "-o", filepath.Join(ws.dir, "svcauth"), "../../cmd/svcauth")
	build.Env = append(os.Environ(), "HOME="+home)
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	shell := exec.Command("sh", "-euc", commands+" -o json")
	shell.Dir, shell.Env, shell.Stderr = ws.dir, append(ws.env, "PATH="+ws.dir+":"+os.Getenv("PATH")), os.Stderr
	out, err = shell.Output()
	require.NoError(t, err)
	var made svcauth.ServiceAccount
	at := strings.LastIndex(string(out), "\n{")
	require.NoError(t, json.Unmarshal(out[at+1:], &made), string(out))
	ws.env = append(signedOut[:len(signedOut):len(signedOut)], "SVCAUTH_URL="+w.URL, "SVCAUTH_CLIENT_ID="+
		made.ClientID, "SVCAUTH_CLIENT_SECRET="+made.ClientSecret.Reveal())
	ws.write("main.tf", read(t, examplesDir, "quickstart/main.tf"))
	require.Contains(t, ws.must("apply", "-auto-approve"), "4 added")
	require.Contains(t, ws.must("destroy", "-auto-approve"), "4 destroyed")
}

func TestRequestsSayWhoSendsThem(t *testing.T) {
	w := newWorld(t)
	p := newProxy(t, w.URL)
	text := strings.Replace(w.through(p).config(`resource "svcauth_role" "r" { name = "r" }`), "max_retries = 2",
		`http_headers = { "X-Proxy-Key" = "k-123" }`, 1)
	run(t,
		resource.TestStep{
			Config:      strings.Replace(text, "X-Proxy-Key", "authorization", 1),
			ExpectError: regexp.MustCompile(`Reserved header`),
		},
		resource.TestStep{Config: text},
	)
	require.NotEmpty(t, p.requests())
	for _, r := range p.requests() {
		require.Regexp(t, `^terraform-provider-svcauth/1\.2\.3 Terraform/1\.\d+\.\d+`, r.UserAgent(), r.URL.Path)
		require.Equal(t, "k-123", r.Header.Get("X-Proxy-Key"), r.URL.Path)
	}
}

// TestCredentialsUnknownAtPlanAreUsedLater checks that what the provider block
// does not know at plan time is used when it is first needed. What is in the
// state meanwhile stays.
func TestCredentialsUnknownAtPlanAreUsedLater(t *testing.T) {
	w := newWorld(t)
	key := w.Tenant.ApplicationKey
	text := func(input, name string) string {
		return `
		resource "terraform_data" "vault" {
			triggers_replace = "` + input + `"
			input = { url = "` + w.URL + `", id = "` + key.ClientID + `", secret = "` + key.ClientSecret.Reveal() + `" }
		}
		provider "svcauth" {
			url = terraform_data.vault.output.url
			client_id = terraform_data.vault.output.id
			client_secret = terraform_data.vault.output.secret
		}
		resource "svcauth_role" "r" { name = "` + name + `" }
		`
	}
	run(t,
		resource.TestStep{
			Config: text("1", "r") + "data \"svcauth_roles\" \"x\" {}\n",
			ExpectError: regexp.MustCompile(
				`(?s)url, client_id, client_secret: not known\s+before\s+apply.*depends_on`),
		},
		resource.TestStep{
			Config:           text("1", "r"),
			ConfigPlanChecks: planned("svcauth_role.r", plancheck.ResourceActionCreate),
		},
		resource.TestStep{
			Config:           text("2", "r2"),
			ConfigPlanChecks: planned("svcauth_role.r", plancheck.ResourceActionUpdate),
			Check:            does(func() { w.roleNamed("r2") }),
		},
	)
}
