package resourceserver_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/possession"
	"github.com/svcauth/svcauth/internal/svctest/certtest"
	"github.com/svcauth/svcauth/internal/svctest/prooftest"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/resourceserver/ginauth"
)

// face is a way to put a Verifier before a handler that answers 200.
type face func(v *resourceserver.Verifier, privileges ...string) http.Handler

// throughEach runs a test with each middleware that there is.
func throughEach(t *testing.T, test func(t *testing.T, guard face)) {
	gin.SetMode(gin.ReleaseMode)
	for name, guard := range map[string]face{
		"net/http": func(v *resourceserver.Verifier, privileges ...string) http.Handler {
			return v.Require(privileges...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				p, _ := resourceserver.PrincipalFrom(r.Context())
				_, _ = io.WriteString(w, p.Subject)
			}))
		},
		"gin": func(v *resourceserver.Verifier, privileges ...string) http.Handler {
			router := gin.New()
			router.Any("/*any", ginauth.Require(v, privileges...), func(c *gin.Context) {
				p, _ := ginauth.PrincipalFrom(c)
				c.String(http.StatusOK, p.Subject)
			})
			return router
		},
	} {
		t.Run(name, func(t *testing.T) { test(t, guard) })
	}
}

// prover is a caller with a token that is bound to its key.
type prover struct {
	*possession.Maker
	t     testing.TB
	url   string // of the API
	token string
	http  *http.Client
}

// proofOf is what a proof is made of.
type proofOf = possession.Of

func newMaker(t testing.TB) *possession.Maker {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	maker, err := possession.NewMaker(key, "")
	require.NoError(t, err)
	return maker
}

// newProver starts an API and returns a caller of it.
func newProver(t *testing.T, guard face, edit func(*resourceserver.Config)) *prover {
	s, maker := resourceserver.NewSigner(t), newMaker(t)
	api := httptest.NewServer(guard(resourceserver.VerifierOf(t, s, edit), "clusters:view"))
	t.Cleanup(api.Close)
	return &prover{maker, t, api.URL, s.Token(t, map[string]any{"cnf": map[string]any{"jkt": maker.Thumbprint()}}),
		api.Client()}
}

const somewhere = "/clusters/1"

// proof returns one for a GET of somewhere, after edit.
func (p *prover) proof(edit func(*proofOf)) string {
	of := possession.Of{Method: "GET", URL: p.url + somewhere, Token: p.token, Now: time.Now()}
	if edit != nil {
		edit(&of)
	}
	text, err := p.Make(of)
	require.NoError(p.t, err)
	return text
}

// get asks for somewhere, and requires exactly one challenge of a refusal.
func (p *prover) get(edit func(*http.Request), proofs ...string) (status int, challenge, nonce string) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, p.url+somewhere+"?x=y", nil)
	require.NoError(p.t, err)
	req.Header.Set("Authorization", "DPoP "+p.token)
	for _, proof := range proofs {
		req.Header.Add("DPoP", proof)
	}
	if edit != nil {
		edit(req)
	}
	resp, err := p.http.Do(req)
	require.NoError(p.t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		require.Equal(p.t, "sa_1", string(body))
		require.Empty(p.t, resp.Header.Values("WWW-Authenticate"))
	} else {
		require.Equal(p.t, "application/json", resp.Header.Get("Content-Type"))
		require.NotContains(p.t, string(body), "sa_1", "the handler did not run")
		require.Len(p.t, resp.Header.Values("WWW-Authenticate"), 1)
	}
	return resp.StatusCode, resp.Header.Get("WWW-Authenticate"), resp.Header.Get("DPoP-Nonce")
}

// TestEachCheckOfAProof runs the whole table of RFC 9449 §4.3 through each
// middleware.
func TestEachCheckOfAProof(t *testing.T) {
	throughEach(t, func(t *testing.T, guard face) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		s, p := resourceserver.NewSigner(t), &prover{t: t, http: http.DefaultClient}
		p.Maker, err = possession.NewMaker(key, "")
		require.NoError(t, err)
		p.token = s.Token(t, map[string]any{"cnf": map[string]any{"jkt": p.Thumbprint()}})
		api := httptest.NewServer(guard(resourceserver.VerifierOf(t, s, nil), "clusters:view"))
		defer api.Close()
		p.url = api.URL
		for _, c := range prooftest.Cases(t, prooftest.Target{Key: key, Method: http.MethodGet,
			URL: resourceserver.TestAudience + somewhere, Token: p.token, Now: time.Now}) {
			t.Run(c.Name, func(t *testing.T) {
				status, challenge, _ := p.get(nil, c.Proofs()...)
				if c.Code == "" {
					require.Equal(t, http.StatusOK, status, challenge)
					return
				}
				require.Equal(t, http.StatusUnauthorized, status)
				require.Contains(t, challenge, `error="`+c.Code+`"`)
			})
		}
	})
}

