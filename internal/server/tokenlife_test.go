package server_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func tokenForm(token string) url.Values { return url.Values{"token": {token}} }

var inactive = map[string]any{"active": false}

// backends runs a test on SQLite with the in-process cache, and on PostgreSQL
// with Redis.
func backends(t *testing.T, test func(*testing.T, protocol)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newProtocol(t, svctest.Options{})) })
	t.Run("postgres and redis",
		func(t *testing.T) { test(t, newProtocol(t, svctest.Options{Postgres: true, Redis: true})) })
}

// TestIntrospection is RFC 7662 and contract §2.3.
func TestIntrospection(t *testing.T) {
	backends(t, func(t *testing.T, p protocol) {
		tenant := p.NewTenant("tenant")
		secret := svcauth.Secret(p.secret)
		own := p.Token(p.id, secret, "")
		_, claims := claimsOf(t, p.Server, own)
		a := p.Post("/oauth2/introspect", p.id, secret,
			url.Values{"token": {own}, "token_type_hint": {"refresh_token"}})
		p.lawful(t, a)
		exp, iat := number(t, claims["exp"]), number(t, claims["iat"])
		require.Equal(t, map[string]any{"active": true, "scope": "billing:view clusters:edit clusters:view",
			"client_id": p.id, "sub": p.id,
			"aud": claims["aud"], "iss": p.Issuer, "exp": float64(exp), "iat": float64(iat), "jti": claims["jti"],
			"token_type": "Bearer",
			"roles":      []any{"Role of ci"}, "org_id": p.Tenant.Organization.ID}, a.JSON)

		stranger := p.Account("stranger", "clusters:view")
		operator := p.Account("resource server", svcauth.TokensIntrospect)
		theirs := p.AccountIn(tenant, "theirs", "clusters:view")
		tenantServer := p.AccountIn(tenant, "their server", svcauth.TokensIntrospect)
		foreign := p.Token(theirs.ClientID, theirs.ClientSecret, "")
		for name, c := range map[string]struct {
			asker svcauth.ServiceAccount
			token string
			seen  bool
		}{
			"RFC 7662 §4: a client without the privilege learns nothing of another's": {stranger, own, false},
			"tokens:introspect in the operator's organization sees its own":           {operator, own, true},
			"and everybody's": {operator, foreign, true},
			"tokens:introspect in a tenant sees its own": {tenantServer, foreign, true},
			"and not the operator's":                     {tenantServer, own, false},
			"a tenant's client sees its own token":       {theirs, foreign, true},
			"and not another's":                          {theirs, own, false},
		} {
			a := p.Post("/oauth2/introspect", c.asker.ClientID, c.asker.ClientSecret, tokenForm(c.token))
			require.Equal(t, 200, a.Status, name)
			require.Equal(t, c.seen, a.JSON["active"], name)
			if !c.seen {
				require.Equal(t, inactive, a.JSON, name)
			}
			// The same with a bearer token of the asker's, RFC 7662 §2.1.
			if c.asker.ID == operator.ID || c.asker.ID == tenantServer.ID {
				bearer := p.Token(c.asker.ClientID, c.asker.ClientSecret, "")
				a := p.send(t, request{"POST", "/oauth2/introspect",
					[]string{"Content-Type", formType, "Authorization", "Bearer " + bearer},
					tokenForm(c.token).Encode()})
				require.Equal(t, c.seen, a.JSON["active"], name)
			}
		}

		// What is no live token of ours is inactive and no more, RFC 7662 §2.2.
		parts := strings.Split(own, ".")
		none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`))
		for _, bad := range []string{"x", "a.b.c", own + "x", own[:len(own)-2], parts[0] + "." + parts[1] + ".",
			none + "." + parts[1] + ".", strings.Repeat("a", 15000), "ü",
			p.secret, own + "="} {
			a := p.Post("/oauth2/introspect", p.id, secret, tokenForm(bad))
			require.Equal(t, 200, a.Status)
			require.Equal(t, inactive, a.JSON)
			require.Equal(t, 200, p.Post("/oauth2/revoke", p.id, secret, tokenForm(bad)).Status, "RFC 7009 §2.2")
		}
		require.True(t, p.Active(p.id, secret, own))
		for _, endpoint := range []string{"/oauth2/introspect", "/oauth2/revoke"} {
			a := p.Post(endpoint, p.id, secret, url.Values{})
			require.Equal(t, 400, a.Status)
			require.Equal(t, "invalid_request", a.JSON["error"])
			require.Equal(t, 401, p.Post(endpoint, "", "", tokenForm(own)).Status)
		}
	})
}

// TestIntrospectionBearer is who may ask with a token of this server.
func TestIntrospectionBearer(t *testing.T) {
	p := newProtocol(t, svctest.Options{})
	asker := p.Account("resource server", svcauth.TokensIntrospect, "clusters:view")
	bearer := p.Token(asker.ClientID, asker.ClientSecret, svcauth.TokensIntrospect)
	narrow := p.Token(asker.ClientID, asker.ClientSecret, "clusters:view")
	own := p.Token(p.id, svcauth.Secret(p.secret), "")
	ask := func(auth, body string) svctest.Answer {
		a := p.send(t,
			request{"POST", "/oauth2/introspect", []string{"Content-Type", formType, "Authorization", auth}, body})
		p.lawful(t, a)
		return a
	}
	require.Equal(t, true, ask("Bearer "+bearer, tokenForm(own).Encode()).JSON["active"])
	require.Equal(t, true, ask("bearer  "+bearer, tokenForm(own).Encode()).JSON["active"])
	for name, c := range map[string]struct {
		auth, body string
		status     int
		code       string
	}{
		"RFC 9068 §4: a token for another API": {"Bearer " + narrow, tokenForm(own).Encode(), 401, "invalid_token"},
		"no token":                             {"Bearer ", tokenForm(own).Encode(), 401, "invalid_token"},
		"nonsense":                             {"Bearer x", tokenForm(own).Encode(), 401, "invalid_token"},
		"bearer and secret at once": {"Bearer " + bearer, tokenForm(own).Encode() + "&client_id=" + p.id +
			"&client_secret=" + p.secret, 400, "invalid_request"},
	} {
		a := ask(c.auth, c.body)
		require.Equal(t, c.status, a.Status, name)
		require.Equal(t, c.code, a.JSON["error"], name)
		if c.status == 401 {
			require.Contains(t, a.Header.Get("WWW-Authenticate"),
				`Bearer realm="svcauth", error="invalid_token", error_description="`)
		}
	}
	require.Equal(t, 200, p.Post("/oauth2/revoke", asker.ClientID, asker.ClientSecret, tokenForm(bearer)).Status)
	require.Equal(t, 401, ask("Bearer "+bearer, tokenForm(own).Encode()).Status, "a revoked bearer asks no more")
}

