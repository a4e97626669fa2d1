package app_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/app"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// running is a whole svcauth on a real listener, with one service account.
type running struct {
	t       *testing.T
	app     *app.App
	base    string
	account svcauth.ServiceAccount
}

const issuer = "http://localhost:8080"

func start(t *testing.T, databaseURL string) *running {
	dir := t.TempDir()
	if databaseURL == "" {
		databaseURL = "sqlite://" + filepath.Join(dir, "svcauth.db")
	}
	cfg, err := config.Load(config.LoadOptions{Environ: []string{"SVCAUTH_DATABASE_URL=" + databaseURL,
		"SVCAUTH_MASTER_KEY_FILE=" + filepath.Join(dir, "master.key"), "SVCAUTH_LISTEN=127.0.0.1:0", "SVCAUTH_OPS_LISTEN="}})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	a, err := app.New(ctx, cfg, app.Options{Version: "test", Log: io.Discard})
	require.NoError(t, err)
	tenant, err := a.Access.Bootstrap(ctx, access.NewTenant{AdminEmail: "admin@example.com"})
	require.NoError(t, err)
	admin := access.WithActor(ctx, access.System(tenant.Organization.ID))
	role, err := a.Access.CreateRole(admin, svcauth.NewRole{Name: "Operator", Privileges: []string{"clusters:view", "clusters:edit"}})
	require.NoError(t, err)
	account, err := a.Access.CreateServiceAccount(admin, svcauth.NewServiceAccount{Name: "ci", RoleIDs: []string{role.ID}})
	require.NoError(t, err)
	addr, done := make(chan net.Addr, 1), make(chan error, 1)
	go func() { done <- a.Run(ctx, func(at net.Addr) { addr <- at }) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
		require.NoError(t, a.Close())
	})
	return &running{t: t, app: a, base: "http://" + (<-addr).String(), account: account}
}

