package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/certtest"
	"github.com/svcauth/svcauth/internal/svctest/clock"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// A JWT-SVID proves a client under its own assertion type and under that of any
// JWT, without iss and with the header that SPIFFE allows
// (draft-ietf-oauth-spiffe-client-auth, JWT-SVID §2 and §3).
func TestSPIFFEAssertion(t *testing.T) {
	s, f := svctest.New(t, svctest.Options{Environ: []string{onLoopback}}), newForeign(t)
	a := s.Account("checkout", "clusters:view")
	const id = "spiffe://acme.example/ns/shop/sa/checkout"
	made := trust(t, s, f, a.ID, func(n *svcauth.NewFederatedCredential) {
		n.Preset, n.Issuer, n.JWKSURI = svcauth.PresetSPIFFE, "spiffe://acme.example", f.URL+"/bundle"
		n.Subject, n.Claims = id, nil
	})
	svid := func(header headers, change jwt.MapClaims) string {
		claims := jwt.MapClaims{"sub": id, "aud": []string{s.Issuer}, "exp": time.Now().Add(time.Minute).Unix()}
		for name, value := range change {
			claims[name] = value
		}
		token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
		token.Header["kid"] = f.kid
		for name, value := range header {
			token.Header[name] = value
		}
		text, err := token.SignedString(f.key)
		require.NoError(t, err)
		return text
	}
	ask := func(client, kind, assertion string) svctest.Answer {
		form := assertedBy(client, assertion)
		form.Set("client_assertion_type", kind)
		return s.Post("/oauth2/token", "", "", form)
	}
	org := s.Issuer + "/o/" + s.Tenant.Organization.ID
	for _, kind := range []string{clientauth.AssertionSPIFFE, clientauth.AssertionJWT} {
		for name, text := range map[string]string{
			"as it is":      svid(nil, nil),
			"typ JOSE":      svid(headers{"typ": "JOSE"}, nil),
			"some iss":      svid(nil, jwt.MapClaims{"iss": "https://spire.example"}),
			"our org's aud": svid(nil, jwt.MapClaims{"aud": org}),
		} {
			claims := decoded(t, ask(a.ID, kind, text))
			require.Equal(t, made.ID, claims["cred"], "%s as %s", name, kind)
			require.Equal(t, a.ID, claims["client_id"])
		}
		require.Equal(t, a.ID, decoded(t, ask("", kind, svid(nil, jwt.MapClaims{"aud": org})))["client_id"])
		for name, text := range map[string]string{
			"another workload": svid(nil, jwt.MapClaims{"sub": id + "/other"}),
			"another domain":   svid(nil, jwt.MapClaims{"sub": "spiffe://evil.example/ns/shop/sa/checkout"}),
			"a longer domain":  svid(nil, jwt.MapClaims{"sub": "spiffe://acme.example.evil/ns/shop/sa/checkout"}),
			"two audiences":    svid(nil, jwt.MapClaims{"aud": []string{s.Issuer, "https://other.example"}}),
			"another audience": svid(nil, jwt.MapClaims{"aud": "https://other.example"}),
			"no end":           svid(nil, jwt.MapClaims{"exp": nil}),
			"over":             svid(nil, jwt.MapClaims{"exp": time.Now().Add(-time.Minute).Unix()}),
			"another typ":      svid(headers{"typ": "at+jwt"}, nil),
		} {
			got := ask(a.ID, kind, text)
			require.Equal(t, http.StatusUnauthorized, got.Status, "%s as %s: %s", name, kind, got.Text)
			require.Equal(t, "invalid_client", got.JSON["error"], name)
		}
	}
	require.EqualValues(t, 1, f.fetches.Load())

	// A client's own assertion is none of SPIFFE.
	g := newSigner(t, s, p256(t), "ES256", nil)
	require.Equal(t, http.StatusUnauthorized, ask(g.account.ID, clientauth.AssertionSPIFFE, g.sign(nil)).Status)
	require.Equal(t, http.StatusOK, ask(g.account.ID, clientauth.AssertionJWT, g.sign(nil)).Status)
}

