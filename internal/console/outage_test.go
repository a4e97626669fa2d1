package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestOutageSignsNobodyOut: while the database is away nobody can know who is
// signed in. Every face says so, and none takes the session or a link for one
// that is over.
func TestOutageSignsNobodyOut(t *testing.T) {
	db := pgtest.Start(t, pgtest.Config{Durable: true})
	s := svctest.New(t, svctest.Options{DatabaseURL: db.NewDatabase()})
	p := admin(t, s)
	invited, err := s.Admin().InviteMember(t.Context(), svcauth.NewMember{
		Email:     "new@example.com",
		FirstName: "New",
		LastName:  "One",
	})
	require.NoError(t, err)
	link, err := url.Parse(invited.InvitationURL)
	require.NoError(t, err)
	call := func(method, path, body string) answer {
		req, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		return p.do(req)
	}
	long := `{"name":"` + strings.Repeat("x", 20<<10) + `"}`

	db.Kill()
	for name, ask := range map[string]func() answer{
		"a page":           func() answer { return p.get("/console/members") },
		"the first page":   func() answer { return p.get("/console") },
		"the sign-in page": func() answer { return p.get("/console/sign-in") },
		"a sign-in": func() answer {
			return p.signIn(svctest.AdminEmail, s.Tenant.AdminPassword.Reveal())
		},
		"a sign-in without a session": func() answer {
			return visit(t, s).signIn(svctest.AdminEmail, s.Tenant.AdminPassword.Reveal())
		},
		"a sign-out": func() answer { return p.post("/console/sign-out", nil) },
		"a form":     func() answer { return p.post("/console/roles", url.Values{"name": {"x"}}) },
		"a long form": func() answer {
			return p.post("/console/roles", url.Values{"description": {long}})
		},
		"a link":                         func() answer { return visit(t, s).get(link.RequestURI()) },
		"the management API":             func() answer { return call(http.MethodGet, "/v1/me", "") },
		"a change by the management API": func() answer { return call(http.MethodPost, "/v1/roles", `{"name":"x"}`) },
		"a long change":                  func() answer { return call(http.MethodPost, "/v1/roles", long) },
	} {
		a := ask()
		require.Equal(t, http.StatusServiceUnavailable, a.status, "%s: %s", name, a.body)
		require.NotEmpty(t, a.header.Get("Retry-After"), name)
		require.Empty(t, a.header.Values("Set-Cookie"), name)
		if strings.Contains(name, "management API") || name == "a long change" {
			require.Equal(t, "application/problem+json", a.header.Get("Content-Type"), name)
			require.Contains(t, a.body, svcauth.CodeUnavailable, name)
		}
	}
	db.Restart()
	require.Eventually(t, func() bool {
		return p.get("/v1/me").status == http.StatusOK
	}, time.Minute, 50*time.Millisecond, "the session is what it was")
	require.Equal(t, http.StatusOK, p.get("/console/members").status)
	require.Equal(t, http.StatusOK, visit(t, s).get(link.RequestURI()).status)
}
