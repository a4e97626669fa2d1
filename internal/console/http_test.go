package console_test

import (
	"context"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// person is a browser without a screen: it keeps cookies, follows nothing and reads forms.
type person struct {
	t    *testing.T
	s    *svctest.Server
	http *http.Client
}

type answer struct {
	status int
	header http.Header
	body   string
}

func visit(t *testing.T, s *svctest.Server) *person {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := *s.HTTP
	client.Jar = jar
	return &person{t, s, &client}
}

// admin is the first administrator, signed in.
func admin(t *testing.T, s *svctest.Server) *person {
	p := visit(t, s)
	a := p.signIn(svctest.AdminEmail, s.Tenant.AdminPassword.Reveal())
	require.Equal(t, http.StatusSeeOther, a.status, a.body)
	return p
}

func (p *person) signIn(email, password string) answer {
	return p.post("/console/sign-in", url.Values{"email": {email}, "password": {password}})
}

func (p *person) do(req *http.Request) answer {
	p.t.Helper()
	resp, err := p.http.Do(req)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	return answer{resp.StatusCode, resp.Header, string(raw)}
}

func (p *person) get(path string) answer {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodGet, p.s.URL+path, nil)
	require.NoError(p.t, err)
	return p.do(req)
}

func (p *person) post(path string, form url.Values, header ...string) answer {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodPost, p.s.URL+path, strings.NewReader(form.Encode()))
	require.NoError(p.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] == "" {
			req.Header.Del(header[i])
		} else {
			req.Header.Set(header[i], header[i+1])
		}
	}
	return p.do(req)
}

var (
	onceField    = regexp.MustCompile(`name="once" value="([^"]+)"`)
	versionField = regexp.MustCompile(`name="version" value="([^"]+)"`)
)

// field reads a hidden field of a page.
func (p *person) field(path string, form *regexp.Regexp) string {
	p.t.Helper()
	a := p.get(path)
	require.Equal(p.t, 200, a.status, a.body)
	m := form.FindStringSubmatch(a.body)
	require.NotNil(p.t, m, "no such field on %s", path)
	return m[1]
}

func (p *person) session() string {
	u, err := url.Parse(p.s.URL)
	require.NoError(p.t, err)
	for _, c := range p.http.Jar.Cookies(u) {
		if c.Name == "svcauth" || c.Name == "__Host-svcauth" {
			return c.Value
		}
	}
	return ""
}

