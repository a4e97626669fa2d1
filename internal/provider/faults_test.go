package provider

import (
	"net/http"
	"net/url"
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

const unavailable = `{"type":"urn:svcauth:problem:unavailable","title":"x","status":503,"detail":"Nothing was changed.","code":"unavailable"}`

// through is the world with the proxy before it.
func (w *world) through(p *proxy) *world {
	behind := *w.Server
	behind.URL = p.URL
	return &world{&behind, w.t}
}

// oneOfEach makes one thing of each kind that is made by POST.
func (w *world) oneOfEach(secret svcauth.Secret) string {
	return w.withSecret(secret, 1, "") + `
		resource "svcauth_role" "r" { name = "r" }
		resource "svcauth_member" "m" {
			email = "m@example.com"
			first_name = "M"
			last_name = "M"
		}
		resource "svcauth_service_account_role" "g" {
			service_account_id = svcauth_service_account.a.id
			role_id = svcauth_role.r.id
		}
		`
}

// Whatever becomes of a request or of its answer: the apply succeeds, and each thing is there once.
func TestCreationsSurviveFaults(t *testing.T) {
	needTerraform(t)
	kinds := map[string]func(*proxy, http.ResponseWriter, *http.Request){
		"429":                    answers(429, "", "Retry-After: 0"),
		"503 of the server":      answers(503, unavailable),
		"503 of a proxy":         answers(503, "busy"),
		"500":                    answers(500, ""),
		"cut before":             cut,
		"done, then cut":         doneBut(cut),
		"done, then 500":         doneBut(answers(500, "")),
		"done, then gateway 502": doneBut(answers(502, "<html>")),
	}
	for kind, befall := range kinds {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			p := newProxy(t, w.URL)
			for _, path := range []string{"/v1/service-accounts", "/v1/service-accounts/[^/]+/secrets", "/v1/roles", "/v1/members"} {
				p.befalls(1, "POST", path, befall)
			}
			if !strings.Contains(kind, "500") { // after which the client repeats nothing by itself; the next apply puts it right
				p.befalls(1, "PUT", "/v1/.*", befall)
			}
			p.befalls(1, "GET", "/v1/service-accounts/[^/]+/secrets", answers(503, "busy"))
			secret := svcauth.NewSecret()
			run(t, resource.TestStep{Config: w.through(p).oneOfEach(secret), Check: does(func() {
				a := w.named("a")
				require.Len(t, a.Secrets, 1, "the first secret is gone, and the managed one is there once")
				require.True(t, w.works(secret))
				require.Equal(t, "r", a.Roles[0].Name)
				roles, err := allRoles(t.Context(), w.Admin())
				require.NoError(t, err)
				require.Len(t, roles, 3, "Administrator, Public, r")
				require.Equal(t, svcauth.MemberInvited, w.member("m@example.com").Status)
			})})
			list, err := w.Admin().ServiceAccounts(t.Context(), svcauth.ListOptions{})
			require.NoError(t, err)
			require.Empty(t, list.Items)
		})
	}
}

// A fault that does not pass is an error that says so; nothing is left behind and nothing in the state is lost.
func TestLastingFaultsAreSaid(t *testing.T) {
	w := newWorld(t)
	p := newProxy(t, w.URL)
	text := w.through(p).config(`resource "svcauth_service_account" "a" { name = "a" }`)
	always := 1 << 20
	run(t,
		resource.TestStep{PreConfig: func() { p.befalls(always, "POST", "/v1/service-accounts", answers(500, "")) }, Config: text,
			ExpectError: regexp.MustCompile(`(?s)500\s+Internal.*was\s+not\s+made`)},
		resource.TestStep{PreConfig: func() {
			p.heal()
			p.befalls(always, "POST", "/v1/service-accounts", answers(429, `{"type":"urn:svcauth:problem:too_many_requests","title":"x","status":429,"detail":"Too many requests; wait.","code":"too_many_requests"}`, "Retry-After: 3600"))
		}, Config: text, ExpectError: regexp.MustCompile(`Too many requests`)},
		resource.TestStep{PreConfig: p.heal, Config: text},
		// A 404 that is not the server's word on the id must not drop the account from the state.
		resource.TestStep{PreConfig: func() { p.befalls(always, "GET", "/v1/service-accounts/.*", answers(404, "not here")) }, Config: text,
			ExpectError: regexp.MustCompile(`(?s)404\s+Not\s+Found\s+and\s+no\s+problem\s+document`)},
		resource.TestStep{PreConfig: func() {
			p.heal()
			p.befalls(always, "POST", "/oauth2/token", answers(401, `{"error":"invalid_client","error_description":"unknown client or wrong secret"}`))
		}, Config: text, ExpectError: regexp.MustCompile(`(?s)invalid_client.*Credential:\s+url\s+from\s+attribute\s+url`)},
		resource.TestStep{PreConfig: p.heal, Config: text, ConfigPlanChecks: planned("svcauth_service_account.a", plancheck.ResourceActionNoop)},
	)
}

// Where not even the search for a lost secret succeeds, the apply says so; the next one finds the secret and replaces it: none is left unnoticed.
func TestALostSecretIsFoundAndReplaced(t *testing.T) {
	w := newWorld(t)
	p := newProxy(t, w.URL)
	lost, next := svcauth.NewSecret(), svcauth.NewSecret()
	always := 1 << 20
	run(t,
		resource.TestStep{PreConfig: func() {
			p.befalls(1, "POST", "/v1/service-accounts/[^/]+/secrets", doneBut(cut))
			p.befalls(always, "GET", "/v1/service-accounts/[^/]+/secrets", cut)
		}, Config: w.through(p).withSecret(lost, 1, ""), ExpectError: regexp.MustCompile(`(?s)was\s+lost.*it\s+may\s+have\s+been\s+made`)},
		resource.TestStep{PreConfig: func() {
			require.True(t, w.works(lost), "the server had made it")
			p.heal()
		}, Config: w.through(p).withSecret(next, 1, ""), Check: does(func() {
			require.Len(t, w.named("a").Secrets, 1)
			require.True(t, w.works(next))
			require.False(t, w.works(lost))
		})},
	)
}

