package server_test

import (
	"bufio"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// token returns a token that is bound to the prover's key; a resource may be
// empty.
func (p *prover) token(resource string) string {
	p.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}}
	if resource != "" {
		form.Set("resource", resource)
	}
	answer := p.ask(tokenEndpoint, form, p.proof("POST", tokenEndpoint, "", ""))
	require.Equal(p.t, http.StatusOK, answer.Status, answer.Text)
	require.Equal(p.t, "DPoP", answer.JSON["token_type"])
	return answer.JSON["access_token"].(string)
}

// call sends a request with a token by a scheme, and proofs.
func (p *prover) call(method, path, scheme, token, body string, proofs ...string) svctest.Answer {
	p.t.Helper()
	req, err := http.NewRequest(method, p.URL+path, strings.NewReader(body))
	require.NoError(p.t, err)
	req.Header.Set("Authorization", scheme+" "+token)
	if req.Header.Set("Content-Type", "application/json"); strings.HasPrefix(path, "/oauth2/introspect") {
		req.Header.Set("Content-Type", formType)
	}
	for _, proof := range proofs {
		req.Header.Add("DPoP", proof)
	}
	return p.Do(req)
}

// refusedCall requires the one challenge of RFC 9449 §7.1.
func refusedCall(t *testing.T, a svctest.Answer, code string) {
	t.Helper()
	require.Equal(t, http.StatusUnauthorized, a.Status, a.Text)
	challenges := a.Header.Values("WWW-Authenticate")
	require.Len(t, challenges, 1)
	require.True(t, strings.HasPrefix(challenges[0], "DPoP "), challenges[0])
	require.Contains(t, challenges[0], `error="`+code+`"`)
	require.Contains(t, challenges[0], `algs="ES256 `)
	require.NotContains(t, challenges[0], "Bearer realm")
}

// TestOwnEndpointsTakeBoundTokens: /v1, introspection and the feed follow the
// rules of a resource server (RFC 9449 §7).
func TestOwnEndpointsTakeBoundTokens(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_DPOP_NONCE=optional"}})
	p := newProver(t, s, svcauth.MembersRead, svcauth.TokensIntrospect)
	other := newProver(t, s)
	token := p.token(s.Issuer)
	for _, c := range []struct{ method, path, proven, body string }{
		{method: "GET", path: "/v1/service-accounts?limit=1", proven: "/v1/service-accounts"},
		{method: "HEAD", path: "/v1/me", proven: "/v1/me"},
		{method: "POST", path: "/oauth2/introspect", proven: "/oauth2/introspect", body: "token=" + token},
		{method: "GET", path: "/oauth2/revocations", proven: "/oauth2/revocations"},
		{method: "POST", path: "/oauth2/revocations/ack", proven: "/oauth2/revocations/ack", body: `{"cursor":"0"}`},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			good := p.proof(c.method, c.proven, "", token)
			answer := p.call(c.method, c.path, "DPoP", token, c.body, good)
			require.Less(t, answer.Status, 300, answer.Text)
			require.NotEmpty(t, answer.Header.Get("DPoP-Nonce"))
			refusedCall(t, p.call(c.method, c.path, "DPoP", token, c.body, good), "invalid_dpop_proof")
			for _, wrong := range [][]string{
				nil,
				{p.proof(c.method, c.proven, "", "")},
				{p.proof(c.method, tokenEndpoint, "", token)},
				{p.proof("PUT", c.proven, "", token)},
				{p.proof(c.method, c.proven, "", token), p.proof(c.method, c.proven, "", token)},
			} {
				refusedCall(t, p.call(c.method, c.path, "DPoP", token, c.body, wrong...), "invalid_dpop_proof")
			}
			refusedCall(t, p.call(c.method, c.path, "DPoP", token, c.body, other.proof(c.method, c.proven, "", token)),
				"invalid_token")
			refusedCall(t, p.call(c.method, c.path, "Bearer", token, c.body), "invalid_token")
			refusedCall(t, p.call(c.method, c.path, "Bearer", token, c.body,
				p.proof(c.method, c.proven, "", token)), "invalid_token")
			refusedCall(t, p.call(c.method, c.path, "DPoP", "nonsense", c.body,
				p.proof(c.method, c.proven, "", "nonsense")), "invalid_token")
			needs := p.call(c.method, c.path, "DPoP", token, c.body, p.proof(c.method, c.proven, "mine", token))
			refusedCall(t, needs, "use_dpop_nonce")
			answer = p.call(c.method, c.path, "DPoP", token, c.body,
				p.proof(c.method, c.proven, needs.Header.Get("DPoP-Nonce"), token))
			require.Less(t, answer.Status, 300, answer.Text)
		})
	}
	// A plain token goes by Bearer alone.
	plain := s.OwnToken(p.account.ID, p.account.ClientSecret)
	require.Equal(t, http.StatusOK, p.call("GET", "/v1/me", "Bearer", plain, "").Status)
	unbound := p.call("GET", "/v1/me", "DPoP", plain, "", p.proof("GET", "/v1/me", "", plain))
	require.Equal(t, http.StatusUnauthorized, unbound.Status)
	require.Len(t, unbound.Header.Values("WWW-Authenticate"), 1)
}