// post sends a form, with HTTP Basic where id is not empty, and gives status, header and body.
func (r *running) post(path, id, secret string, form url.Values) (int, http.Header, map[string]any) {
	req, err := http.NewRequest(http.MethodPost, r.base+path, strings.NewReader(form.Encode()))
	require.NoError(r.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if id != "" {
		req.SetBasicAuth(id, secret)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	defer resp.Body.Close()
	require.Equal(r.t, "application/json", resp.Header.Get("Content-Type"))
	raw, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	body := map[string]any{}
	if len(raw) > 0 {
		require.NoError(r.t, json.Unmarshal(raw, &body))
	}
	return resp.StatusCode, resp.Header, body
}

func (r *running) fetch(form url.Values) (int, http.Header, map[string]any) {
	form.Set("grant_type", "client_credentials")
	return r.post("/oauth2/token", r.account.ClientID, r.account.ClientSecret.Reveal(), form)
}

// stores runs a test on SQLite and on PostgreSQL.
func stores(t *testing.T, test func(*testing.T, *running)) {
	t.Run("sqlite", func(t *testing.T) { test(t, start(t, "")) })
	t.Run("postgres", func(t *testing.T) { test(t, start(t, pgtest.URL(t))) })
}

func TestTokenIsIssuedVerifiedIntrospectedAndRevoked(t *testing.T) {
	stores(t, func(t *testing.T, r *running) {
		status, header, body := r.fetch(url.Values{})
		require.Equal(t, 200, status)
		require.Equal(t, "no-store", header.Get("Cache-Control"))
		require.Equal(t, "clusters:edit clusters:view", body["scope"])
		require.Equal(t, "Bearer", body["token_type"])
		require.EqualValues(t, 3600, body["expires_in"])
		require.NotContains(t, body, "refresh_token")
		text := body["access_token"].(string)

		claims := jwt.MapClaims{}
		parsed, _, err := jwt.NewParser().ParseUnverified(text, claims)
		require.NoError(t, err)
		require.Equal(t, "at+jwt", parsed.Header["typ"])
		require.Equal(t, r.account.ClientID, claims["sub"])
		require.Equal(t, "https://api.cloud.example", claims["aud"])
		require.Equal(t, []any{"Operator"}, claims["roles"])
		_, err = r.app.Token.VerifyOwn(t.Context(), text)
		var refusal *resourceserver.Error
		require.ErrorAs(t, err, &refusal) // signed by us, but for another API
		require.Contains(t, refusal.Description, "another API")

		status, _, body = r.post("/oauth2/introspect", r.account.ClientID, r.account.ClientSecret.Reveal(), url.Values{"token": {text}})
		require.Equal(t, 200, status)
		require.Equal(t, true, body["active"])
		status, _, _ = r.post("/oauth2/revoke", r.account.ClientID, r.account.ClientSecret.Reveal(), url.Values{"token": {text}})
		require.Equal(t, 200, status)
		_, _, body = r.post("/oauth2/introspect", r.account.ClientID, r.account.ClientSecret.Reveal(), url.Values{"token": {text}})
		require.Equal(t, map[string]any{"active": false}, body)
	})
}

func TestTokenRequestRefusals(t *testing.T) {
	r := start(t, "")
	id, secret := r.account.ClientID, r.account.ClientSecret.Reveal()
	unknown := svcauth.NewID(svcauth.PrefixServiceAccount)
	wrong := svcauth.NewSecret().Reveal()
	grant := url.Values{"grant_type": {"client_credentials"}}
	with := func(pairs ...string) url.Values {
		form := url.Values{"grant_type": {"client_credentials"}}
		for i := 0; i < len(pairs); i += 2 {
			form.Add(pairs[i], pairs[i+1])
		}
		return form
	}
	for name, c := range map[string]struct {
		path, id, secret string
		form             url.Values
		status           int
		code             string
	}{
		"RFC 6749 §5.2 wrong secret":          {"/oauth2/token", id, wrong, grant, 401, "invalid_client"},
		"RFC 6749 §5.2 unknown client":        {"/oauth2/token", unknown, wrong, grant, 401, "invalid_client"},
		"RFC 6749 §2.3 two methods":           {"/oauth2/token", id, secret, with("client_secret", secret), 400, "invalid_request"},
		"RFC 6749 §3.2 repeated parameter":    {"/oauth2/token", id, secret, with("scope", "clusters:view", "scope", "clusters:edit"), 400, "invalid_request"},
		"RFC 6749 §3.3 scope not granted":     {"/oauth2/token", id, secret, with("scope", "clusters:release"), 400, "invalid_scope"},
		"RFC 6749 §3.3 malformed scope":       {"/oauth2/token", id, secret, with("scope", "a  b"), 400, "invalid_scope"},
		"RFC 8707 §2 unknown resource":        {"/oauth2/token", id, secret, with("resource", "https://nobody.example"), 400, "invalid_target"},
		"RFC 6749 §5.2 no grant type":         {"/oauth2/token", id, secret, url.Values{}, 400, "invalid_request"},
		"RFC 6749 §5.2 another grant type":    {"/oauth2/token", id, secret, url.Values{"grant_type": {"refresh_token"}}, 400, "unsupported_grant_type"},
		"RFC 6749 §2.3.1 credential in URL":   {"/oauth2/token?client_secret=x", id, secret, grant, 400, "invalid_request"},
		"alias: a secret in the URL":          {"/api/1.0/token?client_secret=x", id, secret, grant, 400, "invalid_request"},
		"RFC 7009 §2.1 no token to revoke":    {"/oauth2/revoke", id, secret, url.Values{}, 400, "invalid_request"},
		"RFC 7662 §2.1 unauthenticated asker": {"/oauth2/introspect", "", "", url.Values{"token": {"x"}}, 401, "invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, body := r.post(c.path, c.id, c.secret, c.form)
			require.Equal(t, c.status, status)
			require.Equal(t, c.code, body["error"])
		})
	}
	_, _, a := r.post("/oauth2/token", id, wrong, grant)
	_, _, b := r.post("/oauth2/token", unknown, wrong, grant)
	require.Equal(t, a, b, "unknown and wrong get the same answer")
}

func TestScopeResourceAndAlias(t *testing.T) {
	r := start(t, "")
	_, _, body := r.fetch(url.Values{"scope": {"clusters:view"}})
	require.Equal(t, "clusters:view", body["scope"])
	_, _, body = r.fetch(url.Values{"scope": {"all-apis"}})
	require.Equal(t, "clusters:edit clusters:view", body["scope"])
	_, _, body = r.fetch(url.Values{"resource": {"https://billing.cloud.example"}})
	require.Empty(t, body["scope"])
	req, err := http.NewRequest(http.MethodPost, r.base+"/api/1.0/token?grant_type=client_credentials&scope=all-apis", nil)
	require.NoError(t, err)
	req.SetBasicAuth(r.account.ClientID, r.account.ClientSecret.Reveal())
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 200, resp.StatusCode)
}

