package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/clock"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// caller asks for tokens of one account.
type caller struct {
	*testing.T
	s       *svctest.Server
	account svcauth.ServiceAccount
}

// ask sends a token request from an address, with parameters as name and value,
// and returns the answer.
func (c caller) ask(address string, params ...string) svctest.Answer {
	c.Helper()
	form := url.Values{"grant_type": {"client_credentials"}}
	for i := 0; i < len(params); i += 2 {
		form.Add(params[i], params[i+1])
	}
	req, err := http.NewRequestWithContext(c.Context(), http.MethodPost, c.s.URL+"/oauth2/token",
		strings.NewReader(form.Encode()))
	require.NoError(c, err)
	req.Header.Set("Content-Type", formType)
	req.Header.Set("X-Forwarded-For", address)
	req.SetBasicAuth(c.account.ClientID, c.account.ClientSecret.Reveal())
	return c.s.Do(req)
}

func (c caller) token(address string, params ...string) string {
	c.Helper()
	a := c.ask(address, params...)
	require.Equal(c, http.StatusOK, a.Status, a.Text)
	return a.JSON["access_token"].(string)
}

// TestATokenIsGivenOutAgain is token.reuse (contract §8): the same token to the
// same client with the same secret, at the same address and for the same scope
// and resource, while half of its life is left.
func TestATokenIsGivenOutAgain(t *testing.T) {
	now := clock.New(time.Now().Truncate(time.Second))
	s := svctest.New(t, svctest.Options{Clock: now.Now, Environ: []string{
		"SVCAUTH_TOKEN_REUSE=2m", "SVCAUTH_TOKEN_TTL=10m", "SVCAUTH_TRUSTED_PROXIES=127.0.0.0/8",
	}})
	c := caller{t, s, s.Account("one per request", "clusters:view", "billing:view")}
	other := c.withSecret()
	const here, elsewhere = "192.0.2.1", "192.0.2.2"
	first := c.token(here)
	require.Equal(t, first, c.token(here))
	require.Equal(t, first, c.token(here, "reuse", "true"))
	_, claims := claimsOf(t, s, first)
	for name, got := range map[string]string{
		"another address":  c.token(elsewhere),
		"a scope":          c.token(here, "scope", "clusters:view"),
		"another scope":    c.token(here, "scope", "billing:view"),
		"a resource":       c.token(here, "resource", audiencesOf(claims)[0]),
		"one of its own":   c.token(here, "reuse", "false"),
		"and another":      c.token(here, "reuse", "false"),
		"the other secret": other.token(here),
	} {
		require.NotEqual(t, first, got, name)
	}
	require.Equal(t, first, c.token(here), "none of these has taken its place")
	refused := c.ask(here, "reuse", "maybe")
	require.Equal(t, http.StatusBadRequest, refused.Status)
	require.Contains(t, refused.Text, "reuse is neither true nor false")

	now.Advance(119 * time.Second)
	again := c.ask(here)
	require.Equal(t, first, again.JSON["access_token"])
	require.InDelta(t, 600-119, again.JSON["expires_in"], 0, "it is not as long as a new one's")
	now.Advance(time.Second)
	require.NotEqual(t, first, c.token(here), "token.reuse is over")
}

// TestAReusedTokenHasHalfItsLife: an account whose tokens live shorter gets
// others sooner, and none that is signed with a key that signs no more.
func TestAReusedTokenHasHalfItsLife(t *testing.T) {
	now := clock.New(time.Now().Truncate(time.Second))
	s := svctest.New(t, svctest.Options{Clock: now.Now, Environ: []string{"SVCAUTH_TOKEN_REUSE=2m"}})
	c := caller{t, s, s.Account("short", "clusters:view")}
	ttl := 100
	_, err := s.Admin().UpdateServiceAccount(t.Context(), c.account.ID, 0,
		svcauth.ServiceAccountPatch{TokenTTLSeconds: &ttl}, 0)
	require.NoError(t, err)
	first := c.token("192.0.2.1")
	now.Advance(50 * time.Second)
	require.Equal(t, first, c.token("192.0.2.1"))
	now.Advance(time.Second)
	second := c.token("192.0.2.1")
	require.NotEqual(t, first, second)

	require.Equal(t, second, c.token("192.0.2.1"))
	_, err = s.Admin().RotateSigningKeys(t.Context(), svcauth.KeyRotation{})
	require.NoError(t, err)
	require.NotEqual(t, second, c.token("192.0.2.1"), "another key signs now")
}

