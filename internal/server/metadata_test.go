package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestMetadata is RFC 8414, and what OpenID discovery needs beside.
func TestMetadata(t *testing.T) {
	p := newProtocol(t, svctest.Options{})
	one, two := p.Get("/.well-known/oauth-authorization-server", ""), p.Get("/.well-known/openid-configuration", "")
	require.Equal(t, one.Text, two.Text, "one document")
	require.Equal(t, "application/json", one.Header.Get("Content-Type"))
	m := one.JSON
	require.Equal(t, p.Issuer, m["issuer"], "byte-identical")
	require.Equal(t, []any{"client_credentials", clientauth.GrantTokenExchange}, m["grant_types_supported"])
	require.Equal(t, []any{}, m["response_types_supported"])
	require.Equal(t, []any{"ES256"}, m["id_token_signing_alg_values_supported"])
	require.Equal(t, []any{"public"}, m["subject_types_supported"])
	for _, name := range []string{"token", "revocation", "introspection"} {
		require.Equal(t, []any{"client_secret_basic", "client_secret_post", "private_key_jwt"},
			m[name+"_endpoint_auth_methods_supported"])
		require.Contains(t, m[name+"_endpoint_auth_signing_alg_values_supported"], "ES256")
		at, ok := strings.CutPrefix(m[name+"_endpoint"].(string), p.Issuer)
		require.True(t, ok)
		require.Equal(t, 401, p.Post(at, "", "", url.Values{"token": {"x"}}).Status, "advertise only what works")
	}
	at, ok := strings.CutPrefix(m["jwks_uri"].(string), p.Issuer)
	require.True(t, ok)
	require.Len(t, p.Get(at, "").JSON["keys"], 2)
	at, ok = strings.CutPrefix(m["revocation_feed_endpoint"].(string), p.Issuer)
	require.True(t, ok)
	require.Equal(t, 401, p.Get(at, "").Status)
	require.NotContains(t, one.Text, "authorization_endpoint")
}

// After a change of the configuration the active key signs as before until the
// next rotation: validators that go by the metadata must know both.
func TestMetadataNamesTheAlgorithmsOfThePublishedKeys(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	algorithms := func() any {
		return s.Get("/.well-known/openid-configuration", "").JSON["id_token_signing_alg_values_supported"]
	}
	require.Equal(t, []any{"ES256"}, algorithms())
	s.Stop()
	s.Set("SVCAUTH_TOKEN_SIGNING_ALGORITHM=RS256")
	s.Start()
	both := []any{"ES256", "RS256"}
	require.Equal(t, both, algorithms(), "the next key is of the new algorithm")
	a := s.Account("ci", "clusters:view")
	header, _ := claimsOf(t, s, s.Token(a.ClientID, a.ClientSecret, ""))
	require.Equal(t, "ES256", header["alg"], "the active key signs on")
	_, err := s.Admin().RotateSigningKeys(t.Context(), svcauth.KeyRotation{})
	require.NoError(t, err)
	require.Equal(t, both, algorithms(), "the old key's tokens live")
	_, err = s.Admin().RevokeSigningKey(t.Context(), header["kid"].(string))
	require.NoError(t, err)
	require.Equal(t, []any{"RS256"}, algorithms(), "without a restart")
}

// Like each list, that of the signing keys takes limit and cursor.
func TestSigningKeysComeInPages(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	key := s.Tenant.ApplicationKey
	token := s.OwnToken(key.ClientID, key.ClientSecret)
	kid := func(query string) (string, any) {
		answer := s.Get("/v1/signing-keys?limit=1"+query, token)
		require.Equal(t, 200, answer.Status, answer.Text)
		items := answer.JSON["items"].([]any)
		require.Len(t, items, 1)
		return items[0].(map[string]any)["kid"].(string), answer.JSON["next_cursor"]
	}
	first, cursor := kid("")
	second, end := kid("&cursor=" + cursor.(string))
	require.NotEqual(t, first, second)
	require.Nil(t, end)
	require.Equal(t, 422, s.Get("/v1/signing-keys?limit=201", token).Status)
}