func TestWrongSecretsAreLimitedAndARightOneIsServed(t *testing.T) {
	r := start(t, "")
	grant := url.Values{"grant_type": {"client_credentials"}}
	wrong := svcauth.NewSecret().Reveal()
	for i := range 20 {
		status, _, _ := r.post("/oauth2/token", r.account.ClientID, wrong, grant)
		require.Equal(t, 401, status, "wrong secret %d", i+1)
	}
	status, header, body := r.post("/oauth2/token", r.account.ClientID, wrong, grant)
	require.Equal(t, 429, status)
	require.NotEmpty(t, header.Get("Retry-After"))
	require.Equal(t, "too_many_requests", body["error"])
	status, _, _ = r.fetch(url.Values{})
	require.Equal(t, 200, status)
}

func TestForeignTokenIsNotRevoked(t *testing.T) {
	r := start(t, "")
	_, _, body := r.fetch(url.Values{})
	text := body["access_token"].(string)
	org := r.org(text)
	other, err := r.app.Access.CreateServiceAccount(access.WithActor(t.Context(), access.System(org)), svcauth.NewServiceAccount{Name: "other"})
	require.NoError(t, err)
	status, _, refused := r.post("/oauth2/revoke", other.ClientID, other.ClientSecret.Reveal(), url.Values{"token": {text}})
	require.Equal(t, 400, status)
	require.Equal(t, "invalid_grant", refused["error"])
	_, _, seen := r.post("/oauth2/introspect", other.ClientID, other.ClientSecret.Reveal(), url.Values{"token": {text}})
	require.Equal(t, map[string]any{"active": false}, seen, "another client learns nothing")
	_, _, seen = r.post("/oauth2/introspect", r.account.ClientID, r.account.ClientSecret.Reveal(), url.Values{"token": {text}})
	require.Equal(t, true, seen["active"])
}

func (r *running) org(text string) string {
	claims := jwt.MapClaims{}
	_, _, err := jwt.NewParser().ParseUnverified(text, claims)
	require.NoError(r.t, err)
	return claims["org_id"].(string)
}

func TestResourceServerRefusesARevokedToken(t *testing.T) {
	r := start(t, "")
	_, _, body := r.fetch(url.Values{})
	text := body["access_token"].(string)
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		resp, err := http.Get(r.base + path)
		require.NoError(t, err)
		var metadata map[string]any
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&metadata))
		require.NoError(t, resp.Body.Close())
		require.Equal(t, issuer, metadata["issuer"])
	}
	// Its metadata names localhost:8080; this client is led to the listener of the test.
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(r.base, "http://"))
	}}}
	follower, err := r.app.Access.CreateRole(access.WithActor(t.Context(), access.System(r.org(text))), svcauth.NewRole{Name: "Resource server", Privileges: []string{svcauth.TokensIntrospect}})
	require.NoError(t, err)
	api, err := r.app.Access.CreateServiceAccount(access.WithActor(t.Context(), access.System(r.org(text))), svcauth.NewServiceAccount{Name: "api", RoleIDs: []string{follower.ID}})
	require.NoError(t, err)
	verifier, err := resourceserver.New(resourceserver.Config{Issuer: issuer, Audience: "https://api.cloud.example", HTTPClient: client,
		Feed: &resourceserver.Feed{Every: 50 * time.Millisecond, Token: func(context.Context) (string, error) {
			_, _, body := r.post("/oauth2/token", api.ClientID, api.ClientSecret.Reveal(), url.Values{"grant_type": {"client_credentials"}})
			return body["access_token"].(string), nil
		}}})
	require.NoError(t, err)
	defer client.CloseIdleConnections() // one that was dialled and never used would hold the shutdown up for five seconds
	defer verifier.Close()
	ready, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, verifier.Ready(ready))
	p, err := verifier.Verify(t.Context(), text)
	require.NoError(t, err)
	require.True(t, p.Has("clusters:view"))
	status, _, _ := r.post("/oauth2/revoke", r.account.ClientID, r.account.ClientSecret.Reveal(), url.Values{"token": {text}})
	require.Equal(t, 200, status)
	require.Eventually(t, func() bool {
		_, err := verifier.Verify(t.Context(), text)
		return err != nil && strings.Contains(err.Error(), "revoked")
	}, 20*time.Second, 20*time.Millisecond)
}
