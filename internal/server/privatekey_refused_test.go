package server_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Reference A.2, A.3, A.8 and O, row A: what must fail, each alone. None of it
// uses the jti up.
func TestPrivateKeyRefuses(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_LIMITS_WRONG_SECRETS_PER_CLIENT=150"}})
	g := newSigner(t, s, p256(t), "ES256", nil)
	other := newSigner(t, s, p256(t), "ES256", func(k *jwk.Key) { k.Kid = "others" })
	now := time.Now()
	claim := func(name string, value any) func(headers, jwt.MapClaims) {
		return func(_ headers, c jwt.MapClaims) { c[name] = value }
	}
	header := func(name string, value any) func(headers, jwt.MapClaims) {
		return func(h headers, _ jwt.MapClaims) { h[name] = value }
	}
	without := func(name string) func(headers, jwt.MapClaims) {
		return func(_ headers, c jwt.MapClaims) { delete(c, name) }
	}
	for name, edit := range map[string]func(headers, jwt.MapClaims){
		"A.2 aud: the token URL":   claim("aud", g.Issuer+"/oauth2/token"),
		"A.2 aud: introspection":   claim("aud", g.Issuer+"/oauth2/introspect"),
		"A.2 aud: a slash more":    claim("aud", g.Issuer+"/"),
		"A.2 aud: other case":      claim("aud", strings.ToUpper(g.Issuer)),
		"A.2 aud: one more":        claim("aud", []string{g.Issuer, "https://other.example"}),
		"A.2 aud: twice":           claim("aud", []string{g.Issuer, g.Issuer}),
		"A.2 aud: a number":        claim("aud", 1),
		"A.2 aud: none in it":      claim("aud", []string{}),
		"A.2 aud: missing":         without("aud"),
		"A.8 sub: missing":         without("sub"),
		"A.2 sub: another client":  claim("sub", other.account.ID),
		"A.2 iss: missing":         without("iss"),
		"A.2 iss: empty":           claim("iss", ""),
		"A.2 iss: another client":  claim("iss", other.account.ID),
		"A.2 iss: another issuer":  claim("iss", "https://other.example"),
		"A.2 iss: this server":     claim("iss", g.Issuer),
		"A.2 iss: a list":          claim("iss", []string{g.account.ID}),
		"A.2 iss and sub: missing": func(_ headers, c jwt.MapClaims) { delete(c, "iss"); delete(c, "sub") },
		"A.2 iss and sub: another client": func(_ headers, c jwt.MapClaims) {
			c["iss"], c["sub"] = other.account.ID, other.account.ID
		},
		"A.2 exp: missing":               without("exp"),
		"A.8 exp: 5 minutes past":        claim("exp", now.Add(-5*time.Minute).Unix()),
		"A.2 exp: text":                  claim("exp", "9999999999"),
		"A.2 exp: 1e308":                 claim("exp", 1e308),
		"A.2 exp: too far ahead":         claim("exp", now.Add(25*time.Hour).Unix()),
		"A.3 iat: over 60 s ahead":       claim("iat", now.Add(70*time.Second).Unix()),
		"A.3 nbf: over 60 s ahead":       claim("nbf", now.Add(70*time.Second).Unix()),
		"A.2 iat: text":                  claim("iat", "now"),
		"A.2 nbf: text":                  claim("nbf", "now"),
		"A.2 jti: too long":              claim("jti", strings.Repeat("x", 4096)),
		"A.2 jti: a number":              claim("jti", 1),
		"O crit":                         header("crit", []string{"exp"}),
		"O b64":                          header("b64", false),
		"O alg: RS256 in the header":     header("alg", "RS256"),
		"A.8 alg: PS256 in the header":   header("alg", "PS256"),
		"O alg: none":                    header("alg", "none"),
		"O alg: HS256":                   header("alg", "HS256"),
		"O kid of another client's key":  header("kid", other.key.ID),
		"O kid of another client's, too": header("kid", "others"),
		"A.2 typ: an access token":       header("typ", "at+jwt"),
		"A.2 typ: JOSE":                  header("typ", "JOSE"),
		"A.2 typ: JOSE, long":            header("typ", "application/jose"),
		"A.2 typ: JWS":                   header("typ", "JWS"),
		"A.2 typ: a security event":      header("typ", "secevent+jwt"),
		"A.2 typ: a number":              header("typ", 1),
		"A.2 typ: a DPoP proof":          header("typ", "dpop+jwt"),
		"A.2 typ: a logout token":        header("typ", "logout+jwt"),
	} {
		got := g.ask(g.sign(edit))
		require.Equal(t, http.StatusUnauthorized, got.Status, "%s: %s", name, got.Text)
		require.Equal(t, "invalid_client", got.JSON["error"], name)
		require.Equal(t, `Basic realm="svcauth"`, got.Header.Get("WWW-Authenticate"), name)
	}
}