// TestBoundToken is RFC 9449 §7: how a bound token and its proof are sent.
func TestBoundToken(t *testing.T) {
	throughEach(t, func(t *testing.T, guard face) {
		p := newProver(t, guard, nil)
		for _, c := range boundCases(t, p) {
			t.Run(c.name, func(t *testing.T) {
				status, challenge, _ := p.get(c.edit, c.proofs...)
				if c.code == "" {
					require.Equal(t, http.StatusOK, status, challenge)
					return
				}
				require.Equal(t, http.StatusUnauthorized, status)
				if c.code == "-" { // no token came: no error either (RFC 6750 §3.1)
					require.True(t, strings.HasPrefix(challenge, "Bearer "), challenge)
					require.NotContains(t, challenge, "error=")
					return
				}
				require.True(t, strings.HasPrefix(challenge, "DPoP "), challenge)
				require.NotContains(t, challenge, "Bearer realm")
				require.Contains(t, challenge, `error="`+c.code+`"`)
				require.Contains(t, challenge, `algs="ES256 `)
			})
		}
	})
}

// boundCase is a request with a bound token.
type boundCase struct {
	name   string
	edit   func(*http.Request)
	proofs []string
	code   string // of the challenge; empty: it passes
}

func boundCases(t *testing.T, p *prover) []boundCase {
	other := newMaker(t)
	plain := resourceserver.NewSigner(t)
	used := p.proof(nil)
	return []boundCase{
		{name: "right", proofs: []string{used}},
		{name: "used before", proofs: []string{used}, code: "invalid_dpop_proof"},
		{name: "the field in capitals", edit: func(r *http.Request) {
			r.Header["DPOP"] = r.Header["Dpop"]
			delete(r.Header, "Dpop")
		}, proofs: []string{p.proof(nil)}},
		{name: "the scheme in capitals", edit: func(r *http.Request) {
			r.Header.Set("Authorization", "DPOP "+p.token)
		}, proofs: []string{p.proof(nil)}},
		{name: "no proof", code: "invalid_dpop_proof"},
		{name: "two proofs", proofs: []string{p.proof(nil), p.proof(nil)}, code: "invalid_dpop_proof"},
		{name: "as a bearer token", edit: func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+p.token)
		}, proofs: []string{p.proof(nil)}, code: "invalid_token"},
		{name: "as a bearer token, no proof", edit: func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+p.token)
		}, code: "invalid_token"},
		{name: "the token as a bearer token, too", edit: func(r *http.Request) {
			r.Header.Add("Authorization", "Bearer "+p.token)
		}, proofs: []string{p.proof(nil)}, code: "-"},
		{name: "another key", proofs: []string{(&prover{Maker: other, t: t, url: p.url, token: p.token}).proof(nil)},
			code: "invalid_token"},
		{name: "another token's", proofs: []string{p.proof(func(o *proofOf) { o.Token = "a.b.c" })},
			code: "invalid_dpop_proof"},
		{name: "no token's", proofs: []string{p.proof(func(o *proofOf) { o.Token = "" })}, code: "invalid_dpop_proof"},
		{name: "another method", proofs: []string{p.proof(func(o *proofOf) { o.Method = "PUT" })},
			code: "invalid_dpop_proof"},
		{name: "another path", proofs: []string{p.proof(func(o *proofOf) { o.URL = p.url + "/other" })},
			code: "invalid_dpop_proof"},
		{name: "an hour old", proofs: []string{p.proof(func(o *proofOf) { o.Now = o.Now.Add(-time.Hour) })},
			code: "invalid_dpop_proof"},
		{name: "the audience's URL",
			proofs: []string{p.proof(func(o *proofOf) { o.URL = resourceserver.TestAudience + somewhere })}},
		{name: "the Host of who was sent the proof", edit: func(r *http.Request) { r.Host = "evil.example" },
			proofs: []string{p.proof(func(o *proofOf) { o.URL = "http://evil.example" + somewhere })},
			code:   "invalid_dpop_proof"},
		{name: "another API of this machine", edit: func(r *http.Request) { r.Host = "127.0.0.1:1" },
			proofs: []string{p.proof(func(o *proofOf) { o.URL = "http://127.0.0.1:1" + somewhere })},
			code:   "invalid_dpop_proof"},
		{name: "what a path has after a #", edit: func(r *http.Request) { r.URL.Opaque = somewhere + "#/../2" },
			proofs: []string{p.proof(nil)}, code: "invalid_dpop_proof"},
		{name: "no token", edit: func(r *http.Request) { r.Header.Del("Authorization") }, code: "-"},
		{name: "two tokens", edit: func(r *http.Request) { r.Header.Add("Authorization", "DPoP "+p.token) }, code: "-"},
		{name: "a broken token", edit: func(r *http.Request) { r.Header.Set("Authorization", "DPoP x") },
			proofs: []string{p.proof(nil)}, code: "invalid_token"},
		{name: "a forged token", edit: func(r *http.Request) {
			r.Header.Set("Authorization", "DPoP "+plain.Token(t, nil))
		}, proofs: []string{p.proof(nil)}, code: "invalid_token"},
	}
}