// A token that was given out before is given no more once a role, or the
// account, demands that it be bound, and not once it is revoked.
func TestAReusedTokenAndBinding(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_TOKEN_REUSE=2m"}})
	c := caller{t, s, s.Account("one per request", "clusters:view")}
	const here = "192.0.2.1"
	first := c.token(here)
	require.Equal(t, first, c.token(here))
	yes, no, binding, none := true, false, "any", "none"
	role := func(v *bool) {
		_, err := s.Admin().UpdateRole(t.Context(), c.account.Roles[0].ID, 0, svcauth.RolePatch{RequiresBinding: v}, 0)
		require.NoError(t, err)
	}
	account := func(v *string) {
		_, err := s.Admin().UpdateServiceAccount(t.Context(), c.account.ID, 0,
			svcauth.ServiceAccountPatch{TokenBinding: v}, 0)
		require.NoError(t, err)
	}
	role(&yes)
	require.Equal(t, http.StatusBadRequest, c.ask(here).Status)
	role(&no)
	second := c.token(here)
	require.Equal(t, second, c.token(here))
	account(&binding)
	require.Equal(t, http.StatusBadRequest, c.ask(here).Status)
	account(&none)
	third := c.token(here)
	require.Equal(t, third, c.token(here))
	require.Equal(t, http.StatusOK, s.Post("/oauth2/revoke", c.account.ClientID, c.account.ClientSecret,
		map[string][]string{"token": {third}}).Status)
	require.NotEqual(t, third, c.token(here))
}

// A stranger's wrong guess has a client read anew, which must not end what is
// given out again: nothing has changed.
func TestAWrongGuessEndsNoReuse(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_TOKEN_REUSE=2m"}})
	c := caller{t, s, s.Account("one per request", "clusters:view")}
	const here = "192.0.2.1"
	var first string
	require.Eventually(t, func() bool { // it has heard of the account's making
		first = c.token(here)
		return first == c.token(here)
	}, patience, tick)
	stranger := c
	stranger.account.ClientSecret = s.Account("another", "clusters:view").ClientSecret
	require.Equal(t, http.StatusUnauthorized, stranger.ask(here).Status)
	require.Equal(t, first, c.token(here))
}

// TestEachTokenIsItsOwn: an assertion is for one token, and without token.reuse
// so is each request.
func TestEachTokenIsItsOwn(t *testing.T) {
	off := svctest.New(t, svctest.Options{})
	c := caller{t, off, off.Account("plain", "clusters:view")}
	require.NotEqual(t, c.token("192.0.2.1"), c.token("192.0.2.1"))

	on := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_TOKEN_REUSE=2m"}})
	g := newSigner(t, on, p256(t), "ES256", nil)
	tokens := map[string]bool{}
	for range 3 {
		a := on.Post("/oauth2/token", "", "", assertedBy(g.account.ID, g.sign(nil)))
		require.Equal(t, http.StatusOK, a.Status, a.Text)
		tokens[a.JSON["access_token"].(string)] = true
	}
	require.Len(t, tokens, 3)
}

// withSecret returns the caller with a secret more.
func (c caller) withSecret() caller {
	c.Helper()
	made, err := c.s.Admin().CreateSecret(c.Context(), c.account.ID, svcauth.NewSecretRequest{})
	require.NoError(c, err)
	c.account.ClientSecret = made.ClientSecret
	return c
}

func audiencesOf(claims map[string]any) (all []string) {
	switch aud := claims["aud"].(type) {
	case string:
		return []string{aud}
	case []any:
		for _, one := range aud {
			all = append(all, one.(string))
		}
	}
	return all
}
