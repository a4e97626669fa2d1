package server_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// signer is a service account that signs assertions.
type signer struct {
	*svctest.Server
	t       *testing.T
	account svcauth.ServiceAccount
	private crypto.Signer
	alg     string
	key     svcauth.Key
}

// newSigner returns an account with a key, whose JWK edit may change.
func newSigner(t *testing.T, s *svctest.Server, private crypto.Signer, alg string, edit func(*jwk.Key)) *signer {
	t.Helper()
	g := &signer{Server: s, t: t, account: s.Account("signer-"+strings.ToLower(rand.Text()), "clusters:view"),
		private: private, alg: alg}
	g.key = g.register(private, edit, false)
	return g
}

func (g *signer) register(private crypto.Signer, edit func(*jwk.Key), tokenURL bool) svcauth.Key {
	g.t.Helper()
	public, err := jwk.Of(private.Public())
	require.NoError(g.t, err)
	if edit != nil {
		edit(&public)
	}
	raw, err := json.Marshal(public)
	require.NoError(g.t, err)
	body := svcauth.NewKey{JWK: raw, AcceptTokenURLAudience: tokenURL}
	key, err := g.Admin().CreateKey(g.t.Context(), g.account.ID, body)
	require.NoError(g.t, err)
	return key
}

func p256(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

// claims returns those of a right assertion.
func (g *signer) claims() jwt.MapClaims {
	now := time.Now()
	return jwt.MapClaims{"iss": g.account.ID, "sub": g.account.ID, "aud": g.Issuer, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
}

// sign returns an assertion after edit has changed it.
func (g *signer) sign(edit func(header map[string]any, claims jwt.MapClaims)) string {
	g.t.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(g.alg), g.claims())
	if edit != nil {
		edit(token.Header, token.Claims.(jwt.MapClaims))
	}
	text, err := token.SignedString(g.private)
	require.NoError(g.t, err)
	return text
}

func asserted(assertion string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {clientauth.AssertionJWT},
		"client_assertion": {assertion}}
}

func (g *signer) ask(assertion string) svctest.Answer {
	return g.Post("/oauth2/token", "", "", asserted(assertion))
}

type headers = map[string]any

// Reference O, row A, what must pass; and A.3's clocks.
func TestPrivateKeyPasses(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	g := newSigner(t, s, p256(t), "ES256", nil)
	now := time.Now()
	for name, edit := range map[string]func(headers, jwt.MapClaims){
		"as it is":             nil,
		"an array of one":      func(_ headers, c jwt.MapClaims) { c["aud"] = []string{g.Issuer} },
		"typ absent":           func(h headers, _ jwt.MapClaims) { delete(h, "typ") },
		"typ empty":            func(h headers, _ jwt.MapClaims) { h["typ"] = "" },
		"typ in small letters": func(h headers, _ jwt.MapClaims) { h["typ"] = "jwt" },
		"typ explicit":         func(h headers, _ jwt.MapClaims) { h["typ"] = "client-authentication+jwt" },
		"typ with application": func(h headers, _ jwt.MapClaims) { h["typ"] = "application/client-authentication+JWT" },
		"kid: the thumbprint":  func(h headers, _ jwt.MapClaims) { h["kid"] = g.key.Thumbprint },
		"kid: the id":          func(h headers, _ jwt.MapClaims) { h["kid"] = g.key.ID },
		"x5c, jku": func(h headers, _ jwt.MapClaims) {
			h["x5c"], h["jku"] = []string{"x"}, "http://127.0.0.1:1/"
		},
		"clocks 8 s ahead": func(_ headers, c jwt.MapClaims) {
			c["iat"], c["nbf"] = now.Add(8*time.Second).Unix(), now.Add(8*time.Second).Unix()
		},
		"one hour":         func(_ headers, c jwt.MapClaims) { c["exp"] = now.Add(time.Hour).Unix() },
		"just expired":     func(_ headers, c jwt.MapClaims) { c["exp"] = now.Add(-10 * time.Second).Unix() },
		"no iat":           func(_ headers, c jwt.MapClaims) { delete(c, "iat") },
		"no jti":           func(_ headers, c jwt.MapClaims) { delete(c, "jti") },
		"a fraction":       func(_ headers, c jwt.MapClaims) { c["exp"] = float64(now.Add(time.Minute).Unix()) + .5 },
		"claims of others": func(_ headers, c jwt.MapClaims) { c["scope"], c["more"] = "x:y", headers{"a": 1} },
	} {
		got := g.ask(g.sign(edit))
		require.Equal(t, http.StatusOK, got.Status, "%s: %s", name, got.Text)
		require.True(t, g.Active(g.account.ID, g.account.ClientSecret, got.JSON["access_token"].(string)), name)
	}
	form := asserted(g.sign(nil))
	form.Set("client_id", g.account.ID)
	require.Equal(t, http.StatusOK, s.Post("/oauth2/token", "", "", form).Status)

	// The other endpoints take it too, each of them once (RFC 7009 §2.1, RFC
	// 7662 §2.1).
	token := g.ask(g.sign(nil)).JSON["access_token"].(string)
	about := func() url.Values {
		form := asserted(g.sign(nil))
		form.Set("token", token)
		return form
	}
	same := about()
	same.Del("token")
	require.Equal(t, 400, s.Post("/oauth2/introspect", "", "", same).Status, "a refusal uses nothing up")
	same.Set("token", token)
	require.Equal(t, true, s.Post("/oauth2/introspect", "", "", same).JSON["active"])
	require.Equal(t, 401, s.Post("/oauth2/introspect", "", "", same).Status)
	require.Equal(t, 200, s.Post("/oauth2/revoke", "", "", about()).Status)
	require.Equal(t, false, s.Post("/oauth2/introspect", "", "", about()).JSON["active"])

	metadata := s.Get("/.well-known/oauth-authorization-server", "").JSON
	require.Contains(t, metadata["token_endpoint_auth_methods_supported"], "private_key_jwt")
	for _, name := range []string{"token", "revocation", "introspection"} {
		algorithms := metadata[name+"_endpoint_auth_signing_alg_values_supported"]
		require.Equal(t, []any{"ES256", "ES384", "ES512", "EdDSA", "Ed25519", "RS256", "RS384", "RS512", "PS256",
			"PS384", "PS512"}, algorithms)
	}
}

// What the metadata says works.
func TestEachAlgorithmOfAssertions(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	g := newSigner(t, s, private, "RS256", nil)
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		g.alg = alg
		require.Equal(t, http.StatusOK, g.ask(g.sign(nil)).Status, alg)
	}
	for alg, curve := range map[string]elliptic.Curve{"ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
		g.private, g.alg = key, alg
		g.register(key, nil, false)
		require.Equal(t, http.StatusOK, g.ask(g.sign(nil)).Status, alg)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	g.private, g.alg = edwards, "EdDSA"
	g.register(edwards, func(k *jwk.Key) { k.Kid, k.Use, k.Ops = "mine", "sig", []string{"verify"} }, false)
	for _, alg := range []string{"EdDSA", "Ed25519"} {
		got := g.ask(g.sign(func(h headers, _ jwt.MapClaims) { h["alg"], h["kid"] = alg, "mine" }))
		require.Equal(t, http.StatusOK, got.Status, alg)
	}
}