// TestIntrospectionOfBoundTokens is RFC 9449 §6.2; `explain` says it, too.
func TestIntrospectionOfBoundTokens(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := newProver(t, s, "clusters:view")
	form := url.Values{"token": {p.token("")}}
	answer := s.Post("/oauth2/introspect", p.account.ID, p.account.ClientSecret, form).JSON
	require.Equal(t, true, answer["active"])
	require.Equal(t, "DPoP", answer["token_type"])
	require.Equal(t, map[string]any{"jkt": p.Thumbprint()}, answer["cnf"])
	require.Contains(t, explainedToken(t, s, form.Get("token")), "bound to the key "+p.Thumbprint())
	form.Set("token", s.Token(p.account.ID, p.account.ClientSecret, ""))
	answer = s.Post("/oauth2/introspect", p.account.ID, p.account.ClientSecret, form).JSON
	require.Equal(t, "Bearer", answer["token_type"])
	require.NotContains(t, answer, "cnf")
	require.NotContains(t, explainedToken(t, s, form.Get("token")), "bound to")
}

// explainedToken returns what is said of a token.
func explainedToken(t *testing.T, s *svctest.Server, token string) (text string) {
	t.Helper()
	e, err := s.App.Token.Explain(s.System(), svcauth.ExplainRequest{Token: token})
	require.NoError(t, err)
	for _, step := range e.Steps {
		text += step.Detail + "\n"
	}
	return text
}

// A stream is opened by one proof, and goes on while its token is good.
func TestStreamOfABoundToken(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := newProver(t, s, svcauth.TokensIntrospect)
	token := p.token(s.Issuer)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/oauth2/revocations", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "DPoP "+token)
	req.Header.Set("DPoP", p.proof("GET", "/oauth2/revocations", "", token))
	req.Header.Set("Accept", "text/event-stream")
	stream := *s.HTTP
	stream.Timeout = 0
	resp, err := stream.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	beats := 0
	for lines := bufio.NewScanner(resp.Body); beats < 2 && lines.Scan(); {
		if lines.Text() == "event: heartbeat" {
			beats++
		}
	}
	require.Equal(t, 2, beats, "it is still open after its token was looked at again")
}

// Behind an issuer with a path, proofs are for what the caller sees, whether or
// not a proxy takes the path away.
func TestProofsBelowAPath(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_ISSUER=http://127.0.0.1:1/auth"}})
	p := newProver(t, s, svcauth.MembersRead)
	token := p.token(s.Issuer)
	for _, path := range []string{"/v1/me", "/auth/v1/me"} {
		answer := p.call("GET", path, "DPoP", token, "", p.proof("GET", "/v1/me", "", token))
		require.Equal(t, http.StatusOK, answer.Status, answer.Text)
	}
}
