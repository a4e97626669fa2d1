package console_test

import (
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestSignInGivesOneAnswerForEverythingWrong checks that the answer does not
// tell if there is such an account, and that service accounts have no way in.
func TestSignInGivesOneAnswerForEverythingWrong(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	machine := s.Account("machine", "clusters:view")
	bodies := map[string]string{}
	for name, in := range map[string][2]string{
		"wrong password":                    {svctest.AdminEmail, "a wrong password that is long"},
		"unknown address":                   {"nobody@example.com", "a wrong password that is long"},
		"service account's id and secret":   {machine.ClientID, machine.ClientSecret.Reveal()},
		"service account's name and secret": {"machine", machine.ClientSecret.Reveal()},
		"application key and secret": {s.Tenant.ApplicationKey.ClientID,
			s.Tenant.ApplicationKey.ClientSecret.Reveal()},
	} {
		p := visit(t, s)
		a := p.signIn(in[0], in[1])
		require.Equal(t, 401, a.status, name)
		require.Empty(t, p.session(), name)
		require.NotContains(t, a.body, in[1], "%s: what was typed as a password is not repeated", name)
		bodies[strings.ReplaceAll(a.body, html.EscapeString(in[0]), "ADDRESS")] = name
	}
	require.Len(t, bodies, 1, "the answers differ")
}

func TestBearerTokenIsNoSession(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	machine := s.Account("machine", svcauth.MembersManage, svcauth.MembersRead)
	for _, token := range []string{s.OwnToken(machine.ClientID, machine.ClientSecret),
		s.OwnToken(s.Tenant.ApplicationKey.ClientID, s.Tenant.ApplicationKey.ClientSecret)} {
		a := s.Get("/console/service-accounts", token)
		require.Equal(t, http.StatusSeeOther, a.Status)
		require.Equal(t, "/console/sign-in?next=%2Fconsole%2Fservice-accounts", a.Header.Get("Location"))
	}
}

// The management API takes the console's session too, for changes from our own
// pages only.
func TestSessionServesTheManagementAPI(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	require.Equal(t, 401, visit(t, s).get("/v1/me").status)
	p := admin(t, s)
	a := p.get("/v1/me")
	require.Equal(t, 200, a.status, a.body)
	require.Contains(t, a.body, svctest.AdminEmail)
	create := func(site string) int {
		req, err := http.NewRequest(http.MethodPost, s.URL+"/v1/service-accounts",
			strings.NewReader(`{"name":"by-session"}`))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Sec-Fetch-Site", site)
		return p.do(req).status
	}
	require.Equal(t, 403, create("cross-site"))
	require.Equal(t, 201, create("same-origin"))
}

func TestEveryPageTellsTheBrowserWhatToRefuse(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := admin(t, s)
	for _, path := range []string{"/console/sign-in", "/console/members", "/console/service-accounts/new",
		"/console/nothing", "/console/profile"} {
		h := p.get(path).header
		policy := h.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'", path)
		require.Contains(t, policy, "frame-ancestors 'none'", path)
		require.Contains(t, policy, "form-action 'self'", path)
		require.Contains(t, policy, "base-uri 'none'", path)
		require.NotContains(t, policy, "unsafe", path)
		require.Equal(t, "no-store", h.Get("Cache-Control"), path)
		require.Equal(t, "no-referrer", h.Get("Referrer-Policy"), path)
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		require.Equal(t, "text/html; charset=utf-8", h.Get("Content-Type"), path)
	}
	missing := p.get("/console/nothing")
	require.Equal(t, 404, missing.status)
	require.Contains(t, missing.body, "There is no page at this address")
}

func TestSessionCookie(t *testing.T) {
	for name, tls := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			s := svctest.New(t, svctest.Options{TLS: tls})
			p := visit(t, s)
			a := p.signIn(svctest.AdminEmail, s.Tenant.AdminPassword.Reveal())
			cookie, err := http.ParseSetCookie(a.header.Get("Set-Cookie"))
			require.NoError(t, err)
			require.True(t, cookie.HttpOnly)
			require.Equal(t, http.SameSiteLaxMode, cookie.SameSite)
			require.Equal(t, "/", cookie.Path)
			require.Empty(t, cookie.Domain)
			require.Equal(t, tls, cookie.Secure)
			if tls {
				require.Equal(t, "__Host-svcauth", cookie.Name)
			}
			require.Equal(t, 200, p.get("/console/members").status)
		})
	}
}

