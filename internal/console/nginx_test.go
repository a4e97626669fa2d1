package console_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// address is what a page leads to, loads or sends a form to.
var address = regexp.MustCompile(`(?:src|href|action)="([^"#]+)"`)

// Below a path, behind nginx that hands on no other, people sign in with a
// password and by single sign-on, accept invitations and reach every page.
func TestConsoleBelowAPathBehindNginx(t *testing.T) {
	for name, shortened := range map[string]bool{"whole": false, "shortened": true} {
		t.Run(name, func(t *testing.T) {
			provider := newOpenID(t, false)
			s := svctest.BelowPath(t, "/auth", shortened, svctest.Options{Environ: provider.environ()})
			member, err := s.Admin().InviteMember(t.Context(), svcauth.NewMember{
				Email:     "bob@example.com",
				FirstName: "Bob",
			})
			require.NoError(t, err)
			_, err = s.Admin().InviteMember(t.Context(), svcauth.NewMember{Email: "ann@example.com", FirstName: "Ann"})
			require.NoError(t, err)
			s.Account("ci", "clusters:view")
			s.URL = strings.TrimSuffix(s.Issuer, "/auth") // as everybody sees it

			p := visit(t, s)
			led := func(a answer) string {
				require.Equal(t, http.StatusSeeOther, a.status, a.body)
				for _, cookie := range a.header["Set-Cookie"] {
					require.Contains(t, cookie, "Path=/auth;")
				}
				return a.header.Get("Location")
			}
			require.Equal(t, "/auth/console", led(p.get("/auth/")))
			require.Equal(t, "/auth/console/sign-in", led(p.get("/auth/console")))
			require.Equal(t, "/auth/console/sign-in?next=%2Fconsole%2Froles%3Fq%3Dx",
				led(p.get("/auth/console/roles?q=x")))
			require.Equal(t, "/auth/console/roles?q=x",
				led(p.post("/auth/console/sign-in", url.Values{"email": {svctest.AdminEmail},
					"password": {s.Tenant.AdminPassword.Reveal()}, "next": {"/console/roles?q=x"}})))
			require.Greater(t, p.readAll("/auth/console/members"), 25)
			require.Equal(t, 200, p.get("/auth/docs").status)
			require.Equal(t, 200, p.get("/auth/v1/roles").status, "the session serves the management API, for reading")
			require.Equal(t, "/auth/console/sign-in", led(p.post("/auth/console/sign-out", nil)))

			link, err := url.Parse(member.InvitationURL)
			require.NoError(t, err)
			guest := visit(t, s)
			require.Equal(t, 200, guest.get(link.RequestURI()).status)
			require.Equal(t, "/auth/console/sign-in",
				led(guest.post("/auth/console/invitation", url.Values{"token": {link.Query().Get("token")},
					"password": {goodPassword}, "repeat": {goodPassword}})))
			require.Equal(t, "/auth/console",
				led(
					guest.post("/auth/console/sign-in", url.Values{
						"email":    {"bob@example.com"},
						"password": {goodPassword},
					})))

			ann := visit(t, s)
			a := ann.get("/auth/console/sign-in/provider?next=%2Fconsole%2Fprofile")
			at := led(a)
			client := *provider.server.Client()
			client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			resp, err := client.Get(at)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			back, err := url.Parse(resp.Header.Get("Location"))
			require.NoError(t, err)
			require.Equal(t, "/auth/console/sign-in/callback", back.Path)
			require.Equal(t, "/auth/console/profile", led(ann.get(back.RequestURI())))
			require.Equal(t, 200, ann.get("/auth/console/profile").status)
		})
	}
}

// readAll opens all that can be reached from a page by its links, its forms'
// own addresses aside, and returns how many there were.
func (p *person) readAll(first string) int {
	p.t.Helper()
	todo, seen := []string{first}, map[string]bool{first: true}
	for len(todo) > 0 {
		at := todo[0]
		todo = todo[1:]
		a := p.get(at)
		require.Equal(p.t, 200, a.status, at)
		for _, m := range address.FindAllStringSubmatch(a.body, -1) {
			to := html.UnescapeString(m[1])
			if strings.HasPrefix(to, "?") {
				continue
			}
			require.Regexp(p.t, `^/auth/console([/?]|$)`, to, at)
			if !seen[to] && !strings.HasPrefix(m[0], "action") && to != "/auth/console" {
				seen[to] = true
				todo = append(todo, to)
			}
		}
	}
	return len(seen)
}

// Of two servers on one host, each below its path, neither gets the other's
// cookie, nor does anything else that there is on the host.
func TestCookieStaysBelowTheIssuersPath(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_ISSUER=https://example.com/auth"}})
	a := visit(t, s).post("/auth/console/sign-in", url.Values{
		"email":    {svctest.AdminEmail},
		"password": {s.Tenant.AdminPassword.Reveal()},
	})
	cookie, err := http.ParseSetCookie(a.header.Get("Set-Cookie"))
	require.NoError(t, err)
	require.Equal(t, "__Secure-svcauth", cookie.Name)
	require.Equal(t, "/auth", cookie.Path)
	require.True(t, cookie.Secure)
	require.True(t, cookie.HttpOnly)
}