// A token that is not bound goes as ever, and only by Bearer; what it would be
// bound to in ways that nobody here can check is no bearer token.
func TestPlainTokenBesideBoundOnes(t *testing.T) {
	throughEach(t, func(t *testing.T, guard face) {
		s := resourceserver.NewSigner(t)
		v := resourceserver.VerifierOf(t, s, nil)
		api := guard(v)
		ask := func(header string, claims map[string]any) (int, string) {
			r, w := httptest.NewRequest(http.MethodGet, somewhere, nil), httptest.NewRecorder()
			r.Header.Set("Authorization", header+" "+s.Token(t, claims))
			api.ServeHTTP(w, r)
			return w.Code, w.Body.String()
		}
		status, _ := ask("Bearer", nil)
		require.Equal(t, http.StatusOK, status)
		status, said := ask("DPoP", nil)
		require.Equal(t, http.StatusUnauthorized, status)
		require.Contains(t, said, "not bound to a key")
		for _, cnf := range []any{map[string]any{"kid": "x"}, map[string]any{}, "x"} {
			status, _ = ask("Bearer", map[string]any{"cnf": cnf})
			require.Equal(t, http.StatusUnauthorized, status)
		}
		_, err := v.Verify(t.Context(), s.Token(t, map[string]any{"cnf": map[string]any{"jkt": "x"}}))
		require.ErrorContains(t, err, "bound", "a token alone proves nothing")
	})
}

func TestProofNonces(t *testing.T) {
	throughEach(t, func(t *testing.T, guard face) {
		for _, mode := range []resourceserver.ProofNonces{
			resourceserver.NoncesOptional, resourceserver.NoncesRequired,
		} {
			t.Run(string(mode), func(t *testing.T) {
				p := newProver(t, guard, func(c *resourceserver.Config) { c.ProofNonces = mode })
				status, challenge, nonce := p.get(nil, p.proof(nil))
				if mode == resourceserver.NoncesRequired {
					require.Equal(t, http.StatusUnauthorized, status)
					require.Contains(t, challenge, `error="use_dpop_nonce"`)
				} else {
					require.Equal(t, http.StatusOK, status)
				}
				require.NotEmpty(t, nonce)
				late := func(o *proofOf) { o.Nonce, o.Now = nonce, o.Now.Add(-time.Hour) }
				status, _, _ = p.get(nil, p.proof(late))
				require.Equal(t, http.StatusOK, status, "with a nonce the clocks need not agree")
				status, challenge, nonce = p.get(nil, p.proof(func(o *proofOf) { o.Nonce = "mine" }))
				require.Equal(t, http.StatusUnauthorized, status)
				require.Contains(t, challenge, `error="use_dpop_nonce"`)
				require.NotEmpty(t, nonce)
			})
		}
	})
}