// What was filled in is lost if the session has ended meanwhile, or was ended
// in another tab: the page that one is led to says so.
func TestAFormSentAfterTheSessionHasEndedSaysSo(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := admin(t, s)
	require.Equal(t, 303, p.post("/console/sign-out", nil).status)
	a := p.post("/console/roles", url.Values{"name": {"lost"}})
	require.Equal(t, 303, a.status)
	require.Contains(t, p.get(a.header.Get("Location")).body, "nothing was saved")
	require.NotContains(t, p.get("/console/sign-in").body, "nothing was saved")
	require.NotContains(t, p.get(p.get("/console/roles").header.Get("Location")).body, "nothing was saved")
}

// A token that somebody planted in the browser before is worth nothing after
// the sign-in.
func TestSignInRenewsTheSession(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := admin(t, s)
	first := p.session()
	p.signIn(svctest.AdminEmail, s.Tenant.AdminPassword.Reveal())
	require.NotEmpty(t, p.session())
	require.NotEqual(t, first, p.session())
	thief := visit(t, s)
	req, err := http.NewRequest(http.MethodGet, s.URL+"/console/members", nil)
	require.NoError(t, err)
	req.AddCookie(&http.Cookie{Name: "svcauth", Value: first})
	require.Equal(t, http.StatusSeeOther, thief.do(req).status, "the session before has ended")
	planted, err := http.NewRequest(http.MethodGet, s.URL+"/console/members", nil)
	require.NoError(t, err)
	planted.AddCookie(&http.Cookie{Name: "svcauth", Value: strings.Repeat("A", 43)})
	require.Equal(t, http.StatusSeeOther, thief.do(planted).status)
}

func TestSessionEndsIdleAndInAnyCase(t *testing.T) {
	var ahead atomic.Int64
	began := time.Now()
	s := svctest.New(t, svctest.Options{
		Clock:   func() time.Time { return began.Add(time.Duration(ahead.Load())) },
		Environ: []string{"SVCAUTH_CONSOLE_SESSION_IDLE=30m", "SVCAUTH_CONSOLE_SESSION_LIFETIME=2h"},
	})
	p := admin(t, s)
	forward := func(d time.Duration) int {
		ahead.Add(int64(d))
		return p.get("/console/profile").status
	}
	require.Equal(t, 200, forward(29*time.Minute))
	require.Equal(t, 200, forward(29*time.Minute), "each request begins the idle time anew")
	require.Equal(t, http.StatusSeeOther, forward(31*time.Minute), "idle for too long")
	p = admin(t, s)
	for range 5 {
		require.Equal(t, 200, forward(20*time.Minute))
	}
	require.Equal(t, http.StatusSeeOther, forward(21*time.Minute), "older than its lifetime")
}

func TestSignOut(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	here, there := admin(t, s), admin(t, s)
	stolen := here.session()
	require.Equal(t, http.StatusSeeOther, here.post("/console/sign-out", nil).status)
	require.Empty(t, here.session())
	req, err := http.NewRequest(http.MethodGet, s.URL+"/console/members", nil)
	require.NoError(t, err)
	req.AddCookie(&http.Cookie{Name: "svcauth", Value: stolen})
	require.Equal(t, http.StatusSeeOther, visit(t, s).do(req).status, "the session has ended on the server too")
	require.Equal(t, 200, there.get("/console/members").status)
	require.Equal(t, http.StatusSeeOther, here.post("/console/sign-out", nil).status,
		"nobody is signed in: that leaves nothing")
	signedOut := func() (all []string) {
		events, err := s.Admin().AuditEvents(t.Context(), svcauth.AuditFilter{Action: "member.sign_out"})
		require.NoError(t, err)
		for _, e := range events.Items {
			require.Equal(t, s.Tenant.AdminID, e.Actor.ID)
			require.Equal(t, e.Actor.ID, e.Target.ID)
			require.NotEmpty(t, e.IP)
			require.NotEmpty(t, e.RequestID)
			all = append(all, string(e.After))
		}
		return all
	}
	require.Equal(t, []string{`{"everywhere":false}`}, signedOut())

	here = admin(t, s)
	require.Equal(t, http.StatusSeeOther, here.post("/console/profile/sign-out-everywhere", nil).status)
	require.Equal(t, []string{`{"everywhere":true}`, `{"everywhere":false}`}, signedOut())
	require.Contains(t, here.get("/console/sign-in").body, "signed out everywhere")
	require.Equal(t, http.StatusSeeOther, here.get("/console/members").status)
	require.Equal(t, http.StatusSeeOther, there.get("/console/members").status)
}

