package docs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/url"
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

// TestEachSnippetWithoutASecretGetsWhatItAsksFor: a token, for what proves the
// client as the table says, and the API says hello.
func TestEachSnippetWithoutASecretGetsWhatItAsksFor(t *testing.T) {
	needs.Service(t, programs)
	p, f := readPage(t), newFront(t)
	for _, r := range p.proofs {
		t.Run(r.snippet, func(t *testing.T) {
			t.Parallel()
			got, id, seen := f.prove(t, r, p.snippets[r.snippet])
			require.True(t, got.ok, got.output)
			require.Contains(t, got.output, "hello "+id)
			requests := f.seen(seen)
			require.Len(t, requests, 1)
			form := requests[0].form
			require.Equal(t, "clusters:view", form.Get("scope"))
			require.Empty(t, requests[0].secret+form.Get("client_secret"))
			require.Equal(t, r.by == "key", form.Has("client_assertion"))
			if r.by == "key" {
				f.assertsAsThePageSays(t, r, form.Get("client_assertion"))
			}
		})
	}
}

func (f *front) assertsAsThePageSays(t *testing.T, r proof, assertion string) {
	t.Helper()
	claims := jwt.MapClaims{}
	token, _, err := jwt.NewParser().ParseUnverified(assertion, claims)
	require.NoError(t, err)
	require.Equal(t, f.server.Issuer, claims["aud"])
	lives := time.Duration(claims["exp"].(float64)-claims["iat"].(float64)) * time.Second
	require.Equal(t, r.lives, fmt.Sprintf("%.0f s", lives.Seconds()))
	typ, _ := token.Header["typ"].(string)
	require.Equal(t, strings.TrimPrefix(r.typ, "none"), typ)
	require.Equal(t, r.kid == "always", token.Header["kid"] != nil, "the page says: %s", r.kid)
}

// prove runs a snippet, as it stands in text, for an account of its own that is
// proven as the row says.
func (f *front) prove(t *testing.T, r proof, text string) (got result, id string, seen *plan) {
	t.Helper()
	id = f.server.Account("client "+rand.Text(), "clusters:view").ID
	asks, replacements := id, []string{"https://auth.example.com:8443", f.mutual.URL}
	write := func(name string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return path
	}
	switch r.by {
	case "key":
		replacements = append(replacements, "/etc/svcauth/client.key", write("client.key", f.keyOf(t, id)))
	case "certificate":
		pair := f.issued.Issue(t, func(c *x509.Certificate) { c.DNSNames = []string{"checkout.example"} })
		_, err := f.server.App.Access.CreateCertificate(f.server.System(), id,
			svcauth.NewCertificate{SANDNS: "checkout.example"})
		require.NoError(t, err)
		replacements = append(replacements, "/etc/ssl/client.pem", write("client.pem", certtest.PEM(pair.Leaf)),
			"/etc/ssl/client.key", write("client.key", certtest.KeyPEM(t, pair)))
	case "token":
		platform := newPlatform(t)
		trusted, err := f.server.App.Access.CreateFederatedCredential(f.server.System(), id,
			svcauth.NewFederatedCredential{Name: "platform", Issuer: "https://ci.example", Subject: "checkout",
				JWKS: platform.keySet(t)})
		require.NoError(t, err)
		token := platform.sign(t, f.server.Issuer, map[string]any{"iss": "https://ci.example", "sub": "checkout"})
		asks = trusted.ID // there is no client_id
		replacements = append(replacements, "/var/run/secrets/svcauth/token", write("token", []byte(token)),
			"fed_01h455vb4pex5vsknk084sn02q", trusted.ID)
	default:
		t.Fatalf("%s: nobody is proven by %q", r.snippet, r.by)
	}
	seen = f.stranger(asks)
	text = strings.NewReplacer(replacements...).Replace(text)
	ca := map[string]string{".mjs": "NODE_EXTRA_CA_CERTS", ".py": "REQUESTS_CA_BUNDLE", ".go": "SSL_CERT_FILE",
		".sh": "CURL_CA_BUNDLE"}[filepath.Ext(r.snippet)]
	return f.run(t, row{snippet: r.snippet, ca: ca}, text, id, ""), id, seen
}

// keyOf returns a new private key in PEM, which proves the account.
func (f *front) keyOf(t *testing.T, account string) []byte {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public, err := jwk.Of(private.Public())
	require.NoError(t, err)
	text, err := json.Marshal(public)
	require.NoError(t, err)
	_, err = f.server.App.Access.CreateKey(f.server.System(), account, svcauth.NewKey{JWK: text})
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// audienceOrIssuer names the client of a request without client_id: the
// federated credential of a token exchange, or who has signed the assertion.
func audienceOrIssuer(form url.Values) string {
	if !form.Has("client_assertion") {
		return form.Get("audience")
	}
	claims := jwt.MapClaims{}
	_, _, _ = jwt.NewParser().ParseUnverified(form.Get("client_assertion"), claims)
	issuer, _ := claims["iss"].(string)
	return issuer
}
