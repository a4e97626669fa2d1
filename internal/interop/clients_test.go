// Package interop_test proves clients to a whole server as the libraries and
// issuers of others do it, with what they send to the letter: nothing here is
// written after a standard's text.
package interop_test

import (
	"bytes"
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
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/certtest"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const privilege = "clusters:view"

// house is a server over TLS that also asks for certificates, at an address of
// its own, and may fetch keys from loopback.
type house struct {
	*svctest.Server
	t         *testing.T
	mutual    string // the URL of that address
	authority *certtest.Authority
	keys      map[string]crypto.Signer // by the algorithm that they sign with
}

func newHouse(t *testing.T, environ ...string) *house {
	t.Helper()
	address, authority := freeport.Address(t), certtest.New(t, "clients")
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return &house{
		Server: svctest.New(t, svctest.Options{TLS: true, Environ: append(environ, "SVCAUTH_TLS_MTLS_LISTEN="+address,
			"SVCAUTH_TLS_MTLS_URL=https://"+address, "SVCAUTH_TLS_CLIENT_CA_FILE="+authority.File(t),
			"SVCAUTH_FEDERATION_ALLOWED_NETWORKS=127.0.0.0/8")}),
		t: t, mutual: "https://" + address, authority: authority,
		keys: map[string]crypto.Signer{"RS256": rsaKey, "PS256": rsaKey, "ES256": p256, "ES384": p384,
			"EdDSA": edwards},
	}
}

// clientCase is one that a program of testdata runs.
type clientCase struct {
	Name      string `json:"name"`
	Library   string `json:"library,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	Algorithm string `json:"algorithm,omitempty"`
	Key       string `json:"key,omitempty"` // PEM, of the certificate if there is one
	Kid       string `json:"kid,omitempty"`
	OIDC      bool   `json:"oidc,omitempty"` // by the other document

	Certificate string            `json:"certificate,omitempty"`
	Credentials string            `json:"credentials,omitempty"` // a file of Google's form
	TokenURL    bool              `json:"token_url,omitempty"`   // is the assertion's aud
	Claims      map[string]string `json:"claims,omitempty"`
	Basic       bool              `json:"basic,omitempty"` // beyond the token endpoint, as it is by default

	DPoP      string            `json:"dpop,omitempty"`      // the algorithm of the key that tokens are bound to
	Resources map[string]string `json:"resources,omitempty"` // what is called with them, by its audience

	registered svcauth.NewKey
	refused    string // what the error must hold; empty: it is let in
}

// result is what became of a case.
type result struct {
	Name, Error, Token, Again string
	Basic                     string // what a header with Basic had in it
	Assertions, Asked         []string
	Active                    []bool // what introspection said before and after the revocation
	Types                     []string
	Statuses                  []int
}

// run has a program run the cases, in one process, and returns what became of
// each.
func (h *house) run(cases []clientCase, program ...string) map[string]result {
	h.t.Helper()
	ca, err := os.ReadFile(h.CAFile)
	require.NoError(h.t, err)
	input, err := json.Marshal(map[string]any{"issuer": h.Issuer, "ca": string(ca), "cases": cases})
	require.NoError(h.t, err)
	command := exec.CommandContext(h.t.Context(), program[0], program[1:]...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + h.t.TempDir(), "PYTHONDONTWRITEBYTECODE=1",
		"NODE_EXTRA_CA_CERTS=" + h.CAFile, "REQUESTS_CA_BUNDLE=" + h.CAFile}
	command.Stdin = bytes.NewReader(input)
	complaints := &bytes.Buffer{}
	command.Stderr = complaints
	out, err := command.Output()
	require.NoError(h.t, err, "%s\n%s", out, complaints)
	results := map[string]result{}
	for lines := json.NewDecoder(bytes.NewReader(out)); lines.More(); {
		var one result
		require.NoError(h.t, lines.Decode(&one), "%s", out)
		results[one.Name] = one
	}
	require.Len(h.t, results, len(cases), "%s\n%s", out, complaints)
	return results
}

// node has a program of Node.js run the cases.
func (h *house) node(cases []clientCase) map[string]result {
	h.t.Helper()
	dir := h.t.TempDir() // it finds its packages beside itself
	require.NoError(h.t, os.Symlink(svctest.NodeModules(h.t), filepath.Join(dir, "node_modules")))
	source, err := os.ReadFile("testdata/clients.mjs")
	require.NoError(h.t, err)
	file := filepath.Join(dir, "clients.mjs")
	require.NoError(h.t, os.WriteFile(file, source, 0o600))
	return h.run(cases, "node", file)
}

// register makes an account of the case's own that its key proves.
func (h *house) register(it *clientCase) {
	h.t.Helper()
	private := h.keys[it.Algorithm]
	public, err := jwk.Of(private.Public())
	require.NoError(h.t, err)
	public.Kid = it.Kid
	it.registered.JWK, err = json.Marshal(public)
	require.NoError(h.t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(h.t, err)
	it.Key = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	account := h.Account(it.Name, privilege)
	it.ClientID = account.ID
	_, err = h.App.Access.CreateKey(h.System(), account.ID, it.registered)
	require.NoError(h.t, err)
}

// walked checks that a client got its token, saw it live, and revoked it.
func walked(t *testing.T, it clientCase, got result) {
	t.Helper()
	require.Empty(t, got.Error)
	require.Equal(t, it.ClientID, part(t, got.Token, 1)["client_id"])
	require.Equal(t, []bool{true, false}, got.Active, "what introspection says before and after revocation")
}

// part returns the header (0) or the claims (1) of a token.
func part(t *testing.T, token string, index int) (members map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	raw, err := base64.RawURLEncoding.DecodeString(parts[index])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &members))
	return members
}

// shape is what there is to know of a client's assertions.
type shape struct {
	header map[string]any
	aud    any
	life   time.Duration
}

// signed checks that each request had an assertion of its own, and returns how
// they look.
func signed(t *testing.T, it clientCase, got result) (last shape) {
	t.Helper()
	require.Len(t, got.Assertions, 4, "token, introspection, revocation, introspection")
	ids := map[any]bool{}
	for _, assertion := range got.Assertions {
		header, claims := part(t, assertion, 0), part(t, assertion, 1)
		require.Equal(t, it.ClientID, claims["iss"])
		require.Equal(t, it.ClientID, claims["sub"])
		ids[claims["jti"]] = true
		seconds := claims["exp"].(float64) - claims["iat"].(float64)
		last = shape{header, claims["aud"], time.Duration(seconds) * time.Second}
	}
	require.Len(t, ids, 4, "each assertion has a jti of its own")
	return last
}