// A federated credential's tokens carry at most its privileges, whatever the
// account holds, and more is refused as what it does not hold.
func TestFederatedCeiling(t *testing.T) {
	s, f := svctest.New(t, svctest.Options{Environ: []string{onLoopback}}), newForeign(t)
	a := s.Account("deployer", "clusters:view")
	made := trust(t, s, f, a.ID, func(n *svcauth.NewFederatedCredential) {
		n.Privileges = []string{"clusters:view", "clusters:create"}
	})
	ask := func(scope string) svctest.Answer {
		form := assertedBy(a.ID, f.token(s.Issuer, nil))
		if scope != "" {
			form.Set("scope", scope)
		}
		return s.Post("/oauth2/token", "", "", form)
	}
	refused := func(scope string) string {
		t.Helper()
		got := ask(scope)
		require.Equal(t, http.StatusBadRequest, got.Status, got.Text)
		require.Equal(t, "invalid_scope", got.JSON["error"])
		require.Contains(t, got.JSON["error_description"], "clusters:edit")
		return got.JSON["error_description"].(string)
	}
	require.Equal(t, "clusters:view", decoded(t, ask(""))["scope"], "the ceiling grants nothing")
	notHeld := refused("clusters:edit")

	grants, err := s.App.Access.ServiceAccountRoles(s.System(), a.ID, svcauth.ListOptions{})
	require.NoError(t, err)
	more := []string{"clusters:view", "clusters:edit", "clusters:create"}
	_, err = s.App.Access.UpdateRole(s.System(), grants.Items[0].RoleID, 0, svcauth.RolePatch{Privileges: &more})
	require.NoError(t, err)
	require.Contains(t, s.Post("/oauth2/token", a.ID, a.ClientSecret,
		url.Values{"grant_type": {"client_credentials"}}).JSON["scope"], "clusters:edit", "by its secret it has all")
	for _, scope := range []string{"", "all-apis", "clusters:view clusters:create"} {
		require.Equal(t, "clusters:create clusters:view", decoded(t, ask(scope))["scope"], scope)
	}
	require.Equal(t, "clusters:create", decoded(t, ask("clusters:create"))["scope"])
	require.Equal(t, notHeld, refused("clusters:edit"))
	refused("clusters:view clusters:edit")

	exchange := url.Values{
		"grant_type": {clientauth.GrantTokenExchange}, "client_id": {a.ID}, "subject_token": {f.token(s.Issuer, nil)},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
	}
	require.Equal(t, "clusters:create clusters:view", decoded(t, s.Post("/oauth2/token", "", "", exchange))["scope"])
	exchange.Set("scope", "clusters:edit")
	require.Equal(t, "invalid_scope", s.Post("/oauth2/token", "", "", exchange).JSON["error"])

	one := []string{"clusters:view"}
	_, err = s.Admin().UpdateFederatedCredential(t.Context(), a.ID, made.ID,
		svcauth.FederatedCredentialPatch{Privileges: &one})
	require.NoError(t, err)
	require.Equal(t, "clusters:view", decoded(t, ask(""))["scope"])
	_, err = s.Admin().UpdateFederatedCredential(t.Context(), a.ID, made.ID,
		svcauth.FederatedCredentialPatch{ClearPrivileges: true})
	require.NoError(t, err)
	require.Equal(t, "clusters:create clusters:edit clusters:view", decoded(t, ask(""))["scope"])
}

// Two nodes on PostgreSQL: what is made on one works on the other at once, and
// what is removed there is refused here; its tokens are dead at both.
func TestFederatedCredentialsOverNodes(t *testing.T) {
	redis := redistest.Start(t)
	one := svctest.New(t, svctest.Options{
		Postgres: true, RedisURL: redis.URL(),
		Environ: []string{onLoopback, "SVCAUTH_LIMITS_WRONG_SECRETS_PER_CLIENT=200"},
	})
	two, f := one.Node(), newForeign(t)
	a := one.Account("deployer", "clusters:view")
	ask := func(node *svctest.Server) svctest.Answer {
		return node.Post("/oauth2/token", "", "", assertedBy(a.ID, f.token(one.Issuer, nil)))
	}
	refused := func(node *svctest.Server) bool { return ask(node).Status == http.StatusUnauthorized }
	for _, redisIs := range []string{"there", "away"} {
		if redisIs == "away" {
			redis.Kill()
		}
		require.True(t, refused(one) && refused(two), redisIs)
		made := trust(t, one, f, a.ID, nil)
		require.Equal(t, made.ID, decoded(t, ask(one))["cred"], redisIs)
		var last svctest.Answer
		require.Eventually(t, func() bool {
			last = ask(two)
			return last.Status == http.StatusOK
		}, time.Minute, 200*time.Millisecond, "Redis is %s", redisIs)
		require.Equal(t, made.ID, decoded(t, last)["cred"])
		token := last.JSON["access_token"].(string)
		require.True(t, one.Active(a.ID, a.ClientSecret, token))

		_, err := one.Admin().DeleteFederatedCredential(t.Context(), a.ID, made.ID, true, 0)
		require.NoError(t, err)
		require.True(t, refused(one))
		require.Eventually(t, func() bool { return refused(two) }, time.Minute, 200*time.Millisecond)
		for range 5 {
			require.True(t, refused(two), "and stays so")
		}
		require.Eventually(t, func() bool { return !two.Active(a.ID, a.ClientSecret, token) }, time.Minute,
			10*time.Millisecond)
	}
}