// A rotation that could not cut the previous secret short is finished by the next apply, without another rotation.
func TestAHalfDoneRotationIsFinished(t *testing.T) {
	w := newWorld(t)
	p := newProxy(t, w.URL)
	s1, s2 := svcauth.NewSecret(), svcauth.NewSecret()
	for name, more := range map[string]string{"removed": "", "kept for an hour": `keep_previous_for = "1h"`} {
		run(t,
			resource.TestStep{Config: w.through(p).withSecret(s1, 1, more)},
			resource.TestStep{PreConfig: func() {
				p.befalls(1<<20, "DELETE", "/v1/service-accounts/[^/]+/secrets/.*", answers(500, ""))
				p.befalls(1<<20, "PATCH", "/v1/service-accounts/[^/]+/secrets/.*", answers(500, ""))
			}, Config: w.through(p).withSecret(s2, 2, more), ExpectError: regexp.MustCompile(`(?s)previous\s+one\s+could\s+not\s+be\s+cut\s+short.*still\s+works`)},
			resource.TestStep{PreConfig: func() {
				p.heal()
				require.True(t, w.works(s1) && w.works(s2), name)
			}, Config: w.through(p).withSecret(svcauth.NewSecret(), 2, more), ConfigPlanChecks: planned(secretAddress, plancheck.ResourceActionUpdate), Check: does(func() {
				require.True(t, w.works(s2), name)
				require.Equal(t, more != "", w.works(s1), name)
				for _, s := range w.named("a").Secrets {
					require.Equal(t, s.Hint == s1.Hint(), s.ExpiresAt != nil, name)
				}
			})},
		)
	}
}

// revokeOf gives back the token that a request carries.
func (w *world) revokeOf(r *http.Request) {
	key := w.Tenant.ApplicationKey
	answer := w.Post("/oauth2/revoke", key.ClientID, key.ClientSecret, url.Values{"token": {strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}})
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
	}`

// A token that is revoked in the middle of an apply is replaced, and the apply goes on.
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
	run(t, resource.TestStep{PreConfig: func() { before = tokens.Load() }, Config: w.through(p).config(chain), Check: does(func() {
		require.EqualValues(t, 4, posts.Load(), "one, two refused, two again, three")
		require.GreaterOrEqual(t, tokens.Load()-before, int64(2))
		w.named("three")
	})})
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
	run(t, resource.TestStep{Config: w.through(p).config(chain), Check: does(func() { require.EqualValues(t, 4, posts.Load()) })})
}

// A service account manages access only where the organization lets it; the error says both ways out.
func TestARefusedServiceAccountIsToldTheWayOut(t *testing.T) {
	w := newWorld(t)
	machine := w.Account("terraform", svcauth.MembersManage, svcauth.MembersRead, svcauth.RolesManage)
	text := block(w.URL, machine.ClientID, machine.ClientSecret) + `resource "svcauth_service_account" "a" { name = "a" }` + "\n"
	run(t,
		resource.TestStep{Config: text, ExpectError: regexp.MustCompile(`(?s)service\s+account\s+may\s+not\s+manage\s+access.*two\s+ways\s+out.*service_accounts_may_manage_access\s+on.*application\s+key`)},
		resource.TestStep{PreConfig: func() {
			on := true
			_, err := w.Admin().UpdateOrganization(t.Context(), 0, svcauth.OrganizationPatch{ServiceAccountsMayManageAccess: &on})
			require.NoError(t, err)
		}, Config: text},
	)
}

func TestRequestsSayWhoSendsThem(t *testing.T) {
	w := newWorld(t)
	p := newProxy(t, w.URL)
	text := strings.Replace(w.through(p).config(`resource "svcauth_role" "r" { name = "r" }`), "max_retries = 2", `http_headers = { "X-Proxy-Key" = "k-123" }`, 1)
	run(t,
		resource.TestStep{Config: strings.Replace(text, "X-Proxy-Key", "authorization", 1), ExpectError: regexp.MustCompile(`Reserved header`)},
		resource.TestStep{Config: text},
	)
	require.NotEmpty(t, p.requests())
	for _, r := range p.requests() {
		require.Regexp(t, `^terraform-provider-svcauth/1\.2\.3 Terraform/1\.\d+\.\d+`, r.UserAgent(), r.URL.Path)
		require.Equal(t, "k-123", r.Header.Get("X-Proxy-Key"), r.URL.Path)
	}
}

// What the provider block does not know at plan time is used when it is first needed; what is in the state meanwhile stays.
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
		resource.TestStep{Config: text("1", "r") + "data \"svcauth_roles\" \"x\" {}\n", ExpectError: regexp.MustCompile(`(?s)url, client_id, client_secret: not known\s+before\s+apply.*depends_on`)},
		resource.TestStep{Config: text("1", "r"), ConfigPlanChecks: planned("svcauth_role.r", plancheck.ResourceActionCreate)},
		resource.TestStep{Config: text("2", "r2"), ConfigPlanChecks: planned("svcauth_role.r", plancheck.ResourceActionUpdate), Check: does(func() { w.roleNamed("r2") })},
	)
}
