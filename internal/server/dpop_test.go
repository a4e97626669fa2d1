package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/possession"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// prover is a service account that sends proofs.
type prover struct {
	*svctest.Server
	t       *testing.T
	account svcauth.ServiceAccount
	*possession.Maker
}

func newProver(t *testing.T, s *svctest.Server, privileges ...string) *prover {
	t.Helper()
	maker, err := possession.NewMaker(p256(t), "")
	require.NoError(t, err)
	return &prover{Server: s, t: t, account: s.Account("prover "+maker.Thumbprint()[:8], privileges...), Maker: maker}
}

// at is the same client at another node.
func (p *prover) at(node *svctest.Server) *prover {
	moved := *p
	moved.Server = node
	return &moved
}

// proof returns one for a request to this server, as it calls itself.
func (p *prover) proof(method, path, nonce, token string) string {
	p.t.Helper()
	of := possession.Of{Method: method, URL: p.Issuer + path, Nonce: nonce, Token: token, Now: time.Now()}
	text, err := p.Make(of)
	require.NoError(p.t, err)
	return text
}

// ask asks for a token with proofs; form may be nil.
func (p *prover) ask(path string, form url.Values, proofs ...string) svctest.Answer {
	p.t.Helper()
	if form == nil {
		form = url.Values{"grant_type": {"client_credentials"}}
	}
	return p.askAs(path, p.account.ClientSecret, form, proofs...)
}

func (p *prover) askAs(path string, secret svcauth.Secret, form url.Values, proofs ...string) svctest.Answer {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodPost, p.URL+path, strings.NewReader(form.Encode()))
	require.NoError(p.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if secret != "" {
		req.SetBasicAuth(p.account.ID, secret.Reveal())
	}
	for _, proof := range proofs {
		req.Header.Add("DPoP", proof)
	}
	return p.Do(req)
}

const tokenEndpoint = "/oauth2/token"

// TestBoundTokens is RFC 9449 §5: a proof binds the token to its key, and is
// judged for the URL that it was sent to.
func TestBoundTokens(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := newProver(t, s, "clusters:view")
	require.ElementsMatch(t, dpop.Algorithms(),
		s.Get("/.well-known/oauth-authorization-server", "").JSON["dpop_signing_alg_values_supported"])

	plain := p.ask(tokenEndpoint, nil)
	require.Equal(t, "Bearer", plain.JSON["token_type"])
	_, claims := claimsOf(t, s, plain.JSON["access_token"].(string))
	require.NotContains(t, claims, "cnf")

	for _, path := range []string{tokenEndpoint, "/api/1.0/token"} {
		answer := p.ask(path, nil, p.proof("POST", path, "", ""))
		require.Equal(t, http.StatusOK, answer.Status, answer.Text)
		require.Equal(t, "DPoP", answer.JSON["token_type"])
		require.Empty(t, answer.Header.Get("DPoP-Nonce"), "off by default")
		_, claims = claimsOf(t, s, answer.JSON["access_token"].(string))
		require.Equal(t, map[string]any{"jkt": p.Thumbprint()}, claims["cnf"])
	}
	for name, proofs := range map[string][]string{
		"of another endpoint": {p.proof("POST", "/oauth2/introspect", "", "")},
		"of another method":   {p.proof("GET", tokenEndpoint, "", "")},
		"two":                 {p.proof("POST", tokenEndpoint, "", ""), p.proof("POST", tokenEndpoint, "", "")},
		"nonsense":            {"nonsense"},
		"empty":               {""},
		"long":                {strings.Repeat("a", dpop.MaxProof+1)},
	} {
		answer := p.ask(tokenEndpoint, nil, proofs...)
		require.Equal(t, http.StatusBadRequest, answer.Status, name)
		require.Equal(t, "invalid_dpop_proof", answer.JSON["error"], name)
		require.NotEmpty(t, answer.JSON["error_description"])
		require.Equal(t, "no-store", answer.Header.Get("Cache-Control"))
	}
}

