package bench_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/url"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/svcauth/svcauth/internal/app"
	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	// keyVariable is the public key, as PEM, that each account of the server
	// has, and trusts as another issuer's. The bare server verifies an
	// assertion by it.
	keyVariable = "BENCH_KEY"
	// algVariable is the algorithm of the assertions that the bare server gets.
	algVariable = "BENCH_ALG"

	assertionAccounts = 100                     // of one client at most 10,000 assertions may be live
	assertionsEach    = 5000                    // a window
	settles           = 1500 * time.Millisecond // what a request leaves to be written a second later is its own
	benchIssuer       = "http://127.0.0.1:8080"
	foreignIssuer     = "https://issuer.example"
	foreignSubject    = "repo:acme/deploy:environment:production"
)

// assertions are those that a benchmark sends: made before, because that costs
// as much as what is measured.
type assertions struct {
	method  jwt.SigningMethod
	private crypto.Signer
	public  string // as PEM
}

func newAssertions(b *testing.B, alg string) *assertions {
	b.Helper()
	a := &assertions{method: jwt.GetSigningMethod(alg)}
	var err error
	switch alg {
	case "ES256":
		a.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, a.private, err = ed25519.GenerateKey(rand.Reader)
	case "RS256":
		a.private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	require.NoError(b, err)
	der, err := x509.MarshalPKIXPublicKey(a.private.Public())
	require.NoError(b, err)
	a.public = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	return a
}

// sign returns the form of a token request with an assertion.
func (a *assertions) sign(b *testing.B, issuer, subject, clientID string) string {
	b.Helper()
	now := time.Now()
	text, err := jwt.NewWithClaims(a.method, jwt.MapClaims{
		"iss": issuer, "sub": subject, "aud": benchIssuer, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(4 * time.Minute).Unix(),
	}).SignedString(a.private)
	if err != nil {
		b.Error(err) // not on the benchmark's goroutine
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {clientauth.AssertionJWT},
		"client_assertion": {text}}
	if clientID != "" {
		form.Set("client_id", clientID)
	}
	return form.Encode()
}

// requests returns count token requests, made by all processors, each with an
// assertion of its own.
func (a *assertions) requests(b *testing.B, count int, form func(n int) string) [][]byte {
	b.Helper()
	made := make([][]byte, count)
	var next atomic.Int64
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			for n := next.Add(1) - 1; n < int64(count); n = next.Add(1) - 1 {
				made[n] = postForm("/oauth2/token", form(int(n)))
			}
			return nil
		})
	}
	require.NoError(b, group.Wait())
	return made
}

// BenchmarkAssertion is the warm token endpoint for clients without a secret,
// beside one with a secret. over-bare is what an assertion costs more than the
// secret, in what one verified by golang-jwt costs a bare handler more.
func BenchmarkAssertion(b *testing.B) {
	for _, alg := range []string{"ES256", "EdDSA", "RS256"} {
		b.Run("private_key_jwt "+alg, func(b *testing.B) {
			a := newAssertions(b, alg)
			a.against(b, func(p *process, n int) string {
				id := p.Accounts[n%len(p.Accounts)].ID
				return a.sign(b, id, id, "")
			})
		})
	}
	b.Run("private_key_jwt ES256, postgresql and redis", func(b *testing.B) {
		a := newAssertions(b, "ES256")
		a.against(b, func(p *process, n int) string {
			id := p.Accounts[n%len(p.Accounts)].ID
			return a.sign(b, id, id, "")
		}, "SVCAUTH_DATABASE_URL="+pgtest.URL(b), "SVCAUTH_REDIS_URL="+redistest.URL(b))
	})
	b.Run("federated ES256", func(b *testing.B) {
		a := newAssertions(b, "ES256")
		a.against(b, func(p *process, n int) string {
			return a.sign(b, foreignIssuer, foreignSubject, p.Accounts[n%len(p.Accounts)].ID)
		})
	})
}

