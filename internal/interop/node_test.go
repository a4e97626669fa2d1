package interop_test

import (
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/svctest/certtest"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestClientsOfNodeJS: openid-client and oauth4webapi find everything in our
// metadata, prove themselves by each kind of key and by certificate at each
// endpoint, and google-auth-library exchanges another issuer's token. All of
// them do it in one process.
func TestClientsOfNodeJS(t *testing.T) {
	needs.Service(t, "Node.js with its OAuth2 clients")
	h := newHouse(t)
	var cases []clientCase
	for _, library := range []string{"openid-client", "oauth4webapi"} {
		for _, algorithm := range []string{"RS256", "PS256", "ES256", "ES384", "EdDSA"} {
			cases = append(cases, clientCase{Name: library + " " + algorithm, Library: library, Algorithm: algorithm})
		}
		cases = append(cases,
			clientCase{Name: library + " with a kid", Library: library, Algorithm: "ES256", Kid: "2026-11"},
			clientCase{Name: library + " of the other document", Library: library, Algorithm: "ES256", OIDC: true})
	}
	for i := range cases {
		h.register(&cases[i])
	}
	stranger := cases[0]
	stranger.Name, stranger.ClientID = "of another account", h.Account("of another account", privilege).ID
	stranger.refused = "invalid_client"
	cases = append(cases, stranger)
	for _, library := range []string{"openid-client", "oauth4webapi"} {
		cases = append(cases, h.certified(library))
	}
	google := h.google()
	cases = append(cases, google...)

	results := h.node(cases)
	for _, it := range cases {
		t.Run(it.Name, func(t *testing.T) {
			got := results[it.Name]
			switch {
			case it.refused != "":
				require.Contains(t, got.Error, it.refused)
			case it.Credentials != "":
				h.exchanged(t, it, got)
			case it.Certificate != "":
				walked(t, it, got)
				for _, endpoint := range []string{"token", "introspect", "revoke"} {
					require.Contains(t, got.Asked, h.mutual+"/oauth2/"+endpoint)
				}
			default:
				walked(t, it, got)
				header := map[string]any{"alg": it.Algorithm}
				if it.Algorithm == "EdDSA" {
					header["alg"] = "Ed25519" // RFC 9864
				}
				if it.Kid != "" {
					header["kid"] = it.Kid
				}
				require.Equal(t, shape{header, h.Issuer, time.Minute}, signed(t, it, got))
			}
		})
	}
}

// certified returns a case whose account is proven by a certificate.
func (h *house) certified(library string) clientCase {
	h.t.Helper()
	name := library + ".clients.example"
	pair := h.authority.Issue(h.t, func(c *x509.Certificate) { c.DNSNames = []string{name} })
	account := h.Account(library+" with a certificate", privilege)
	_, err := h.App.Access.CreateCertificate(h.System(), account.ID, svcauth.NewCertificate{SANDNS: name})
	require.NoError(h.t, err)
	return clientCase{Name: account.Name, Library: library, ClientID: account.ID,
		Certificate: string(certtest.PEM(pair.Leaf)), Key: string(certtest.KeyPEM(h.t, pair))}
}

// google returns cases of Google's library: its credential from a file and from
// an address, as on a machine and in a CI job, and one whose token is of
// another workload. The tokens are of an issuer on loopback.
func (h *house) google() []clientCase {
	h.t.Helper()
	key := h.keys["ES256"]
	var foreign *httptest.Server
	token := func(subject string) string {
		text, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": foreign.URL, "sub": subject,
			"aud": h.Issuer, "project_id": "42", "iat": time.Now().Unix(),
			"exp": time.Now().Add(5 * time.Minute).Unix()}).SignedString(key)
		require.NoError(h.t, err)
		return text
	}
	foreign = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer any
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			answer = map[string]any{"issuer": foreign.URL, "jwks_uri": foreign.URL + "/keys"}
		case "/keys":
			public, err := jwk.Of(key.Public())
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			answer = map[string]any{"keys": []jwk.Key{public}}
		case "/token":
			answer = map[string]any{"value": token("workload")}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	h.t.Cleanup(foreign.Close)

	account := h.Account("google-auth-library", privilege)
	trusted, err := h.App.Access.CreateFederatedCredential(h.System(), account.ID, svcauth.NewFederatedCredential{
		Name: "loopback", Issuer: foreign.URL, Subject: "workload", Claims: map[string]string{"project_id": "42"}})
	require.NoError(h.t, err)
	write := func(name string, content []byte) string {
		path := filepath.Join(h.t.TempDir(), name)
		require.NoError(h.t, os.WriteFile(path, content, 0o600))
		return path
	}
	one := func(name, refused string, source map[string]any) clientCase {
		text, err := json.Marshal(map[string]any{"type": "external_account", "audience": trusted.ID,
			"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": h.Issuer + "/oauth2/token",
			"credential_source": source})
		require.NoError(h.t, err)
		return clientCase{Name: name, Library: "google-auth-library", ClientID: account.ID,
			Credentials: write("credentials.json", text), refused: refused}
	}
	return []clientCase{
		one("google-auth-library by a file", "", map[string]any{"file": write("token", []byte(token("workload")))}),
		one("google-auth-library by an address", "", map[string]any{"url": foreign.URL + "/token",
			"headers": map[string]string{"Authorization": "Bearer of-the-job"},
			"format":  map[string]string{"type": "json", "subject_token_field_name": "value"}}),
		one("google-auth-library of another workload", "invalid_request",
			map[string]any{"file": write("token", []byte(token("another")))}),
	}
}

// exchanged checks that a token was exchanged, twice: the library asks again
// with what its source has then.
func (h *house) exchanged(t *testing.T, it clientCase, got result) {
	t.Helper()
	require.Empty(t, got.Error)
	require.NotEqual(t, got.Token, got.Again)
	for _, token := range []string{got.Token, got.Again} {
		claims := part(t, token, 1)
		require.Equal(t, it.ClientID, claims["client_id"])
		require.Equal(t, privilege, claims["scope"])
		require.True(t, strings.HasPrefix(claims["cred"].(string), "fed_"))
	}
}