// A proof passes once. What is refused for another reason does not use it up,
// and nobody's proof is looked at before its client is known.
func TestProofIsUsedLast(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := newProver(t, s, "clusters:view")
	form := url.Values{"grant_type": {"client_credentials"}}
	proof := p.proof("POST", tokenEndpoint, "", "")
	wrong := svcauth.NewSecret()
	require.Equal(t, "invalid_client", p.askAs(tokenEndpoint, wrong, form, proof).JSON["error"])
	require.Equal(t, "invalid_client", p.askAs(tokenEndpoint, wrong, form, "nonsense").JSON["error"])
	narrow := url.Values{"grant_type": {"client_credentials"}, "scope": {"clusters:edit"}}
	require.Equal(t, "invalid_scope", p.ask(tokenEndpoint, narrow, proof).JSON["error"])
	require.Equal(t, http.StatusOK, p.ask(tokenEndpoint, nil, proof).Status)
	again := p.ask(tokenEndpoint, nil, proof)
	require.Equal(t, "invalid_dpop_proof", again.JSON["error"])
	require.Contains(t, again.JSON["error_description"], "used before")

	// Another client can neither use up this one's proofs nor be kept out by
	// them: its key is another.
	other := newProver(t, s, "clusters:view")
	require.Equal(t, http.StatusOK, other.ask(tokenEndpoint, nil, other.proof("POST", tokenEndpoint, "", "")).Status)
}

// TestDemandedNonces is RFC 9449 §8. An assertion is not used up by a refusal
// for want of a nonce, so that the request can be sent again as it is.
func TestDemandedNonces(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_DPOP_NONCE=required"}})
	g := newSigner(t, s, p256(t), "ES256", nil)
	p := newProver(t, s)
	p.account = g.account
	form := asserted(g.sign(nil))
	first := p.askAs(tokenEndpoint, "", form, p.proof("POST", tokenEndpoint, "", ""))
	require.Equal(t, http.StatusBadRequest, first.Status)
	require.Equal(t, "use_dpop_nonce", first.JSON["error"])
	nonce := first.Header.Get("DPoP-Nonce")
	require.NotEmpty(t, nonce)
	second := p.askAs(tokenEndpoint, "", form, p.proof("POST", tokenEndpoint, nonce, ""))
	require.Equal(t, http.StatusOK, second.Status, second.Text)
	require.Equal(t, "DPoP", second.JSON["token_type"])
	wrong := p.ask(tokenEndpoint, nil, p.proof("POST", tokenEndpoint, "mine", ""))
	require.Equal(t, "use_dpop_nonce", wrong.JSON["error"])
	require.Equal(t, http.StatusOK, p.ask(tokenEndpoint, nil).Status, "a request without a proof needs none")
}

// With dpop.replay: shared no proof passes at two nodes, nor after a restart;
// all nodes know each other's nonces; and without Redis tokens are issued on.
func TestProofsOfNodes(t *testing.T) {
	redis := redistest.Start(t)
	one := svctest.New(t, svctest.Options{Postgres: true, RedisURL: redis.URL(),
		Environ: []string{"SVCAUTH_DPOP_NONCE=optional", "SVCAUTH_DPOP_REPLAY=shared"}})
	two := one.Node()
	p := newProver(t, one, "clusters:view")
	proof := p.proof("POST", tokenEndpoint, "", "")
	answer := p.ask(tokenEndpoint, nil, proof)
	require.Equal(t, http.StatusOK, answer.Status, answer.Text)
	nonce := answer.Header.Get("DPoP-Nonce")
	require.NotEmpty(t, nonce)
	refused := p.at(two).ask(tokenEndpoint, nil, proof)
	require.Equal(t, "invalid_dpop_proof", refused.JSON["error"], refused.Text)
	withNonce := p.proof("POST", tokenEndpoint, nonce, "")
	require.Equal(t, http.StatusOK, p.at(two).ask(tokenEndpoint, nil, withNonce).Status)
	require.Equal(t, "invalid_dpop_proof", p.ask(tokenEndpoint, nil, withNonce).JSON["error"])
	two.Stop()
	two.Start()
	require.Equal(t, "invalid_dpop_proof", p.at(two).ask(tokenEndpoint, nil, proof).JSON["error"])
	redis.Kill()
	fresh := p.proof("POST", tokenEndpoint, "", "")
	require.Equal(t, http.StatusOK, p.ask(tokenEndpoint, nil, fresh).Status)
	require.Equal(t, "invalid_dpop_proof", p.ask(tokenEndpoint, nil, fresh).JSON["error"])
}