// against measures in turn: a secret and an assertion at ours, a bare handler
// that signs, and one that verifies an assertion first.
func (a *assertions) against(b *testing.B, form func(p *process, n int) string, environ ...string) {
	b.Helper()
	ours, bare := start(b, assertionAccounts,
		append(environ, keyVariable+"="+a.public, "SVCAUTH_ISSUER="+benchIssuer)...)
	verifier := startProcess(b, "bare", "BENCH_SIZE=900", keyVariable+"="+a.public, algVariable+"="+a.method.Alg())
	secret := post("/oauth2/token", ours.Accounts[0], tokenForm)
	var bySecret, byAssertion, signs, verifies figure
	run := func(f *figure, p *process, requests [][]byte) {
		f.add(b, p, func() int64 {
			defer time.Sleep(settles)
			return load(b, p.Addr, time.Minute, func(n int64) []byte {
				if n >= assertionsEach {
					return nil
				}
				return requests[n%int64(len(requests))]
			}, nil)
		})
	}
	round := func() {
		fresh := a.requests(b, assertionsEach, func(n int) string { return form(ours, n) })
		run(&byAssertion, ours, fresh)
		run(&verifies, verifier, fresh)
		run(&bySecret, ours, [][]byte{secret})
		run(&signs, bare, [][]byte{secret})
	}
	round() // warm up
	bySecret, byAssertion, signs, verifies = figure{}, figure{}, figure{}, figure{}
	for b.Loop() {
		for range rounds {
			round()
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bySecret.cpuEach()/signs.cpuEach(), "secret-ratio")
	b.ReportMetric(byAssertion.cpuEach()/signs.cpuEach(), "cpu-ratio")
	b.ReportMetric((byAssertion.cpuEach()-bySecret.cpuEach())/(verifies.cpuEach()-signs.cpuEach()), "over-bare")
	b.Logf("processor time: secret %.1f us, assertion %.1f us; bare %.1f us, with an assertion verified %.1f us",
		bySecret.cpuEach()*1e6, byAssertion.cpuEach()*1e6, signs.cpuEach()*1e6, verifies.cpuEach()*1e6)
}

// addCredentials gives an account the public key as its own, and as the one of
// an issuer that it trusts.
func addCredentials(ctx context.Context, a *app.App, account, public string) error {
	if _, err := a.Access.CreateKey(ctx, account, svcauth.NewKey{PEM: public}); err != nil {
		return err
	}
	key, err := parsePublic(public)
	if err != nil {
		return err
	}
	one, err := jwk.Of(key)
	if err != nil {
		return err
	}
	set, err := json.Marshal(map[string]any{"keys": []any{one}})
	if err != nil {
		return err
	}
	_, err = a.Access.CreateFederatedCredential(ctx, account, svcauth.NewFederatedCredential{
		Name: "bench", Issuer: foreignIssuer, Subject: foreignSubject, Audience: benchIssuer, JWKS: set,
	})
	return err
}

func parsePublic(public string) (crypto.PublicKey, error) {
	block, _ := pem.Decode([]byte(public))
	if block == nil {
		return nil, fmt.Errorf("no PEM: %q", public)
	}
	return x509.ParsePKIXPublicKey(block.Bytes)
}

// bareVerify verifies an assertion by golang-jwt, if the bare server is to.
func bareVerify() (func(text string) error, error) {
	public := os.Getenv(keyVariable)
	if public == "" {
		return func(string) error { return nil }, nil
	}
	key, err := parsePublic(public)
	if err != nil {
		return nil, err
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{os.Getenv(algVariable)}), jwt.WithAudience(benchIssuer),
		jwt.WithExpirationRequired())
	return func(text string) error {
		_, err := parser.ParseWithClaims(text, &jwt.RegisteredClaims{},
			func(*jwt.Token) (any, error) { return key, nil })
		return err
	}, nil
}
