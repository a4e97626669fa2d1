package server_test

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/certtest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// rebind sets what the tokens of the prover's account must be bound to.
func (p *prover) rebind(binding string) {
	p.t.Helper()
	changed, err := p.Admin().UpdateServiceAccount(p.t.Context(), p.account.ID, 0,
		svcauth.ServiceAccountPatch{TokenBinding: &binding}, 0)
	require.NoError(p.t, err)
	require.Equal(p.t, binding, changed.TokenBinding)
}

// TestTokenBinding: what an account's token_binding demands is refused with a
// clear word if it is missing, and a certificate binds only where the account
// says so (RFC 8705 §3).
func TestTokenBinding(t *testing.T) {
	m := newMutual(t)
	pair := certtest.SelfSigned(t, nil)
	p := newProver(t, m.Server, "clusters:view")
	metadata := m.Get("/.well-known/oauth-authorization-server", "").JSON
	require.Equal(t, true, metadata["tls_client_certificate_bound_access_tokens"])
	thumbprint := dpop.CertificateThumbprint(pair.Leaf)
	const without, key, certificate, both = "", "jkt", "x5t#S256", "jkt x5t#S256"
	ask := func(pair *tls.Certificate, withProof bool) svctest.Answer {
		at, proofs := p, []string(nil)
		if pair != nil {
			at = p.at(m.showing(t, pair))
		}
		if withProof {
			proofs = []string{p.proof("POST", tokenEndpoint, "", "")}
		}
		return at.ask(tokenEndpoint, nil, proofs...)
	}
	for _, c := range []struct {
		binding         string
		withCertificate bool
		withProof       bool
		refused         bool
		bound           string
	}{
		{binding: "none", bound: without},
		{binding: "none", withCertificate: true, bound: without},
		{binding: "none", withProof: true, bound: key},
		{binding: "any", refused: true},
		{binding: "any", withCertificate: true, bound: certificate},
		{binding: "any", withProof: true, bound: key},
		{binding: "any", withCertificate: true, withProof: true, bound: key},
		{binding: "dpop", refused: true},
		{binding: "dpop", withCertificate: true, refused: true},
		{binding: "dpop", withProof: true, bound: key},
		{binding: "mtls", refused: true},
		{binding: "mtls", withProof: true, refused: true},
		{binding: "mtls", withCertificate: true, bound: certificate},
		{binding: "mtls", withCertificate: true, withProof: true, bound: both},
	} {
		p.rebind(c.binding)
		var shown *tls.Certificate
		if c.withCertificate {
			shown = &pair
		}
		answer := ask(shown, c.withProof)
		if c.refused {
			require.Equal(t, http.StatusBadRequest, answer.Status, "%+v", c)
			require.Equal(t, "invalid_request", answer.JSON["error"])
			require.Contains(t, answer.JSON["error_description"], "token_binding: "+c.binding)
			continue
		}
		require.Equal(t, http.StatusOK, answer.Status, "%+v: %s", c, answer.Text)
		_, claims := claimsOf(t, m.Server, answer.JSON["access_token"].(string))
		want := map[string]any{"jkt": p.Thumbprint(), "x5t#S256": thumbprint}
		switch c.bound {
		case without:
			require.NotContains(t, claims, "cnf", "%+v", c)
			continue
		case key:
			delete(want, "x5t#S256")
		case certificate:
			delete(want, "jkt")
		}
		require.Equal(t, want, claims["cnf"], "%+v", c)
		require.Equal(t, c.withProof, answer.JSON["token_type"] == "DPoP")
	}
}