// TestRevocation is RFC 7009 and contract §2.3 and §5.
func TestRevocation(t *testing.T) {
	backends(t, func(t *testing.T, p protocol) {
		secret := svcauth.Secret(p.secret)
		one, two := p.Token(p.id, secret, ""), p.Token(p.id, secret, "")
		other := p.Account("other", svcauth.TokensIntrospect)
		a := p.Post("/oauth2/revoke", other.ClientID, other.ClientSecret, tokenForm(one))
		p.lawful(t, a)
		require.Equal(t, 400, a.Status, "RFC 7009 §2.1: another client's token")
		require.Equal(t, "invalid_grant", a.JSON["error"])
		require.True(t, p.Active(p.id, secret, one), "and it stays valid")
		a = p.Post("/oauth2/revoke", p.id, secret, url.Values{"token": {one}, "token_type_hint": {"nonsense"}})
		require.Equal(t, 200, a.Status)
		require.Empty(t, a.Text, "RFC 7009 §2.2: the body is empty")
		require.Equal(t, inactive, p.Post("/oauth2/introspect", p.id, secret, tokenForm(one)).JSON)
		require.Equal(t, 200, p.Post("/oauth2/revoke", p.id, secret, tokenForm(one)).Status, "twice is once")
		require.True(t, p.Active(p.id, secret, two), "the others live on")
		follower := p.Account("follower", svcauth.TokensIntrospect)
		feed := p.Get("/oauth2/revocations", p.Token(follower.ClientID, follower.ClientSecret, ""))
		require.Len(t, feed.JSON["revocations"], 1, "twice is one entry")

		// What is taken away kills what carries it, and nothing else.
		fresh := p.Token(p.id, secret, "")
		require.NoError(t, p.App.Access.RevokeTokens(p.System(), p.id))
		require.False(t, p.Active(p.id, secret, fresh))
		require.False(t, p.Active(p.id, secret, two))
		again := p.Token(p.id, secret, "")
		require.True(t, p.Active(p.id, secret, again), "a token that was asked for afterwards lives")
		made, err := p.App.Access.CreateSecret(p.System(), p.id, svcauth.NewSecretRequest{})
		require.NoError(t, err)
		byNew := p.Token(p.id, made.ClientSecret, "")
		require.NoError(t, p.App.Access.DeleteSecret(p.System(), p.id, made.ID, true))
		require.False(t, p.Active(p.id, secret, byNew))
		require.True(t, p.Active(p.id, secret, again))
	})
}

