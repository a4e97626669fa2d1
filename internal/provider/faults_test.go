package provider

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/stretchr/testify/require"

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
		resource "svcauth_member_role" "g" {
			member_id = svcauth_member.m.id
			role_id = svcauth_role.r.id
		}
		`
}

// Whatever becomes of a request or of its answer: the apply succeeds, and each
// thing is there once.
func TestCreationsSurviveFaults(t *testing.T) {
	needTerraform(t)
	kinds := map[string]func(*proxy, http.ResponseWriter, *http.Request){
		"401":                    answers(401, ""),
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
			for _, path := range []string{"/v1/service-accounts", "/v1/service-accounts/[^/]+/secrets", "/v1/roles",
				"/v1/members"} {
				p.befalls(1, "POST", path, befall)
			}
			p.befalls(1, "PUT", "/v1/service-accounts/.*", befall)
			p.befalls(1, "PUT", "/v1/members/.*", befall)
			p.befalls(1, "GET", "/v1/service-accounts/[^/]+/secrets", answers(503, "busy"))
			secret := svcauth.NewSecret()
			run(t, resource.TestStep{Config: w.through(p).oneOfEach(secret), Check: does(func() {
				a := w.named("a")
				require.Len(t, a.Secrets, 1, "the account is made without one, and the managed one is there once")
				require.True(t, w.works(secret))
				require.Equal(t, "r", a.Roles[0].Name)
				roles, err := collect(t.Context(), w.Admin().Roles)
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

// TestLastingFaultsAreSaid checks that a fault that does not pass is an error
// that says so. Nothing is left behind, and nothing in the state is lost.
func TestLastingFaultsAreSaid(t *testing.T) {
	w := newWorld(t)
	p := newProxy(t, w.URL)
	text := w.through(p).config(`resource "svcauth_service_account" "a" { name = "a" }`)
	always := 1 << 20
	run(t,
		resource.TestStep{
			PreConfig:   func() { p.befalls(always, "POST", "/v1/service-accounts", answers(500, "")) },
			Config:      text,
			ExpectError: regexp.MustCompile(`(?s)500\s+Internal.*was\s+not\s+made`),
		},
		resource.TestStep{PreConfig: func() {
			p.heal()
			p.befalls(always, "POST", "/v1/service-accounts",
				answers(429,
					`{"type":"urn:svcauth:problem:too_many_requests","title":"x","status":429,"detail":"Too many requests; wait.","code":"too_many_requests"}`, "Retry-After: 3600"))
		}, Config: text, ExpectError: regexp.MustCompile(`Too many requests`)},
		resource.TestStep{PreConfig: p.heal, Config: text},
		// A 404 that is not the server's word on the id must not drop the
		// account from the state.
		resource.TestStep{
			PreConfig:   func() { p.befalls(always, "GET", "/v1/service-accounts/.*", answers(404, "not here")) },
			Config:      text,
			ExpectError: regexp.MustCompile(`(?s)404\s+Not\s+Found\s+and\s+no\s+problem\s+document`),
		},
		resource.TestStep{
			PreConfig: func() {
				p.heal()
				p.befalls(always, "POST", "/oauth2/token",
					answers(401, `{"error":"invalid_client","error_description":"unknown client or wrong secret"}`))
			},
			Config:      text,
			ExpectError: regexp.MustCompile(`(?s)invalid_client.*Credential:\s+url\s+from\s+attribute\s+url`),
		},
		resource.TestStep{
			PreConfig:        p.heal,
			Config:           text,
			ConfigPlanChecks: planned("svcauth_service_account.a", plancheck.ResourceActionNoop),
		},
	)
}

// TestALostSecretIsFoundAndReplaced checks that the apply says so if not even
// the search for a lost secret succeeds. The next apply finds the secret and
// replaces it, so that none is left unnoticed.
func TestALostSecretIsFoundAndReplaced(t *testing.T) {
	w := newWorld(t)
	p := newProxy(t, w.URL)
	lost, next := svcauth.NewSecret(), svcauth.NewSecret()
	always := 1 << 20
	run(t,
		resource.TestStep{
			PreConfig: func() {
				p.befalls(1, "POST", "/v1/service-accounts/[^/]+/secrets", doneBut(cut))
				p.befalls(always, "GET", "/v1/service-accounts/[^/]+/secrets", cut)
			},
			Config:      w.through(p).withSecret(lost, 1, ""),
			ExpectError: regexp.MustCompile(`(?s)was\s+lost.*it\s+may\s+have\s+been\s+made`),
		},
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

// TestALostRotationLeavesNoSecretBehind checks the same in a rotation. The
// present secret works on. Whatever comes next removes the lost one before it
// tries the rotation again.
func TestALostRotationLeavesNoSecretBehind(t *testing.T) {
	w := newWorld(t)
	p := newProxy(t, w.URL)
	s1, lost, s3 := svcauth.NewSecret(), svcauth.NewSecret(), svcauth.NewSecret()
	lose := resource.TestStep{
		PreConfig: func() {
			posted := false
			p.before(func(r *http.Request) { // from the lost answer on, nothing can be found out
				if r.Method == "POST" && strings.HasSuffix(r.URL.Path, "/secrets") && !posted {
					posted = true
					p.befalls(1<<20, "GET", "/v1/service-accounts/[^/]+/secrets", cut)
				}
			})
			p.befalls(1, "POST", "/v1/service-accounts/[^/]+/secrets", doneBut(cut))
		},
		Config:      w.through(p).withSecret(lost, 2, ""),
		ExpectError: regexp.MustCompile(`(?s)the\s+present\s+one\s+works\s+on.*may\s+have\s+been\s+made`),
	}
	found := func() {
		p.heal()
		require.True(t, w.works(s1) && w.works(lost))
	}
	only := func(secret svcauth.Secret) resource.TestCheckFunc {
		return does(func() {
			require.True(t, w.works(secret))
			require.False(t, w.works(lost))
			require.Len(t, w.named("a").Secrets, 1)
		})
	}
	run(t,
		resource.TestStep{Config: w.through(p).withSecret(s1, 1, "")},
		lose,
		// the rotation was given up
		resource.TestStep{PreConfig: found, Config: w.through(p).withSecret(s1, 1, ""), Check: only(s1)},
		lose,
		resource.TestStep{PreConfig: found, Config: w.through(p).withSecret(s3, 2, ""), Check: only(s3)},
	)
}

// TestAHalfDoneRotationIsFinished checks that a rotation that could not cut the
// previous secret short is finished by the next apply, without another
// rotation.
func TestAHalfDoneRotationIsFinished(t *testing.T) {
	w := newWorld(t)
	p := newProxy(t, w.URL)
	s1, s2 := svcauth.NewSecret(), svcauth.NewSecret()
	for name, more := range map[string]string{"removed": "", "kept for an hour": `keep_previous_for = "1h"`} {
		run(t,
			resource.TestStep{Config: w.through(p).withSecret(s1, 1, more)},
			resource.TestStep{
				PreConfig: func() {
					p.befalls(1<<20, "DELETE", "/v1/service-accounts/[^/]+/secrets/.*", answers(500, ""))
					p.befalls(1<<20, "PATCH", "/v1/service-accounts/[^/]+/secrets/.*", answers(500, ""))
				},
				Config:             w.through(p).withSecret(s2, 2, more),
				ExpectNonEmptyPlan: true, // the rest of it
			},
			resource.TestStep{
				PreConfig: func() {
					p.heal()
					require.True(t, w.works(s1) && w.works(s2), name)
				},
				Config:           w.through(p).withSecret(svcauth.NewSecret(), 2, more),
				ConfigPlanChecks: planned(secretAddress, plancheck.ResourceActionUpdate),
				Check: does(func() {
					require.True(t, w.works(s2), name)
					require.Equal(t, more != "", w.works(s1), name)
					for _, s := range w.named("a").Secrets {
						require.Equal(t, s.Hint == s1.Hint(), s.ExpiresAt != nil, name)
					}
				}),
			},
		)
	}
}
