package server_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

func optioned(t *testing.T, s *svctest.Server, path string, header ...string) svctest.Answer {
	t.Helper()
	req, err := http.NewRequest(http.MethodOptions, s.URL+path, nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return s.Do(req)
}

// What some load balancers ask with (HAProxy's httpchk).
func TestProbesAnswerOptions(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	for _, path := range []string{"/healthz", "/readyz"} {
		answer := optioned(t, s, path)
		require.Equal(t, 200, answer.Status, path)
		require.Equal(t, s.Get(path, "").Text, answer.Text)
	}
}

func TestCrossOrigin(t *testing.T) {
	const page = "https://docs.example.com"
	preflight := []string{"Origin", page, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers",
		"authorization"}
	closed := svctest.New(t, svctest.Options{})
	open := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_CORS_ALLOWED_ORIGINS=" + page}})
	for _, path := range []string{"/oauth2/token", "/api/1.0/token", "/oauth2/revoke", "/oauth2/introspect"} {
		require.Equal(t, 405, optioned(t, closed, path, preflight...).Status, "none by default")
		yes := optioned(t, open, path, preflight...)
		require.Equal(t, 204, yes.Status, path)
		require.Equal(t, page, yes.Header.Get("Access-Control-Allow-Origin"))
		require.Equal(t, "POST", yes.Header.Get("Access-Control-Allow-Methods"))
		require.Contains(t, yes.Header.Get("Access-Control-Allow-Headers"), "Authorization")
		require.Contains(t, yes.Header.Get("Access-Control-Allow-Headers"), "DPoP")
		require.Contains(t, yes.Header.Get("Access-Control-Expose-Headers"), "DPoP-Nonce")
		require.Empty(t, yes.Header.Get("Access-Control-Allow-Credentials"))
		no := optioned(t, open, path, "Origin", "https://evil.example", "Access-Control-Request-Method", "POST")
		require.Equal(t, 405, no.Status)
		require.Empty(t, no.Header.Get("Access-Control-Allow-Origin"))
		require.Contains(t, no.Header.Values("Vary"), "Origin", "a cache must not give one page's answer to another")
		refused := optioned(t, open, path, "Origin",
			page) // no preflight: the method is not allowed, and the page may read that
		require.Equal(t, 405, refused.Status)
		require.Equal(t, page, refused.Header.Get("Access-Control-Allow-Origin"))
	}
	for _, path := range []string{"/.well-known/jwks.json", "/.well-known/openid-configuration",
		"/.well-known/oauth-authorization-server"} {
		require.Equal(t, "*", closed.Get(path, "").Header.Get("Access-Control-Allow-Origin"), path)
	}
	for _, path := range []string{"/v1/me", "/oauth2/revocations", "/console/sign-in", "/healthz"} {
		require.Empty(t, optioned(t, open, path, preflight...).Header.Get("Access-Control-Allow-Origin"), path)
	}
}

// A page that asks for a token from a browser, as Swagger UI does.
func TestPagesOfAllowedOriginsGetTokens(t *testing.T) {
	path := svctest.Chromium(t)
	page := func() string {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<!doctype html><title>page</title>"))
		}))
		t.Cleanup(web.Close)
		return web.URL
	}
	mine, others := page(), page()
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_CORS_ALLOWED_ORIGINS=" + mine}})
	account := s.Account("page", "clusters:view")
	ctx := browse(t, path)
	run := func(origin, url, options, read string) string {
		require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(origin)))
		_, err := chromedp.Run(ctx, chromedp.Evaluate[int](`window.said = ""; fetch("`+url+`", `+options+`).then(r => `+
			read+`).catch(e => "refused: " + e).then(x => { window.said = x }); 0`))
		require.NoError(t, err)
		var said string
		require.Eventually(t, func() bool {
			said, err = chromedp.Run(ctx, chromedp.Evaluate[string](`window.said`))
			return err == nil && said != ""
		}, time.Minute, 20*time.Millisecond)
		return said
	}
	post := func(basic string) string {
		return `{method: "POST", headers: {Authorization: "Basic ` + basic +
			`", "Content-Type": "application/x-www-form-urlencoded"}, body: "grant_type=client_credentials"}`
	}
	right := base64.StdEncoding.EncodeToString([]byte(account.ClientID + ":" + account.ClientSecret.Reveal()))
	token := s.URL + "/oauth2/token"
	require.Contains(t, run(mine, token, post(right), "r.text()"), `"access_token"`)
	wrong := run(mine, token, post("eDp5"),
		`r.text().then(b => r.status + " " + r.headers.get("X-Request-Id") + " " + b)`)
	require.True(t, strings.HasPrefix(wrong, "401 req_"), wrong)
	require.Contains(t, wrong, "invalid_client", "the page can show why")
	require.Contains(t, run(others, token, post(right), "r.text()"), "refused: TypeError")
	require.Contains(t, run(others, s.URL+"/.well-known/jwks.json", "{}", "r.text()"), `"keys"`,
		"any page may read the keys")
	require.Contains(t, run(others, s.URL+"/.well-known/openid-configuration", "{}", "r.text()"), `"issuer"`)
}