// Once serve_stale is over, a node without its database is no longer ready. It
// comes back by itself.
func TestNodeThatServesNobodySaysSo(t *testing.T) {
	t.Parallel()
	db := pgtest.Start(t, pgtest.Config{Durable: true})
	p := newProtocol(t,
		svctest.Options{DatabaseURL: db.NewDatabase(), Environ: []string{"SVCAUTH_TOKEN_SERVE_STALE=0s"}})
	db.Kill()
	require.Eventually(t, func() bool { return p.Get("/readyz", "").Status == 503 }, patience, tick)
	require.Equal(t, map[string]any{"status": "unavailable", "dependencies": map[string]any{"database": "unavailable"}},
		p.Get("/readyz", "").JSON)
	require.Equal(t, 503, p.Post("/oauth2/token", p.id, svcauth.Secret(p.secret), grantForm).Status)
	require.Equal(t, 200, p.Get("/healthz", "").Status, "no restart would mend it")
	db.Restart()
	require.Eventually(t, func() bool { return p.Get("/readyz", "").Status == 200 }, patience, tick)
	require.Equal(t, 200, p.Post("/oauth2/token", p.id, svcauth.Secret(p.secret), grantForm).Status)
}

// A load balancer waits a second or two for readiness, and takes a node that
// has not answered by then for dead.
func TestReadinessWhileTheDatabaseHangs(t *testing.T) {
	db := pgtest.Start(t, pgtest.Config{})
	p := newProtocol(t, svctest.Options{DatabaseURL: db.NewDatabase(), Impatient: true})
	db.Pause()
	t.Cleanup(db.Resume)
	balancer := &http.Client{Timeout: time.Second}
	require.Eventually(t, func() bool {
		resp, err := balancer.Get(p.URL + "/readyz")
		if err != nil {
			time.Sleep(4 * time.Second) // the next one must not share what is left of a look that takes too long
			return false
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		return err == nil && resp.StatusCode == http.StatusOK && strings.Contains(string(text), `"status":"degraded"`)
	}, patience, tick)
}

// With the database away the answer is 503 (RFC 7662, RFC 7009 §2.2.1), never
// 'inactive' and never 'done'.
func TestOutage(t *testing.T) {
	t.Parallel()
	db := pgtest.Start(t, pgtest.Config{Durable: true})
	p := newProtocol(t,
		svctest.Options{DatabaseURL: db.NewDatabase(), Environ: []string{"SVCAUTH_TOKEN_SERVE_STALE=5m"}})
	secret := svcauth.Secret(p.secret)
	token := p.Token(p.id, secret, "")
	cold := p.Account("cold")
	db.Kill()
	a := p.Post("/oauth2/revoke", p.id, secret, tokenForm(token))
	require.Equal(t, 503, a.Status)
	p.lawful(t, a)
	require.NotEmpty(t, a.Header.Get("Retry-After"))
	require.Equal(t, 200, p.Post("/oauth2/token", p.id, secret, grantForm).Status,
		"a known client is served from memory")
	require.Equal(t, 503, p.Post("/oauth2/token", cold.ClientID, cold.ClientSecret, grantForm).Status,
		"one that is not in memory can't be")
	ready := p.Get("/readyz", "")
	require.Equal(t, 200, ready.Status, "a load balancer that took all nodes out would turn the known client away")
	require.Equal(t, map[string]any{"status": "degraded", "dependencies": map[string]any{"database": "unavailable"}},
		ready.JSON)
	require.Equal(t, 200, p.Get("/healthz", "").Status)
	require.Eventually(t, func() bool {
		a = p.Post("/oauth2/introspect", p.id, secret, tokenForm(token))
		return a.Status == 503
	}, patience, tick, "a node that has not read the log for long does not say that a token is live")
	p.lawful(t, a)
	// A stranger who knows the id can't make the node forget the client. Each
	// wrong secret is looked up anew, in vain.
	require.NotEqual(t, 200, p.Post("/oauth2/token", p.id, svcauth.NewSecret(), grantForm).Status)
	require.Equal(t, 200, p.Post("/oauth2/token", p.id, secret, grantForm).Status)
	db.Restart()
	require.Eventually(t, func() bool { return p.Get("/readyz", "").JSON["status"] == "ok" }, patience, tick)
	require.Eventually(t, func() bool {
		return p.Post("/oauth2/introspect", p.id, secret, tokenForm(token)).JSON["active"] == true
	}, patience, tick)
	require.Equal(t, 200, p.Post("/oauth2/revoke", p.id, secret, tokenForm(token)).Status)
	require.False(t, p.Active(p.id, secret, token))
}

// TestTokenEndsWithItsSecret: a secret that ends gives no token which does not.
func TestTokenEndsWithItsSecret(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	end := time.Now().Add(10 * time.Minute).UTC().Truncate(time.Second)
	a, err := s.Admin().CreateServiceAccount(t.Context(),
		svcauth.NewServiceAccount{Name: "short", SecretExpiresAt: &end})
	require.NoError(t, err)
	_, claims := claimsOf(t, s, s.Token(a.ClientID, a.ClientSecret, ""))
	require.Equal(t, end.Unix(), number(t, claims["exp"]))
	lasting, err := s.Admin().CreateSecret(t.Context(), a.ID, svcauth.NewSecretRequest{})
	require.NoError(t, err)
	_, claims = claimsOf(t, s, s.Token(a.ClientID, lasting.ClientSecret, ""))
	require.Equal(t, number(t, claims["iat"])+3600, number(t, claims["exp"]))
}