// By RFC 8414 §3.1 the well-known part stands before the issuer's path. In
// OpenID discovery it stands behind.
func TestIssuerWithAPath(t *testing.T) {
	const issuer = "http://localhost:8080/auth/eu"
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_ISSUER=" + issuer}})
	a := s.Account("ci", "clusters:view")
	if s.Issuer != issuer {
		s.Issuer = s.Get("/.well-known/oauth-authorization-server", "").JSON["issuer"].(string)
	}
	require.Equal(t, issuer, s.Issuer)
	document := s.Get("/.well-known/oauth-authorization-server", "").Text
	for _, path := range []string{"/.well-known/oauth-authorization-server/auth/eu",
		"/.well-known/openid-configuration/auth/eu",
		"/auth/eu/.well-known/openid-configuration", "/auth/eu/.well-known/oauth-authorization-server"} {
		answer := s.Get(path, "")
		require.Equal(t, 200, answer.Status, path)
		require.Equal(t, document, answer.Text)
	}
	for _, path := range []string{"/auth/eu/oauth2/token", "/oauth2/token", "/auth/eu/api/1.0/token"} {
		answer := s.Post(path, a.ClientID, a.ClientSecret, grantForm)
		require.Equal(t, 200, answer.Status, path)
		_, claims := claimsOf(t, s, answer.JSON["access_token"].(string))
		require.Equal(t, issuer, claims["iss"])
	}
	for _, path := range []string{"/auth/euoauth2/token", "/auth/us/oauth2/token", "/auth/eu/auth/eu/oauth2/token"} {
		require.Equal(t, 404, s.Post(path, a.ClientID, a.ClientSecret, grantForm).Status, path)
	}
	root := s.Get("/auth/eu", "")
	require.Equal(t, 303, root.Status)
	require.Equal(t, "/auth/eu/console", root.Header.Get("Location"))
	admin := adminToken(s)
	for path, body := range map[string]string{"/v1/roles": `{"name":"r"}`, "/v1/service-accounts": `{"name":"a"}`,
		"/v1/application-keys":                      `{}`,
		"/v1/service-accounts/" + a.ID + "/secrets": `{}`,
		"/v1/members":                               `{"email":"m@example.com","first_name":"M","last_name":"M"}`} {
		for _, before := range []string{"",
			"/auth/eu"} { // whether or not a proxy takes the path away, who asked has it
			body := strings.NewReplacer(`"r"`, `"r`+before+`"`, `"a"`, `"a`+before+`"`, "m@",
				"m"+strings.ReplaceAll(before, "/", "")+"@").Replace(body)
			made := ask(t, s, http.MethodPost, before+path, admin, body)
			require.Equal(t, 201, made.Status, made.Text)
			require.Equal(t, "/auth/eu"+path+"/"+made.JSON["id"].(string), made.Header.Get("Location"),
				"RFC 9110 §10.2.2: it is resolved against the address that was asked")
		}
	}
	require.Contains(t, s.Get("/auth/eu/v1/nothing", admin).JSON["detail"], issuer+"/docs")
	require.NotContains(t, s.Log(), `"route":"/auth`, "one route, one name")
}

// TestJWKS is RFC 7517 §5 with the conditions of RFC 9110 §13.
func TestJWKS(t *testing.T) {
	p := newProtocol(t, svctest.Options{Environ: []string{"SVCAUTH_JWKS_MAX_AGE=2m"}})
	const path = "/.well-known/jwks.json"
	a := p.Get(path, "")
	require.Equal(t, "public, max-age=120", a.Header.Get("Cache-Control"))
	etag := a.Header.Get("ETag")
	for given, status := range map[string]int{etag: 304, "W/" + etag: 304, `"x", ` + etag: 304, "*": 304, `"x"`: 200,
		"": 200, strings.Trim(etag, `"`): 200, `"` + etag: 200} {
		b := p.send(t, request{method: "GET", path: path, header: []string{"If-None-Match", given}})
		require.Equal(t, status, b.Status, given)
		require.Equal(t, etag, b.Header.Get("ETag"))
		require.Equal(t, "public, max-age=120", b.Header.Get("Cache-Control"))
		if status == 304 {
			require.Empty(t, b.Text)
		}
	}
	require.NotRegexp(t, `"(d|p|q|dp|dq|qi|k)":`, a.Text)
	operator := access.System(p.Tenant.Organization.ID)
	operator.Operator = true
	_, err := p.App.Access.RotateSigningKeys(access.WithActor(t.Context(), operator), svcauth.KeyRotation{})
	require.NoError(t, err)
	rotated := p.Get(path, "")
	require.NotEqual(t, etag, rotated.Header.Get("ETag"))
	require.Len(t, rotated.JSON["keys"], 3)
	header, _ := claimsOf(t, p.Server, p.Token(p.id, svcauth.Secret(p.secret), ""))
	require.Contains(t, a.Text, header["kid"].(string), "it was published before it signed")
}

func TestHealth(t *testing.T) {
	p := newProtocol(t, svctest.Options{})
	for _, path := range []string{"/healthz", "/readyz"} {
		a := p.Get(path, "")
		require.Equal(t, http.StatusOK, a.Status)
		require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
		require.Equal(t, "ok", a.JSON["status"])
	}
	require.Equal(t, map[string]any{"database": "ok"}, p.Get("/readyz", "").JSON["dependencies"])
}