// A client that uses too many assertions at once is told what to do.
func TestTooManyAssertions(t *testing.T) {
	database := schema.SQLite(t)
	s := svctest.New(t, svctest.Options{DatabaseURL: database})
	g := newSigner(t, s, p256(t), "ES256", nil)
	s.Stop()
	db, err := store.Open(store.Config{URL: database, Patience: schema.Patience})
	require.NoError(t, err)
	for i := 0; i < 10_000; i += 50 {
		var uses []store.AssertionUse
		for j := range 50 {
			uses = append(uses, store.AssertionUse{
				ID: fmt.Sprint(i + j), ClientID: g.account.ID, Until: time.Now().Add(time.Hour),
			})
		}
		_, err := db.UseAssertions(t.Context(), uses, time.Now())
		require.NoError(t, err)
	}
	require.NoError(t, db.Close())
	s.Start()
	long := func(_ headers, c jwt.MapClaims) { c["exp"] = time.Now().Add(time.Hour).Unix() }
	got := g.ask(g.sign(long))
	require.Equal(t, http.StatusTooManyRequests, got.Status, got.Text)
	require.Equal(t, "60", got.Header.Get("Retry-After"))
	require.Contains(t, got.JSON["error_description"], "use each token until it expires")
	require.Contains(t, got.JSON["error_description"], "nearer exp")
	require.Equal(t, http.StatusOK, g.ask(g.sign(nil)).Status, "one with a near exp needs no such room")
	other := newSigner(t, s, p256(t), "ES256", nil)
	require.Equal(t, http.StatusOK, other.ask(other.sign(long)).Status)
}

// The ceiling bounds what a client may introspect, too: by a token of another
// issuer that may not introspect, it sees no more than its own tokens.
func TestFederatedCeilingBoundsIntrospection(t *testing.T) {
	s, f := svctest.New(t, svctest.Options{Environ: []string{onLoopback}}), newForeign(t)
	other, a := s.Account("other", "clusters:view"), s.Account("gateway", svcauth.TokensIntrospect, "clusters:view")
	made := trust(t, s, f, a.ID, func(n *svcauth.NewFederatedCredential) { n.Privileges = []string{"clusters:view"} })
	own := s.Token(a.ID, a.ClientSecret, "")
	theirs := s.Token(other.ID, other.ClientSecret, "")
	active := func(token string) any {
		t.Helper()
		form := assertedBy(a.ID, f.token(s.Issuer, nil))
		form.Set("token", token)
		got := s.Post("/oauth2/introspect", "", "", form)
		require.Equal(t, http.StatusOK, got.Status, got.Text)
		return got.JSON["active"]
	}
	require.Equal(t, true, active(own))
	require.Equal(t, false, active(theirs), "the ceiling has no tokens:introspect")
	bySecret := s.Post("/oauth2/introspect", a.ID, a.ClientSecret, url.Values{"token": {theirs}})
	require.Equal(t, true, bySecret.JSON["active"])

	wider := []string{"clusters:view", svcauth.TokensIntrospect}
	_, err := s.Admin().UpdateFederatedCredential(t.Context(), a.ID, made.ID,
		svcauth.FederatedCredentialPatch{Privileges: &wider})
	require.NoError(t, err)
	require.Equal(t, true, active(theirs))
}

// Of two credentials that a token fits, one that has expired does not stand in
// the way of the one that was made in its place.
func TestFederatedCredentialInPlaceOfAnExpiredOne(t *testing.T) {
	now := clock.New(time.Now().Truncate(time.Second))
	s, f := svctest.New(t, svctest.Options{Environ: []string{onLoopback}, Clock: now.Now}), newForeign(t)
	a := s.Account("deployer", "clusters:view")
	soon := now.Now().Add(time.Minute)
	old := trust(t, s, f, a.ID, func(n *svcauth.NewFederatedCredential) { n.ExpiresAt = &soon })
	ask := func() svctest.Answer {
		return s.Post("/oauth2/token", "", "", assertedBy(a.ID, f.token(s.Issuer, nil)))
	}
	require.Equal(t, old.ID, decoded(t, ask())["cred"])
	now.Advance(2 * time.Minute)
	got := ask()
	require.Equal(t, http.StatusUnauthorized, got.Status)
	require.Contains(t, got.JSON["error_description"], "expired")
	made := trust(t, s, f, a.ID, func(n *svcauth.NewFederatedCredential) { n.Name = "next" })
	require.Equal(t, made.ID, decoded(t, ask())["cred"])
}

// A certificate that is shown with a token exchange is no second way to prove
// the client: proxies and browsers show theirs whatever is asked.
func TestTokenExchangeBesideACertificate(t *testing.T) {
	m, f := newMutual(t, onLoopback), newForeign(t)
	a := m.Account("deployer", "clusters:view")
	made := trust(t, m.Server, f, a.ID, nil)
	shown := certtest.SelfSigned(t, nil)
	for name, id := range map[string]string{"client_id": a.ID, "audience": ""} {
		form := url.Values{
			"grant_type": {clientauth.GrantTokenExchange}, "subject_token": {f.token(m.Issuer, nil)},
			"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"}, "audience": {made.ID},
		}
		if id != "" {
			form.Set("client_id", id)
		}
		require.Equal(t, made.ID, decoded(t, m.showing(t, &shown).Post("/oauth2/token", "", "", form))["cred"], name)
	}
}