// A client that signs for itself and leaves iss out, or writes its own name as
// iss, is told what belongs there; a stranger learns no more by it.
func TestPrivateKeyWithoutIssuer(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	g := newSigner(t, s, p256(t), "ES256", nil)
	wrong := func(id string, edit func(jwt.MapClaims), sent bool) string {
		form := asserted(g.sign(func(_ headers, c jwt.MapClaims) { c["sub"] = id; edit(c) }))
		if sent {
			form.Set("client_id", id)
		}
		got := s.Post("/oauth2/token", "", "", form)
		require.Equal(t, http.StatusUnauthorized, got.Status, got.Text)
		return got.JSON["error_description"].(string)
	}
	none := func(c jwt.MapClaims) { delete(c, "iss") }
	named := func(c jwt.MapClaims) { c["iss"] = "deployer" }
	stranger := svcauth.NewID(svcauth.PrefixServiceAccount)
	for _, sent := range []bool{false, true} {
		require.Contains(t, wrong(g.account.ID, none, sent), "has no iss: expected the client_id in iss and sub")
		require.Contains(t, wrong(g.account.ID, named, sent), "client_id")
		require.Contains(t, wrong(g.account.ID, named, sent), "iss")
		require.Equal(t, wrong(stranger, none, sent), wrong(g.account.ID, none, sent))
		require.Equal(t, wrong(stranger, named, sent), wrong(g.account.ID, named, sent))
	}
}

// RFC 7521 §4.2, RFC 6749 §2.3 and §3.2: the form of the request. Nothing here
// uses the assertion up, and none counts as a wrong secret.
func TestPrivateKeyRequests(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	g := newSigner(t, s, p256(t), "ES256", nil)
	other := s.Account("another", "clusters:view")
	assertion := g.sign(nil)
	for name, edit := range map[string]func(url.Values){
		"A.1: a secret beside":   func(f url.Values) { f.Set("client_secret", g.account.ClientSecret.Reveal()) },
		"A.8: another client_id": func(f url.Values) { f.Set("client_id", other.ID) },
		"no type":                func(f url.Values) { f.Del("client_assertion_type") },
		"another type":           func(f url.Values) { f.Set("client_assertion_type", "urn:example:other") },
		"no assertion":           func(f url.Values) { f.Del("client_assertion") },
		"A.1: two assertions":    func(f url.Values) { f.Add("client_assertion", assertion) },
		"a list":                 func(f url.Values) { f.Set("client_assertion[]", assertion) },
		"A.8: no proof at all":   func(f url.Values) { f.Del("client_assertion"); f.Del("client_assertion_type") },
	} {
		form := asserted(assertion)
		edit(form)
		got := s.Post("/oauth2/token", "", "", form)
		require.Contains(t, []string{"invalid_request", "invalid_client"}, got.JSON["error"], "%s: %s", name, got.Text)
		require.Equal(t, name == "A.8: no proof at all", got.Status == 401, name)
	}
	// Go's x/oauth2 asks like this first, and again without the header: more
	// often than secrets may be wrong (A.1).
	for range 25 {
		got := s.Post("/oauth2/token", g.account.ID, "", asserted(assertion))
		require.Equal(t, 400, got.Status, got.Text)
		require.Equal(t, "invalid_request", got.JSON["error"])
	}
	narrow := asserted(assertion)
	narrow.Set("scope", "no:such")
	require.Equal(t, "invalid_scope", s.Post("/oauth2/token", "", "", narrow).JSON["error"])
	require.Equal(t, 200, g.ask(assertion).Status)
	again := g.ask(assertion)
	require.Equal(t, 401, again.Status)
	require.Contains(t, again.JSON["error_description"], "used before")
	// Another client's jti is its own.
	second := newSigner(t, s, p256(t), "ES256", nil)
	jti := func(_ headers, c jwt.MapClaims) { c["jti"] = "the same" }
	require.Equal(t, 200, g.ask(g.sign(jti)).Status)
	require.Equal(t, 200, second.ask(second.sign(jti)).Status)

	// An unknown client, one without keys, and a wrong key get one answer.
	wrong := *g
	wrong.private = p256(t)
	answer := wrong.ask(wrong.sign(nil))
	require.Equal(t, 401, answer.Status)
	for _, id := range []string{svcauth.NewID(svcauth.PrefixServiceAccount), other.ID} {
		stranger := wrong
		stranger.account.ID = id
		got := stranger.ask(stranger.sign(nil))
		require.Equal(t, answer.JSON["error_description"], got.JSON["error_description"])
	}
}