// A token that is bound to a certificate is taken at /v1, introspection and the
// feed over that certificate alone.
func TestCertificateBoundTokenAtOwnEndpoints(t *testing.T) {
	m := newMutual(t)
	pair, other := certtest.SelfSigned(t, nil), certtest.SelfSigned(t, nil)
	p := newProver(t, m.Server, svcauth.MembersRead, svcauth.TokensIntrospect)
	p.rebind("mtls")
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {m.Issuer}}
	token := p.at(m.showing(t, &pair)).ask(tokenEndpoint, form).JSON["access_token"].(string)
	for _, at := range []struct{ method, path, body string }{
		{"GET", "/v1/me", ""}, {"GET", "/oauth2/revocations", ""}, {"POST", "/oauth2/introspect", "token=" + token},
	} {
		for shown, status := range map[*tls.Certificate]int{
			&pair: http.StatusOK, &other: http.StatusUnauthorized, nil: http.StatusUnauthorized,
		} {
			answer := p.at(m.showing(t, shown)).call(at.method, at.path, "Bearer", token, at.body)
			require.Equal(t, status, answer.Status, "%s: %s", at.path, answer.Text)
			if status != http.StatusOK {
				require.Len(t, answer.Header.Values("WWW-Authenticate"), 1)
				require.Contains(t, answer.Header.Get("WWW-Authenticate"), "Bearer ")
				require.Contains(t, answer.Header.Get("WWW-Authenticate"), "client certificate")
			}
		}
		require.Equal(t, http.StatusUnauthorized, p.call(at.method, at.path, "Bearer", token, at.body).Status,
			"the other listener asks for none")
	}
	said := m.Post("/oauth2/introspect", p.account.ID, p.account.ClientSecret, url.Values{"token": {token}}).JSON
	require.Equal(t, "Bearer", said["token_type"])
	require.Equal(t, map[string]any{"x5t#S256": dpop.CertificateThumbprint(pair.Leaf)}, said["cnf"])
	require.Contains(t, explainedToken(t, m.Server, token),
		"bound to the client certificate "+dpop.CertificateThumbprint(pair.Leaf))
}

// Whoever asks for less of an account's tokens must hold what the account does;
// more may be asked by anybody who may change it.
func TestWeakerTokenBinding(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := newProver(t, s, "clusters:view")
	weak := s.Account("manager without its privileges", svcauth.MembersManage)
	yes := true
	_, err := s.App.Access.UpdateOrganization(s.System(), 0,
		svcauth.OrganizationPatch{ServiceAccountsMayManageAccess: &yes})
	require.NoError(t, err)
	set := func(binding string) error {
		_, err := s.Client(weak.ID, weak.ClientSecret).UpdateServiceAccount(t.Context(), p.account.ID, 0,
			svcauth.ServiceAccountPatch{TokenBinding: &binding}, 0)
		return err
	}
	require.NoError(t, set("any"))
	require.NoError(t, set("dpop"))
	require.NoError(t, set("mtls"))
	require.ErrorContains(t, set("none"), "bound to less")
	require.ErrorContains(t, set("any"), "bound to less")
	require.Error(t, set("both"))
	p.rebind("none")
}

// A role that demands it is given by bound tokens only, whoever holds it; a
// token that is asked for without it need not be bound.
func TestRoleRequiresBinding(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := newProver(t, s, "clusters:view")
	plain, err := s.App.Access.CreateRole(s.System(),
		svcauth.NewRole{Name: "Plain", Privileges: []string{"billing:view"}})
	require.NoError(t, err)
	_, err = s.App.Access.AssignServiceAccountRole(s.System(), p.account.ID, plain.ID, svcauth.GrantRequest{})
	require.NoError(t, err)
	role := p.account.Roles[0]
	require.Equal(t, http.StatusOK, p.ask(tokenEndpoint, nil).Status)
	yes, no := true, false
	changed, err := s.Admin().UpdateRole(t.Context(), role.ID, 0, svcauth.RolePatch{RequiresBinding: &yes}, 0)
	require.NoError(t, err)
	require.True(t, changed.RequiresBinding)

	refused := p.ask(tokenEndpoint, nil)
	require.Equal(t, "invalid_request", refused.JSON["error"], refused.Text)
	require.Contains(t, refused.JSON["error_description"], role.Name)
	narrow := url.Values{"grant_type": {"client_credentials"}, "scope": {"billing:view"}}
	require.Equal(t, http.StatusOK, p.ask(tokenEndpoint, narrow).Status, "of another role alone")
	narrow.Set("scope", "billing:view clusters:view")
	require.Equal(t, http.StatusBadRequest, p.ask(tokenEndpoint, narrow).Status)
	require.Equal(t, "DPoP", p.ask(tokenEndpoint, nil, p.proof("POST", tokenEndpoint, "", "")).JSON["token_type"])
	explained, err := s.App.Token.Explain(s.System(), svcauth.ExplainRequest{ClientID: p.account.ID})
	require.NoError(t, err)
	text := ""
	for _, step := range explained.Steps {
		text += step.Detail + "\n"
	}
	require.Contains(t, text, "a token with "+role.Name+" must be bound")

	_, err = s.Admin().UpdateRole(t.Context(), role.ID, 0, svcauth.RolePatch{RequiresBinding: &no}, 0)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, p.ask(tokenEndpoint, nil).Status)
}
