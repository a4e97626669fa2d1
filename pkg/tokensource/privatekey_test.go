package tokensource

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// b64 writes a member of a JWK.
func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwkOf writes a private key as JSON from RFC 7518 alone: it shares no code
// with the package under test.
func jwkOf(t *testing.T, key crypto.Signer, more map[string]string) []byte {
	t.Helper()
	members := map[string]string{}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		members = map[string]string{"kty": "RSA", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes()),
			"d": b64(k.D.Bytes()), "p": b64(k.Primes[0].Bytes()), "q": b64(k.Primes[1].Bytes())}
	case *ecdsa.PrivateKey:
		point, err := k.PublicKey.Bytes()
		require.NoError(t, err)
		scalar, err := k.Bytes()
		require.NoError(t, err)
		half := len(point) / 2
		members = map[string]string{"kty": "EC", "crv": k.Params().Name, "x": b64(point[1 : 1+half]),
			"y": b64(point[1+half:]), "d": b64(scalar)}
	case ed25519.PrivateKey:
		members = map[string]string{"kty": "OKP", "crv": "Ed25519", "x": b64(k.Public().(ed25519.PublicKey)),
			"d": b64(k.Seed())}
	}
	for name, value := range more {
		members[name] = value
	}
	text, err := json.Marshal(members)
	require.NoError(t, err)
	return text
}

func pemOf(t *testing.T, kind string, der []byte, err error) []byte {
	t.Helper()
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pemOf(t, "PRIVATE KEY", der, err)
}

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

var (
	rsaKey  = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	p256Key = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// assertionChecker checks assertions by golang-jwt: RFC 7523 §3 with RFC 10070,
// and that none comes twice.
type assertionChecker struct {
	audience, client, alg, kid string
	key                        crypto.PublicKey
	seen                       map[string]bool
}

func (a *assertionChecker) check(form url.Values, r *http.Request) error {
	if r.Header.Get("Authorization") != "" || form.Has("client_secret") || form.Get("client_id") != a.client ||
		form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return errors.New("not authenticated by an assertion alone")
	}
	parsed, err := jwt.Parse(form.Get("client_assertion"), func(*jwt.Token) (any, error) { return a.key, nil },
		jwt.WithValidMethods([]string{a.alg}), jwt.WithIssuer(a.client), jwt.WithSubject(a.client),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithStrictDecoding())
	if err != nil {
		return err
	}
	claims := parsed.Claims.(jwt.MapClaims)
	life := claims["exp"].(float64) - claims["iat"].(float64)
	jti, _ := claims["jti"].(string)
	switch {
	case parsed.Header["typ"] != "client-authentication+jwt":
		return errors.New("wrong typ")
	case a.kid != "" && parsed.Header["kid"] != a.kid:
		return fmt.Errorf("wrong kid %v", parsed.Header["kid"])
	case claims["aud"] != a.audience: // a string, and not an array
		return fmt.Errorf("wrong audience %v", claims["aud"])
	case life != 60 || len(jti) < 20 || a.seen[jti]:
		return errors.New("not fresh")
	}
	a.seen[jti] = true
	return nil
}

func newAssertionChecker(e *endpoint, alg, kid string, key crypto.PublicKey) *assertionChecker {
	return &assertionChecker{e.URL, e.id, alg, kid, key, map[string]bool{}}
}

func byKey(file string) func(*Config) {
	return func(c *Config) { c.ClientSecret, c.PrivateKeyFile = "", file }
}