// postAtOnce sends a form without fields once for each session, all at once,
// and returns how many got which status.
func postAtOnce(t *testing.T, s *svctest.Server, path string, sessions ...string) map[int]int {
	t.Helper()
	statuses := make(chan int, len(sessions))
	for _, session := range sessions {
		req, err := http.NewRequest(http.MethodPost, s.URL+path, nil)
		require.NoError(t, err)
		req.AddCookie(&http.Cookie{Name: "svcauth", Value: session})
		go func() {
			resp, err := s.HTTP.Transport.RoundTrip(req)
			if err != nil {
				statuses <- 0
				return
			}
			_ = resp.Body.Close()
			statuses <- resp.StatusCode
		}()
	}
	all := map[int]int{}
	for range sessions {
		all[<-statuses]++
	}
	return all
}

// However many requests ask at once for the end of one session, or of all of
// them, it is one event.
func TestASessionEndsOnce(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	for want, path := range []string{"/console/sign-out", "/console/profile/sign-out-everywhere"} {
		all := slices.Repeat([]string{admin(t, s).session()}, 20)
		require.Equal(t, map[int]int{http.StatusSeeOther: 20}, postAtOnce(t, s, path, all...))
		events, err := s.Admin().AuditEvents(t.Context(), svcauth.AuditFilter{Action: "member.sign_out"})
		require.NoError(t, err)
		require.Len(t, events.Items, want+1, path)
	}
}

// A member's sign-outs count like its other requests: their cost is bounded.
func TestSignOutsOfOneMemberAreBounded(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_LIMITS_MANAGEMENT_PER_SECOND=1"}})
	var all []string
	for range 10 {
		all = append(all, admin(t, s).session())
	}
	statuses := postAtOnce(t, s, "/console/sign-out", all...)
	require.NotZero(t, statuses[http.StatusSeeOther], "%v", statuses)
	require.NotZero(t, statuses[http.StatusTooManyRequests], "%v", statuses)
	require.Equal(t, 10, statuses[http.StatusSeeOther]+statuses[http.StatusTooManyRequests], "%v", statuses)
}

// invite makes a member with these roles, who has chosen a password.
func invite(t *testing.T, s *svctest.Server, email, password string, roles ...string) svcauth.Member {
	m, err := s.Admin().InviteMember(t.Context(), svcauth.NewMember{
		Email:     email,
		FirstName: "Ann",
		LastName:  "Example",
		RoleIDs:   roles,
	})
	require.NoError(t, err)
	link, err := url.Parse(m.InvitationURL)
	require.NoError(t, err)
	p := visit(t, s)
	a := p.get(link.RequestURI())
	require.Equal(t, 200, a.status)
	require.Contains(t, a.body, email)
	a = p.post("/console/invitation", url.Values{
		"token":    {link.Query().Get("token")},
		"password": {password},
		"repeat":   {password},
	})
	require.Equal(t, http.StatusSeeOther, a.status, a.body)
	require.NotContains(t, s.Log(), link.Query().Get("token"), "the link works once, and is in no log even so")
	return m
}

const goodPassword = "a sentence of several words"

func TestSessionEndsWithItsMember(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	yes := true
	for name, end := range map[string]func(svcauth.Member) error{
		"suspended": func(m svcauth.Member) error {
			_, err := s.Admin().UpdateMember(t.Context(), m.ID, 0, svcauth.MemberPatch{Suspended: &yes}, 0)
			return err
		},
		"removed": func(m svcauth.Member) error {
			_, err := s.Admin().DeleteMember(t.Context(), m.ID, 0)
			return err
		},
	} {
		m := invite(t, s, name+"@example.com", goodPassword)
		p := visit(t, s)
		require.Equal(t, http.StatusSeeOther, p.signIn(m.Email, goodPassword).status)
		require.Equal(t, 200, p.get("/console/profile").status)
		require.NoError(t, end(m))
		require.Equal(t, http.StatusSeeOther, p.get("/console/profile").status, name)
	}
}