// A proxy that takes a part of the path away and writes a Host of its own: the
// proof is for what the caller sees.
func TestExternalURL(t *testing.T) {
	throughEach(t, func(t *testing.T, guard face) {
		var front *httptest.Server
		s, maker := resourceserver.NewSigner(t), newMaker(t)
		api := httptest.NewUnstartedServer(nil)
		front = httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: api.Listener.Addr().String()})
			r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, "/cloud")
			r.Out.URL.RawPath = ""
			r.Out.Host = "internal.example"
		}})
		defer front.Close()
		v := resourceserver.VerifierOf(t, s, func(c *resourceserver.Config) {
			c.ExternalURL = front.URL + "/cloud"
		})
		mux := http.NewServeMux()
		mux.Handle("/clusters/", http.StripPrefix("/clusters", guard(v)))
		api.Config.Handler = mux
		api.Start()
		defer api.Close()
		token := s.Token(t, map[string]any{"cnf": map[string]any{"jkt": maker.Thumbprint()}})
		p := &prover{maker, t, front.URL + "/cloud", token, front.Client()}
		status, challenge, _ := p.get(nil, p.proof(nil))
		require.Equal(t, http.StatusOK, status, challenge)
		status, _, _ = p.get(nil, p.proof(func(o *proofOf) { o.URL = front.URL + somewhere }))
		require.Equal(t, http.StatusUnauthorized, status)
		status, _, _ = p.get(nil, p.proof(func(o *proofOf) { o.URL = resourceserver.TestAudience + somewhere }))
		require.Equal(t, http.StatusUnauthorized, status, "what is configured counts alone")
	})
}

// TestImpossibleExternalURL: what no proof can ever be for is told at the
// start, and not to each caller.
func TestImpossibleExternalURL(t *testing.T) {
	for wrong, fault := range map[string]string{
		"api.example.com": "is not an address", "https://api.example.com/": "ends with a slash",
		"ftp://x":             "is not an address",
		"https://a.example?x": "has a query", "https://a.example#x": "has a fragment", "https://": "is not an address",
		"https://a.example:0": "names a port", "https://a.example:65536": "names a port",
		"https://a.example:99999": "names a port", "https://a.example:abc": "names a port",
		"https://a.example:0443": "names a port", "https://a.example/x/..": "has a part . or ..",
		"https://a.example/./x": "has a part . or ..", "https://me@a.example": "holds a user name",
	} {
		_, err := resourceserver.New(resourceserver.Config{
			Issuer: resourceserver.TestIssuer, Audience: resourceserver.TestAudience, ExternalURL: wrong})
		require.ErrorContains(t, err, "ExternalURL "+fault, wrong)
	}
}

// TestCertificateBoundToken is RFC 8705 §3: the certificate of the caller's own
// connection counts, and no other.
func TestCertificateBoundToken(t *testing.T) {
	throughEach(t, func(t *testing.T, guard face) {
		s := resourceserver.NewSigner(t)
		api := httptest.NewUnstartedServer(guard(resourceserver.VerifierOf(t, s, nil)))
		api.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
		api.StartTLS()
		defer api.Close()
		mine, other := certtest.SelfSigned(t, nil), certtest.SelfSigned(t, nil)
		token := s.Token(t, map[string]any{
			"cnf": map[string]any{"x5t#S256": dpop.CertificateThumbprint(mine.Leaf)}})
		ask := func(scheme string, shown ...tls.Certificate) (int, []string) {
			client := api.Client()
			transport := client.Transport.(*http.Transport).Clone()
			transport.TLSClientConfig.Certificates = shown
			defer transport.CloseIdleConnections()
			req, err := http.NewRequest(http.MethodGet, api.URL, nil)
			require.NoError(t, err)
			req.Header.Set("Authorization", scheme+" "+token)
			resp, err := (&http.Client{Transport: transport}).Do(req)
			require.NoError(t, err)
			resp.Body.Close()
			return resp.StatusCode, resp.Header.Values("WWW-Authenticate")
		}
		status, _ := ask("Bearer", mine)
		require.Equal(t, http.StatusOK, status)
		for name, shown := range map[string][]tls.Certificate{"another": {other}, "none": nil} {
			status, challenges := ask("Bearer", shown...)
			require.Equal(t, http.StatusUnauthorized, status, name)
			require.Len(t, challenges, 1)
			require.Contains(t, challenges[0], `error="invalid_token"`)
		}
		status, _ = ask("DPoP", mine)
		require.Equal(t, http.StatusUnauthorized, status)
	})
}
