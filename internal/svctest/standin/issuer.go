// Package standin has an issuer that stands in for an authorization server in
// the runnable examples of the public packages: it publishes its metadata and
// its key, and signs what it is asked to.
package standin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const kid = "key-1"

// Issuer is an authorization server without clients. Its URL is the issuer
// identifier. Close ends it.
type Issuer struct {
	*httptest.Server
	key *ecdsa.PrivateKey
}

// NewIssuer starts an issuer on a loopback address, with a new ES256 key.
func NewIssuer() *Issuer {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // never fails with this Reader
	i := &Issuer{key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/.well-known/jwks.json"})
	})
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"keys": []any{i.publicKey()}})
	})
	i.Server = httptest.NewServer(mux)
	return i
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// publicKey returns the key as a JWK, RFC 7517 §4 and RFC 7518 §6.2.1.
func (i *Issuer) publicKey() map[string]string {
	point, _ := i.key.PublicKey.Bytes() // 4, x, y: SEC 1 §2.3.3
	half := (len(point) - 1) / 2
	return map[string]string{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid,
		"x": base64.RawURLEncoding.EncodeToString(point[1 : 1+half]),
		"y": base64.RawURLEncoding.EncodeToString(point[1+half:])}
}

// Token returns an access token of RFC 9068 §2 for an API, valid for an hour.
// The scope's values are separated by spaces.
func (i *Issuer) Token(subject, audience, scope string) string {
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": i.URL, "sub": subject, "client_id": subject, "aud": audience, "scope": scope,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": rand.Text(),
	})
	token.Header["typ"], token.Header["kid"] = "at+jwt", kid
	text, _ := token.SignedString(i.key) // never fails with a key of the method's curve
	return text
}