// A.5: what is taken as a key, and what a key's end means.
func TestKeysOfAccounts(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	g := newSigner(t, s, p256(t), "ES256", func(k *jwk.Key) { k.Kid = "one" })
	admin, ctx := s.Admin(), t.Context()
	add := func(body svcauth.NewKey) (svcauth.Key, error) { return admin.CreateKey(ctx, g.account.ID, body) }
	zeros := strings.Repeat("A", 43)
	for body, part := range map[string]string{
		`{"kty":"oct","k":"AAAA"}`:                                           "symmetric key",
		`{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}`:              "member d",
		`{"kty":"RSA","n":"AQAB","e":"AQAB"}`:                                "bits",
		`{"kty":"RSA","kty":"RSA","n":"AQAB","e":"AQAB"}`:                    "repeated",
		`{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`:                       "coordinates",
		`{"kty":"OKP","crv":"X25519","x":"AA"}`:                              "not used here",
		`{"kty":"OKP","crv":"Ed25519","use":"enc","x":"AA"}`:                 "checking signatures",
		`{"kty":"EC","crv":"P-256","x":"` + zeros + `","y":"` + zeros + `"}`: "curve",
	} {
		_, err := add(svcauth.NewKey{JWK: []byte(body)})
		require.ErrorContains(t, err, part, body)
	}
	_, err := add(svcauth.NewKey{})
	require.ErrorContains(t, err, "one of jwk and pem")
	_, err = add(svcauth.NewKey{JWK: g.key.JWK})
	require.ErrorContains(t, err, "has this key already")
	private, err := x509.MarshalPKCS8PrivateKey(p256(t))
	require.NoError(t, err)
	_, err = add(svcauth.NewKey{PEM: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))})
	require.ErrorContains(t, err, "private key")

	second := p256(t)
	public, err := x509.MarshalPKIXPublicKey(second.Public())
	require.NoError(t, err)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	key, err := add(svcauth.NewKey{PEM: text, Description: "second", AcceptTokenURLAudience: true})
	require.NoError(t, err)
	list, err := admin.Keys(ctx, g.account.ID)
	require.NoError(t, err)
	require.Equal(t, []string{key.ID, g.key.ID}, []string{list.Items[0].ID, list.Items[1].ID})

	// A key added a moment ago works; both do; the token URL is for one of
	// them.
	tokenURL := func(_ headers, c jwt.MapClaims) { c["aud"] = s.Issuer + "/oauth2/token" }
	first := g.private.(*ecdsa.PrivateKey)
	require.Equal(t, 200, g.ask(g.sign(nil)).Status)
	require.Equal(t, 401, g.ask(g.sign(tokenURL)).Status)
	g.private = second
	require.Equal(t, 200, g.ask(g.sign(tokenURL)).Status)
	token := g.ask(g.sign(nil)).JSON["access_token"].(string)
	off := false
	key, err = admin.UpdateKey(ctx, g.account.ID, key.ID, svcauth.KeyPatch{AcceptTokenURLAudience: &off})
	require.NoError(t, err)
	require.False(t, key.AcceptTokenURLAudience)
	require.Equal(t, 401, g.ask(g.sign(tokenURL)).Status)

	require.True(t, s.Active(g.account.ID, g.account.ClientSecret, token))
	_, err = admin.DeleteKey(ctx, g.account.ID, key.ID, true, 0)
	require.NoError(t, err)
	require.False(t, s.Active(g.account.ID, g.account.ClientSecret, token))
	require.Equal(t, 401, g.ask(g.sign(nil)).Status)
	g.private = first
	require.Equal(t, 200, g.ask(g.sign(nil)).Status)
	require.Equal(t, 401, g.ask(token).Status, "an access token is no assertion")
}