func TestEachKindOfKeySigns(t *testing.T) {
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	p521 := must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	_, ed := must2(ed25519.GenerateKey(rand.Reader))
	sec1, err := x509.MarshalECPrivateKey(p256Key())
	require.NoError(t, err)
	parameters := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 0}})
	for name, c := range map[string]struct {
		content []byte
		alg     string
		key     crypto.Signer
	}{
		"RSA, PKCS #8":   {pkcs8(t, rsaKey()), "RS256", rsaKey()},
		"RSA, PKCS #1":   {pemOf(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey()), nil), "RS256", rsaKey()},
		"RSA, JWK":       {jwkOf(t, rsaKey(), nil), "RS256", rsaKey()},
		"RSA, JWK PS256": {jwkOf(t, rsaKey(), map[string]string{"alg": "PS256"}), "PS256", rsaKey()},
		"RSA, JWK RS512": {jwkOf(t, rsaKey(), map[string]string{"alg": "RS512"}), "RS512", rsaKey()},
		"P-256, PKCS #8": {pkcs8(t, p256Key()), "ES256", p256Key()},
		"P-256, SEC 1":   {append(parameters, pemOf(t, "EC PRIVATE KEY", sec1, nil)...), "ES256", p256Key()},
		"P-256, JWK":     {jwkOf(t, p256Key(), nil), "ES256", p256Key()},
		"P-384, PKCS #8": {pkcs8(t, p384), "ES384", p384},
		"P-384, JWK":     {jwkOf(t, p384, map[string]string{"alg": "ES384"}), "ES384", p384},
		"P-521, PKCS #8": {pkcs8(t, p521), "ES512", p521},
		"P-521, JWK":     {jwkOf(t, p521, nil), "ES512", p521},
		"Ed25519":        {pkcs8(t, ed), "EdDSA", ed},
		"Ed25519, JWK":   {append([]byte("\n "), jwkOf(t, ed, nil)...), "EdDSA", ed},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEndpoint(t)
			e.proves = newAssertionChecker(e, c.alg, "", c.key.Public()).check
			s := e.source(t, byKey(write(t, "key", c.content)))
			for i := 1; i <= 3; i++ { // three times: a signature with leading zeros is rare
				got, err := s.Token(soon(t))
				require.NoError(t, err)
				s.Drop(got.AccessToken)
			}
		})
	}
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