// The answer does not say whether there is such an account; service accounts have no way in.
func TestSignInGivesOneAnswerForEverythingWrong(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	machine := s.Account("machine", "clusters:view")
	bodies := map[string]string{}
	for name, in := range map[string][2]string{
		"wrong password":                    {svctest.AdminEmail, "a wrong password that is long"},
		"unknown address":                   {"nobody@example.com", "a wrong password that is long"},
		"service account's id and secret":   {machine.ClientID, machine.ClientSecret.Reveal()},
		"service account's name and secret": {"machine", machine.ClientSecret.Reveal()},
		"application key and secret":        {s.Tenant.ApplicationKey.ClientID, s.Tenant.ApplicationKey.ClientSecret.Reveal()},
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
	for _, token := range []string{s.Token(machine.ClientID, machine.ClientSecret, ""), s.Token(s.Tenant.ApplicationKey.ClientID, s.Tenant.ApplicationKey.ClientSecret, "")} {
		a := s.Get("/console/service-accounts", token)
		require.Equal(t, http.StatusSeeOther, a.Status)
		require.Equal(t, "/console/sign-in?next=%2Fconsole%2Fservice-accounts", a.Header.Get("Location"))
	}
}

func TestEveryPageTellsTheBrowserWhatToRefuse(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := admin(t, s)
	for _, path := range []string{"/console/sign-in", "/console/members", "/console/service-accounts/new", "/console/nothing", "/console/profile"} {
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

// A token that somebody planted in the browser before is worth nothing after the sign-in.
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
	s := svctest.New(t, svctest.Options{Clock: func() time.Time { return began.Add(time.Duration(ahead.Load())) }, Environ: []string{"SVCAUTH_CONSOLE_SESSION_IDLE=30m", "SVCAUTH_CONSOLE_SESSION_LIFETIME=2h"}})
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

	here = admin(t, s)
	require.Equal(t, http.StatusSeeOther, here.post("/console/profile/sign-out-everywhere", nil).status)
	require.Contains(t, here.get("/console/sign-in").body, "signed out everywhere")
	require.Equal(t, http.StatusSeeOther, here.get("/console/members").status)
	require.Equal(t, http.StatusSeeOther, there.get("/console/members").status)
}

// invite makes a member with these roles, who has chosen a password.
func invite(t *testing.T, s *svctest.Server, email, password string, roles ...string) svcauth.Member {
	m, err := s.Admin().InviteMember(t.Context(), svcauth.NewMember{Email: email, FirstName: "Ann", LastName: "Example", RoleIDs: roles})
	require.NoError(t, err)
	link, err := url.Parse(m.InvitationURL)
	require.NoError(t, err)
	p := visit(t, s)
	a := p.get(link.RequestURI())
	require.Equal(t, 200, a.status)
	require.Contains(t, a.body, email)
	a = p.post("/console/invitation", url.Values{"token": {link.Query().Get("token")}, "password": {password}, "repeat": {password}})
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
	for path, want := range map[string]int{"/console/application-keys": 200, "/console/profile": 200, "/console/resource-servers": 200, "/console/members": 403, "/console/service-accounts": 403,
		"/console/roles": 403, "/console/audit-log": 403, "/console/signing-keys": 403, "/console/settings": 403, "/console/organizations": 403} {
		a := p.get(path)
		require.Equal(t, want, a.status, path)
		require.NotContains(t, a.body, `href="/console/signing-keys"`, path)
	}
}

// What another site's page sends is refused, whatever the cookie says; so is what comes from a browser that only knows Origin.
func TestCrossSitePostIsRefused(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := admin(t, s)
	form := url.Values{"name": {"planted"}, "once": {p.field("/console/service-accounts/new", onceField)}}
	for name, header := range map[string][]string{
		"another site":        {"Sec-Fetch-Site", "cross-site"},
		"a sibling host":      {"Sec-Fetch-Site", "same-site"},
		"an old browser":      {"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
		"a page without host": {"Sec-Fetch-Site", "", "Origin", "null"},
	} {
		a := p.post("/console/service-accounts", form, header...)
		require.Equal(t, 403, a.status, name)
		require.Contains(t, a.body, "a page of another site", name)
	}
	a := visit(t, s).post("/console/sign-in", url.Values{"email": {svctest.AdminEmail}, "password": {s.Tenant.AdminPassword.Reveal()}}, "Sec-Fetch-Site", "cross-site")
	require.Equal(t, 403, a.status, "nobody is signed in by another site's page")
	require.NotContains(t, p.get("/console/service-accounts").body, "planted")
	require.Equal(t, 200, p.post("/console/service-accounts", form).status, "the same form, from our own page")
}

// The secret is in one answer; sent again, the form makes nothing and shows nothing.
func TestSecretIsShownOnceAndAReloadMakesNothing(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := admin(t, s)
	account := s.Account("ci")
	for name, c := range map[string]struct {
		form, post string
		fields     url.Values
		count      func() int
	}{
		"service account": {"/console/service-accounts/new", "/console/service-accounts", url.Values{"name": {"once"}}, func() int {
			l, err := s.Admin().ServiceAccounts(t.Context(), svcauth.ListOptions{Name: "once"})
			require.NoError(t, err)
			return len(l.Items)
		}},
		"secret": {"/console/service-accounts/" + account.ID + "/secrets/new", "/console/service-accounts/" + account.ID + "/secrets", url.Values{}, func() int {
			l, err := s.Admin().Secrets(t.Context(), account.ID)
			require.NoError(t, err)
			return len(l.Items) - 1
		}},
		"application key": {"/console/application-keys/new", "/console/application-keys", url.Values{"description": {"once"}}, func() int {
			l, err := s.Admin().ApplicationKeys(t.Context(), svcauth.ListOptions{})
			require.NoError(t, err)
			return len(l.Items) - 1
		}},
	} {
		c.fields.Set("once", p.field(c.form, onceField))
		a := p.post(c.post, c.fields)
		require.Equal(t, 200, a.status, name)
		require.Equal(t, "no-store", a.header.Get("Cache-Control"))
		secret := secretForm.FindString(a.body)
		require.NotEmpty(t, secret, name)
		require.Equal(t, 1, c.count(), name)
		again := p.post(c.post, c.fields)
		require.Equal(t, http.StatusSeeOther, again.status, name)
		require.NotContains(t, again.body, "svcs_")
		after := p.get(again.header.Get("Location"))
		require.Contains(t, after.body, "sent before", name)
		require.NotContains(t, after.body, secret, name)
		require.Equal(t, 1, c.count(), name)
		require.NotContains(t, s.Log(), secret, name)
		require.NotContains(t, p.get("/console/audit-log").body, secret, name)
	}
	require.Equal(t, 400, p.post("/console/service-accounts", url.Values{"name": {"without"}}).status, "a form without its token")
}

// Two people edit the same thing: the second is told, sees the other's values, keeps its own, and may save again.
func TestSecondEditorIsTold(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	f := furnish(t, s, "")
	first, second := admin(t, s), admin(t, s)
	edit := "/console/service-accounts/" + f.account.ID + "/edit"
	versions := []string{first.field(edit, versionField), second.field(edit, versionField)}
	form := func(name, version string) url.Values {
		return url.Values{"name": {name}, "description": {"d"}, "ttl": {"3600"}, "version": {version}}
	}
	require.Equal(t, http.StatusSeeOther, first.post(edit, form("theirs", versions[0])).status)
	a := second.post(edit, form("mine", versions[1]))
	require.Equal(t, http.StatusConflict, a.status)
	require.Contains(t, a.body, "Somebody else has changed this")
	require.Contains(t, a.body, `value="mine"`)
	require.Contains(t, a.body, "Now saved: theirs")
	again := versionField.FindStringSubmatch(a.body)
	require.Equal(t, http.StatusSeeOther, second.post(edit, form("mine", again[1])).status)

	role := "/console/roles/" + f.role.ID
	version := first.field(role, versionField)
	require.Equal(t, http.StatusSeeOther, first.post(role, url.Values{"name": {f.role.Name}, "version": {version}, "privileges": {"clusters:view", "alarms:view"}}).status)
	a = second.post(role, url.Values{"name": {f.role.Name}, "version": {version}, "privileges": {"clusters:view", "billing:view"}})
	require.Equal(t, http.StatusConflict, a.status)
	require.Contains(t, a.body, "alarms:view is on, billing:view is off")
	for path, form := range map[string]url.Values{"/console/settings": {"name": {"x"}, "version": {"999"}}, "/console/members/" + f.member.ID + "/edit": {"first_name": {"x"}, "version": {"999"}}} {
		require.Equal(t, http.StatusConflict, first.post(path, form).status, path)
	}
}

// What was typed comes back with the reason beside the field.
func TestRefusedFormKeepsWhatWasTyped(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := admin(t, s)
	long := strings.Repeat("n", 65)
	for path, form := range map[string]url.Values{
		"/console/service-accounts": {"name": {long}},
		"/console/roles":            {"name": {long}, "privileges": {"clusters:view"}},
		"/console/members":          {"email": {"no address"}, "first_name": {long}},
	} {
		form.Set("once", p.field("/console/service-accounts/new", onceField))
		a := p.post(path, form)
		require.Equal(t, 422, a.status, path)
		require.Contains(t, a.body, long, path)
		require.Contains(t, a.body, `aria-invalid="true"`, path)
		require.Contains(t, a.body, `class="wrong"`, path)
	}
	require.Equal(t, 413, p.post("/console/roles", url.Values{"name": {strings.Repeat("n", 200<<10)}}).status)
}

const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`

// Markup in a name is text, on every page.
func TestMarkupInNamesIsText(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	f := furnish(t, s, "<img src=x onerror=alert(1)>\"'")
	p := admin(t, s)
	require.Equal(t, http.StatusSeeOther, p.post("/console/profile", url.Values{"first_name": {"<b>bold</b>"}, "last_name": {`"><svg/onload=alert(1)>`}}).status)
	shown := false
	for _, page := range f.pages() {
		a := p.get(page[1])
		for _, markup := range []string{"<img", "<b>bold", "<svg/onload", "<script>alert"} {
			require.NotContains(t, a.body, markup, "%s: %s", page[0], page[1])
		}
		shown = shown || strings.Contains(a.body, "&lt;img src=x onerror=alert(1)&gt;")
	}
	require.True(t, shown, "the names are on no page")
	for _, path := range []string{"/console/members?q=", "/console/service-accounts?q=", "/console/roles?q=", "/console/audit-log?action=", "/console/audit-log?actor=", "/console/audit-log?since=", "/console/sign-in?next=", "/console/invitation?token="} {
		a := p.get(path + url.QueryEscape(hostile))
		require.NotContains(t, a.body, "<script>alert", path)
		require.NotContains(t, a.body, "<img", path)
	}
	a := p.post("/console/sign-in", url.Values{"email": {hostile}, "password": {"x"}, "next": {"javascript:alert(1)"}})
	require.NotContains(t, a.body, "<img")
	require.NotContains(t, a.body, "javascript:")
}

// Rows are found, sorted and paged by the server.
func TestTablesSearchSortAndPage(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	for i := range 55 {
		_, err := s.App.Access.CreateServiceAccount(s.System(), svcauth.NewServiceAccount{Name: "job-" + string(rune('a'+i%26)) + strings.Repeat("x", i/26)})
		require.NoError(t, err)
	}
	p := admin(t, s)
	rows := regexp.MustCompile(`<th scope="row" role="rowheader"><a [^>]*>([^<]+)</a>`)
	names := func(path string) (all []string) {
		a := p.get(path)
		require.Equal(t, 200, a.status)
		for _, m := range rows.FindAllStringSubmatch(a.body, -1) {
			all = append(all, m[1])
		}
		return all
	}
	require.Len(t, names("/console/service-accounts"), 50)
	next := regexp.MustCompile(`href="([^"]+)" rel="next"`).FindStringSubmatch(p.get("/console/service-accounts").body)
	require.NotNil(t, next)
	require.Len(t, names(html.UnescapeString(next[1])), 5)
	sorted := names("/console/service-accounts?sort=name")
	require.Len(t, sorted, 55)
	require.IsIncreasing(t, sorted)
	require.IsDecreasing(t, names("/console/service-accounts?sort=-name"))
	require.Equal(t, []string{"job-ax", "job-axx", "job-a"}[0:1], names("/console/service-accounts?q=job-ax&sort=name")[0:1])
	require.Empty(t, names("/console/service-accounts?q=nothing"))
	require.Equal(t, 422, p.get("/console/service-accounts?cursor=%21").status)
}

// Somebody with one address in two organizations chooses once the password was right.
func TestChoiceOfOrganization(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	other := s.NewTenant("other")
	invite(t, s, "ann@example.com", goodPassword)
	m, err := s.AdminOf(other).InviteMember(t.Context(), svcauth.NewMember{Email: "ann@example.com", FirstName: "Ann", LastName: "Other"})
	require.NoError(t, err)
	link, err := url.Parse(m.InvitationURL)
	require.NoError(t, err)
	require.Equal(t, http.StatusSeeOther, visit(t, s).post("/console/invitation", url.Values{"token": {link.Query().Get("token")}, "password": {goodPassword}, "repeat": {goodPassword}}).status)
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
	require.Equal(t, "/console/sign-in", p.post("/console/sign-in/organization", url.Values{"member": {admin.ID}}).header.Get("Location"), "only who was offered")
	require.Equal(t, http.StatusSeeOther, p.post("/console/sign-in/organization", url.Values{"member": {m.ID}}).status)
	require.Contains(t, p.get("/console/profile").body, "ann@example.com in other")
}

// Before something is taken away the page says what dies with it, in numbers of what really is live.
func TestDialogsTellWhatWillBreak(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	f := furnish(t, s, "")
	operator, err := s.Admin().CreateRole(t.Context(), svcauth.NewRole{Name: "Unrelated", Privileges: []string{"alarms:view"}})
	require.NoError(t, err)
	require.NoError(t, s.App.Access.AssignServiceAccountRole(s.System(), f.account.ID, operator.ID, svcauth.GrantRequest{}))
	me, err := s.Admin().Me(t.Context())
	require.NoError(t, err)
	secrets, err := s.Admin().Secrets(t.Context(), f.account.ID)
	require.NoError(t, err)
	unused := secrets.Items[0]
	require.Equal(t, "rotation", unused.Description)
	account := "/console/service-accounts/" + f.account.ID
	p := admin(t, s)
	for path, want := range map[string]string{
		account + "/remove":                                                   "<strong>3 live tokens</strong>, fetched from 1 address.",
		account + "/disable":                                                  "<strong>3 live tokens</strong>, fetched from 1 address.",
		account + "/tokens/revoke":                                            "<strong>3 live tokens</strong>, fetched from 1 address.",
		account + "/secrets/" + unused.ID + "/remove":                         "No live tokens.",
		account + "/roles/" + f.role.ID + "/unassign":                         "<strong>3 live tokens</strong>",
		account + "/roles/" + operator.ID + "/unassign":                       "No live tokens.", // it was granted after they were issued
		"/console/application-keys/" + f.key.ID + "/delete":                   "No live tokens.",
		"/console/application-keys/" + s.Tenant.ApplicationKey.ID + "/delete": "live token",
		"/console/members/" + me.ID + "/remove":                               "of 2 application keys, fetched from 1 address.",
		"/console/members/" + f.member.ID + "/remove":                         "0 application keys, without live tokens",
	} {
		a := p.get(path)
		require.Equal(t, 200, a.status, path)
		require.Contains(t, a.body, want, path)
	}
}

// A resource server that follows the feed is on its page, and what is taken away is said to be enforced.
func TestResourceServersAreShownAndSayWhatTheyEnforce(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	account, api := s.Account("ci", "clusters:view"), s.Account("cluster-api", svcauth.TokensIntrospect)
	v, err := resourceserver.New(resourceserver.Config{Issuer: s.Issuer, Audience: "https://api.cloud.example", HTTPClient: s.HTTP, Feed: &resourceserver.Feed{Every: 50 * time.Millisecond,
		Token: func(context.Context) (string, error) { return s.Token(api.ClientID, api.ClientSecret, ""), nil }}})
	require.NoError(t, err)
	defer v.Close()
	ready, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, v.Ready(ready))
	p := admin(t, s)
	require.Eventually(t, func() bool {
		body := p.get("/console/resource-servers").body
		return strings.Contains(body, api.ClientID) && strings.Contains(body, "Up to date")
	}, patience, 50*time.Millisecond)
	a := p.post("/console/service-accounts/"+account.ID+"/remove", nil)
	require.Equal(t, http.StatusSeeOther, a.status)
	require.Contains(t, p.get(a.header.Get("Location")).body, "The service account ci is removed. Its tokens no longer work. The resource server that is connected enforces it, after")
	tenant := s.NewTenant("other")
	stranger := visit(t, s)
	require.Equal(t, http.StatusSeeOther, stranger.signIn(tenant.AdminEmail, tenant.AdminPassword.Reveal()).status)
	require.NotContains(t, stranger.get("/console/resource-servers").body, api.ClientID, "of the operator's organization, not theirs")
}
