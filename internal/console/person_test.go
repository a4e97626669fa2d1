package console_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// person is a browser without a screen: it keeps cookies, follows nothing and
// reads forms.
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
