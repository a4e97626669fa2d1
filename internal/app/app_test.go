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
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/internal/verify"
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
		databaseURL = schema.SQLite(t)
	}
	cfg, err := config.Load(config.LoadOptions{Environ: []string{"SVCAUTH_DATABASE_URL=" + databaseURL,
		"SVCAUTH_MASTER_KEY_FILE=" + filepath.Join(dir, "master.key"), "SVCAUTH_LISTEN=127.0.0.1:0",
		"SVCAUTH_OPS_LISTEN="}})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	a, err := app.New(ctx, cfg, app.Options{Version: "test", Log: io.Discard,
		Patience: app.Patience{Database: schema.Patience}})
	require.NoError(t, err)
	tenant, err := a.People.Bootstrap(ctx, people.NewTenant{AdminEmail: "admin@example.com"})
	require.NoError(t, err)
	admin := access.WithActor(ctx, access.System(tenant.Organization.ID))
	role, err := a.Access.CreateRole(admin,
		svcauth.NewRole{Name: "Operator", Privileges: []string{"clusters:view", "clusters:edit"}})
	require.NoError(t, err)
	account, err := a.Access.CreateServiceAccount(admin,
		svcauth.NewServiceAccount{Name: "ci", RoleIDs: []string{role.ID}})
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

// post sends a form, with HTTP Basic where id is not empty, and gives status,
// header and body.
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
	raw, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	body := map[string]any{}
	if len(raw) == 0 {
		require.Empty(r.t, resp.Header.Get("Content-Type"), "what has no body has no type")
	} else {
		require.Equal(r.t, "application/json", resp.Header.Get("Content-Type"))
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
	t.Run("postgres", func(t *testing.T) { test(t, start(t, schema.Postgres(t))) })
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
		var refusal *verify.Error
		require.ErrorAs(t, err, &refusal) // signed by us, but for another API
		require.Contains(t, refusal.Description, "another API")

		status, _, body = r.post("/oauth2/introspect", r.account.ClientID, r.account.ClientSecret.Reveal(),
			url.Values{"token": {text}})
		require.Equal(t, 200, status)
		require.Equal(t, true, body["active"])
		status, _, _ = r.post("/oauth2/revoke", r.account.ClientID, r.account.ClientSecret.Reveal(),
			url.Values{"token": {text}})
		require.Equal(t, 200, status)
		_, _, body = r.post("/oauth2/introspect", r.account.ClientID, r.account.ClientSecret.Reveal(),
			url.Values{"token": {text}})
		require.Equal(t, map[string]any{"active": false}, body)
	})
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
	// Its metadata names localhost:8080; this client is led to the listener of
	// the test.
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network,
		_ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(r.base, "http://"))
	}}}
	system := access.WithActor(t.Context(), access.System(r.org(text)))
	subscriber, err := r.app.Access.CreateRole(system,
		svcauth.NewRole{Name: "Resource server", Privileges: []string{svcauth.TokensIntrospect}})
	require.NoError(t, err)
	api, err := r.app.Access.CreateServiceAccount(system,
		svcauth.NewServiceAccount{Name: "api", RoleIDs: []string{subscriber.ID}})
	require.NoError(t, err)
	verifier, err := resourceserver.New(resourceserver.Config{Issuer: issuer, Audience: "https://api.cloud.example",
		HTTPClient: client,
		Feed: &resourceserver.Feed{Every: 50 * time.Millisecond, Token: func(context.Context) (string, error) {
			_, _, body := r.post("/oauth2/token", api.ClientID, api.ClientSecret.Reveal(),
				url.Values{"grant_type": {"client_credentials"}})
			return body["access_token"].(string), nil
		}}})
	require.NoError(t, err)
	// one that was dialled and never used would hold the shutdown up for five
	// seconds
	defer client.CloseIdleConnections()
	defer verifier.Close()
	ready, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, verifier.Ready(ready))
	p, err := verifier.Verify(t.Context(), text)
	require.NoError(t, err)
	require.True(t, p.Has("clusters:view"))
	status, _, _ := r.post("/oauth2/revoke", r.account.ClientID, r.account.ClientSecret.Reveal(),
		url.Values{"token": {text}})
	require.Equal(t, 200, status)
	require.Eventually(t, func() bool {
		_, err := verifier.Verify(t.Context(), text)
		return err != nil && strings.Contains(err.Error(), "revoked")
	}, 20*time.Second, 20*time.Millisecond)
}