// The thumbprint is computed here from RFC 7638 §3.2 alone.
func TestKeyIDIsTheThumbprintUnlessOneIsGiven(t *testing.T) {
	e := newEndpoint(t)
	point := must(p256Key().PublicKey.Bytes())
	sum := crypto.SHA256.New()
	fmt.Fprintf(sum, `{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, b64(point[1:33]), b64(point[33:]))
	for name, c := range map[string]struct {
		content []byte
		id      string
		want    string
	}{
		"thumbprint":        {pkcs8(t, p256Key()), "", b64(sum.Sum(nil))},
		"the JWK's":         {jwkOf(t, p256Key(), map[string]string{"kid": "mine"}), "", "mine"},
		"given":             {pkcs8(t, p256Key()), "key_1", "key_1"},
		"given, beside JWK": {jwkOf(t, p256Key(), map[string]string{"kid": "mine"}), "key_1", "key_1"},
	} {
		t.Run(name, func(t *testing.T) {
			e.set(func() { e.proves = newAssertionChecker(e, "ES256", c.want, p256Key().Public()).check })
			_, err := e.source(t, byKey(write(t, "key", c.content)), func(c2 *Config) { c2.PrivateKeyID = c.id }).
				Token(soon(t))
			require.NoError(t, err)
		})
	}
}

// Each attempt has an assertion of its own, since a server takes each jti once
// (RFC 7523 §3), and so has what asks another endpoint.
func TestRetriesHaveFreshAssertions(t *testing.T) {
	e := newEndpoint(t)
	checker := newAssertionChecker(e, "ES256", "", p256Key().Public())
	used := func(w http.ResponseWriter, r *http.Request) {
		form, _ := e.last()
		require.NoError(t, checker.check(form, r))
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	e.next(used, used)
	e.proves = checker.check
	e.metadata = func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": e.URL, "token_endpoint": e.URL + "/oauth2/token",
			"revocation_endpoint": e.URL + "/oauth2/revoke"})
	}
	s := e.source(t, byKey(write(t, "key", pkcs8(t, p256Key()))))
	got, err := s.Token(soon(t))
	require.NoError(t, err)
	require.Equal(t, "token-3", got.AccessToken)
	require.Len(t, checker.seen, 3)

	e.next(used, func(w http.ResponseWriter, r *http.Request) {
		form, _ := e.last()
		require.NoError(t, checker.check(form, r))
		require.Equal(t, "token-3", form.Get("token"))
	})
	require.NoError(t, s.Revoke(soon(t), got.AccessToken))
	require.Len(t, checker.seen, 5)
}

func TestRotatedKeyNeedsNoRestart(t *testing.T) {
	e := newEndpoint(t)
	file := write(t, "key", pkcs8(t, p256Key()))
	e.proves = newAssertionChecker(e, "ES256", "", p256Key().Public()).check
	s := e.source(t, byKey(file))
	got, err := s.Token(soon(t))
	require.NoError(t, err)

	e.set(func() { e.proves = newAssertionChecker(e, "RS256", "", rsaKey().Public()).check })
	s.Drop(got.AccessToken)
	refused := failure(t, s)
	require.Equal(t, "invalid_client", refused.Code)
	require.Regexp(t, "the assertion was signed by the key [A-Za-z0-9_-]{43} of "+file+" for audience "+e.URL+
		"; check that its public key is registered for client "+e.id+" and has not expired", refused.Error())

	require.NoError(t, os.WriteFile(file, pkcs8(t, rsaKey()), 0o600))
	_, err = s.Token(soon(t))
	require.NoError(t, err)
	require.NoError(t, os.Remove(file))
	s.Drop("token-3")
	require.ErrorIs(t, failure(t, s), os.ErrNotExist)
	require.Equal(t, 3, e.asked(), "nothing is sent without a key")
}

func TestAudienceOfAnotherServersAssertionCanBeSet(t *testing.T) {
	e := newEndpoint(t)
	checker := newAssertionChecker(e, "ES256", "", p256Key().Public())
	checker.audience = e.URL + "/oauth2/token"
	e.proves = checker.check
	_, err := e.source(t, byKey(write(t, "key", pkcs8(t, p256Key()))), func(c *Config) {
		c.Issuer, c.TokenURL, c.AssertionAudience = "", e.URL+"/oauth2/token", e.URL+"/oauth2/token"
	}).Token(soon(t))
	require.NoError(t, err)
}

func TestAKeyThatCanNotBeUsedIsSaid(t *testing.T) {
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	public := pemOf(t, "PUBLIC KEY", must(x509.MarshalPKIXPublicKey(p256Key().Public())), nil)
	private := jwkOf(t, p256Key(), nil)
	for want, content := range map[string]string{
		"holds no private key: expected PEM (-----BEGIN PRIVATE KEY-----) or a JWK": "hello",
		"holds no private key: expected PEM":                                        string(public),
		"holds an RSA key of 1024 bits; expected":                                   string(pkcs8(t, small)),
		"holds a kind of key that is not used here; expected RSA, P-256":            string(pkcs8(t, p224)),
		"holds a private key that can't be read: it is damaged": "-----BEGIN PRIVATE KEY-----\naGVsbG8=\n" +
			"-----END PRIVATE KEY-----\n",
		"holds an encrypted key": string(pemOf(t, "ENCRYPTED PRIVATE KEY", []byte("x"), nil)),
		"holds an encrypted key, whose passphrase nobody": "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n" +
			"DEK-Info: AES-256-CBC,00\n\naGVsbG8=\n-----END EC PRIVATE KEY-----\n",
		"in OpenSSH's own form":              string(pemOf(t, "OPENSSH PRIVATE KEY", []byte("x"), nil)),
		"is not the JSON of one JWK":         "{hidden",
		"of a key set, write the one key":    `{"keys":[` + string(private) + `]}`,
		"JWK without d, which is a public":   `{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`,
		"members don't make a key":           strings.Replace(string(private), `"d":"`, `"d":"AAAA`, 1),
		"JWK of a kind that is not":          `{"kty":"oct","k":"aGlkZGVu","d":"AA"}`,
		"with an alg that it can't sign":     string(jwkOf(t, p256Key(), map[string]string{"alg": "HS256"})),
		"is longer than 64 KiB":              strings.Repeat("x", maxFile+1),
		"it can't sign with; expected one":   string(jwkOf(t, rsaKey(), map[string]string{"alg": "ES256"})),
		"members don't make a key; write it": string(jwkOf(t, rsaKey(), map[string]string{"p": "AQAB"})),
	} {
		file := write(t, "key", []byte(content))
		_, err := New(Config{Issuer: "https://auth.example.com", ClientID: "sa_x", PrivateKeyFile: file})
		require.ErrorContains(t, err, "tokensource: the private key file "+file+" ")
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hidden")
	}
	_, err := New(Config{Issuer: "https://auth.example.com", ClientID: "sa_x", PrivateKeyFile: t.TempDir()})
	require.ErrorContains(t, err, "is not a regular file")
}

func TestEchoedAssertionIsRedacted(t *testing.T) {
	e := newEndpoint(t)
	e.next(func(w http.ResponseWriter, _ *http.Request) {
		form, _ := e.last()
		refuse(w, 400, "invalid_request", "you sent "+form.Get("client_assertion"))
	})
	refused := failure(t, e.source(t, byKey(write(t, "key", pkcs8(t, p256Key())))))
	require.Equal(t, "you sent [redacted]", refused.Description)
}

func TestClockOfTheAssertionIsTheConfigs(t *testing.T) {
	e := newEndpoint(t)
	e.proves = newAssertionChecker(e, "ES256", "", p256Key().Public()).check
	refused := failure(t, e.source(t, byKey(write(t, "key", pkcs8(t, p256Key()))), func(c *Config) {
		c.Clock = func() time.Time { return time.Now().Add(-time.Hour) }
	}))
	require.Contains(t, refused.Error(), "that this machine's clock is right (it was ")
}