func TestMemberWithoutPrivilegesSeesItsOwnOnly(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	m := invite(t, s, "ann@example.com", goodPassword)
	p := visit(t, s)
	p.signIn(m.Email, goodPassword)
	require.Equal(t, "/console/application-keys", p.get("/console").header.Get("Location"))
	for path, want := range map[string]int{
		"/console/application-keys":            200,
		"/console/profile":                     200,
		"/console/resource-servers":            200,
		"/console/apis":                        200,
		"/console/members":                     403,
		"/console/service-accounts":            403,
		"/console/roles":                       403,
		"/console/audit-log":                   403,
		"/console/audit-log/export?format=csv": 403,
		"/console/signing-keys":                403,
		"/console/settings":                    403,
		"/console/organizations":               403,
	} {
		a := p.get(path)
		require.Equal(t, want, a.status, path)
		require.NotContains(t, a.body, `href="/console/signing-keys"`, path)
	}
}

// Somebody with one address in two organizations chooses after the password.
func TestChoiceOfOrganization(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	other := s.NewTenant("other")
	invite(t, s, "ann@example.com", goodPassword)
	m, err := s.AdminOf(other).InviteMember(t.Context(), svcauth.NewMember{
		Email:     "ann@example.com",
		FirstName: "Ann",
		LastName:  "Other",
	})
	require.NoError(t, err)
	link, err := url.Parse(m.InvitationURL)
	require.NoError(t, err)
	require.Equal(t, http.StatusSeeOther,
		visit(t, s).post("/console/invitation", url.Values{
			"token":    {link.Query().Get("token")},
			"password": {goodPassword},
			"repeat":   {goodPassword},
		}).status)
	p := visit(t, s)
	a := p.signIn("ann@example.com", goodPassword)
	require.Equal(t, "/console/sign-in/organization", a.header.Get("Location"))
	require.Equal(t, http.StatusSeeOther, p.get("/console/profile").status, "not signed in yet")
	a = p.get("/console/sign-in/organization")
	require.Contains(t, a.body, "other")
	require.Contains(t, a.body, m.ID)
	require.NotContains(t, a.body, goodPassword)
	admin, err := s.AdminOf(other).Me(t.Context())
	require.NoError(t, err)
	require.Equal(t, "/console/sign-in",
		p.post("/console/sign-in/organization", url.Values{"member": {admin.ID}}).header.Get("Location"),
		"only who was offered")
	require.Equal(t, http.StatusSeeOther, p.post("/console/sign-in/organization", url.Values{"member": {m.ID}}).status)
	require.Contains(t, p.get("/console/profile").body, "ann@example.com in other")

	// A choice that was left open is no way in after the password was reset.
	late := visit(t, s)
	require.Equal(t, "/console/sign-in/organization",
		late.signIn("ann@example.com", goodPassword).header.Get("Location"))
	_, err = s.AdminOf(other).ResetMember(t.Context(), m.ID)
	require.NoError(t, err)
	a = late.post("/console/sign-in/organization", url.Values{"member": {m.ID}})
	require.Equal(t, http.StatusUnauthorized, a.status)
	require.Contains(t, a.body, "Sign in again")
	require.Equal(t, http.StatusSeeOther, late.get("/console/profile").status)
}

// After too many wrong passwords the next attempt must wait; the page says so.
func TestSignInIsLimited(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	m := invite(t, s, "ann@example.com", goodPassword)
	p := visit(t, s)
	for i := range 40 {
		a := p.signIn(m.Email, "a wrong password that is long")
		if a.status == 401 {
			continue
		}
		require.Equal(t, 429, a.status, "attempt %d", i+1)
		require.NotEmpty(t, a.header.Get("Retry-After"))
		require.Contains(t, a.body, "Too many wrong passwords")
		require.Contains(t, a.body, m.Email, "what was typed is kept")
		require.Equal(t, http.StatusSeeOther, p.signIn(svctest.AdminEmail, s.Tenant.AdminPassword.Reveal()).status,
			"somebody else at the same address may sign in")
		return
	}
	t.Fatal("40 wrong passwords were borne")
}
