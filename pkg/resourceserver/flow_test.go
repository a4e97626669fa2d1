package resourceserver_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

const cloud = "https://api.cloud.example" // of the built-in catalogue

// flow is a complete installation: svcauth over TLS with a private CA, an API
// behind a Verifier that follows the feed, and a client with a Source.
type flow struct {
	t        *testing.T
	server   *svctest.Server
	verifier *resourceserver.Verifier
	api      *httptest.Server
	source   *tokensource.Source
	client   *http.Client
	account  svcauth.ServiceAccount
}

func newFlow(t *testing.T) *flow {
	f := &flow{t: t, server: svctest.New(t, svctest.Options{TLS: true})}
	source := func(a svcauth.ServiceAccount) *tokensource.Source {
		s, err := tokensource.New(tokensource.Config{Issuer: f.server.Issuer, ClientID: a.ClientID,
			ClientSecret: a.ClientSecret, HTTPClient: f.server.HTTP})
		require.NoError(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	subscriber := source(f.server.Account("api", "tokens:introspect"))
	var err error
	f.verifier, err = resourceserver.New(resourceserver.Config{Issuer: f.server.Issuer, Audience: cloud,
		HTTPClient: f.server.HTTP, KeyRefresh: 200 * time.Millisecond,
		MaxStaleness: 10 * time.Minute,
		Feed:         &resourceserver.Feed{Token: subscriber.BearerToken, Drop: subscriber.Drop}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.verifier.Close() })
	f.ready()
	f.api = httptest.NewServer(f.verifier.Require("clusters:view")(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		p, _ := resourceserver.PrincipalFrom(r.Context())
		_, _ = io.WriteString(w, p.Subject)
	})))
	t.Cleanup(f.api.Close)
	f.account = f.server.Account("consumer", "clusters:view")
	f.source = source(f.account)
	f.client = &http.Client{Transport: f.source.Transport(http.DefaultTransport)}
	return f
}

func (f *flow) ready() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	require.NoError(f.t, f.verifier.Ready(ctx))
}

// call uses the API as its client does, which gets tokens by itself.
func (f *flow) call() int {
	f.t.Helper()
	resp, err := f.client.Get(f.api.URL)
	require.NoError(f.t, err)
	defer resp.Body.Close()
	return resp.StatusCode
}

// with asks the API with one given token.
func (f *flow) with(token string) int {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.api.URL, nil)
	require.NoError(f.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(f.t, err)
	defer resp.Body.Close()
	return resp.StatusCode
}

// token is the one that the client uses now.
func (f *flow) token() string {
	f.t.Helper()
	token, err := f.source.Token(f.t.Context())
	require.NoError(f.t, err)
	return token.AccessToken
}

func (f *flow) refused(token, why string) {
	f.t.Helper()
	require.Eventually(f.t, func() bool { return f.with(token) == http.StatusUnauthorized }, time.Minute,
		20*time.Millisecond, why)
}

// TestTheWholeFlowOverTLS gets, uses and revokes a token and gets another one,
// restarts the server, rotates its keys, and revokes one.
func TestTheWholeFlowOverTLS(t *testing.T) {
	f := newFlow(t)
	require.Equal(t, http.StatusOK, f.call())

	first := f.token()
	require.NoError(t, f.source.Revoke(t.Context(), first))
	f.refused(first, "a revoked token")
	require.Equal(t, http.StatusOK, f.call(), "and the client has another one")

	second := f.token()
	require.NotEqual(t, first, second)
	unseen := f.server.Token(f.account.ClientID, f.account.ClientSecret, "")
	f.server.Stop()
	require.Equal(t, http.StatusOK, f.with(second), "the server is away")
	require.Equal(t, http.StatusOK, f.with(unseen), "also for a token that was not seen before")
	require.Equal(t, http.StatusUnauthorized, f.with(first), "what was revoked stays so")
	f.server.Start()
	require.Equal(t, http.StatusOK, f.with(second), "the server is back")
	require.Equal(t, http.StatusUnauthorized, f.with(first))

	admin := f.server.Admin()
	keys, err := admin.SigningKeys(t.Context())
	require.NoError(t, err)
	old := active(t, keys)
	keys, err = admin.RotateSigningKeys(t.Context(), svcauth.KeyRotation{})
	require.NoError(t, err)
	require.NotEqual(t, old, active(t, keys))
	f.source.Drop(second)
	third := f.token()
	require.Eventually(t, func() bool { return f.with(third) == http.StatusOK }, time.Minute, 20*time.Millisecond,
		"a token of the new key")
	require.Equal(t, http.StatusOK, f.with(second), "tokens of the retired key live on")

	_, err = admin.RevokeSigningKey(t.Context(), old)
	require.NoError(t, err)
	f.refused(second, "a token of a revoked key")
	require.Equal(t, http.StatusOK, f.with(third))

	_, err = admin.UnassignServiceAccountRole(t.Context(), f.account.ID, f.account.Roles[0].ID, "", 0)
	require.NoError(t, err)
	f.refused(third, "a token with a role that was taken away")
	require.Equal(t, http.StatusUnauthorized, f.call(), "a token without privileges is for the issuer only")
}

func active(t *testing.T, keys svcauth.List[svcauth.SigningKey]) string {
	t.Helper()
	for _, k := range keys.Items {
		if k.State == svcauth.KeyActive {
			return k.KID
		}
	}
	t.Fatal("no key is active")
	return ""
}

// TestAnUnknownAuthorityIsNobody checks that without the private CA neither
// side talks to the server, and no token passes.
func TestAnUnknownAuthorityIsNobody(t *testing.T) {
	s := svctest.New(t, svctest.Options{TLS: true})
	account := s.Account("consumer", "clusters:view")
	v, err := resourceserver.New(resourceserver.Config{Issuer: s.Issuer, Audience: cloud})
	require.NoError(t, err)
	defer v.Close()
	_, err = v.Verify(t.Context(), s.Token(account.ClientID, account.ClientSecret, ""))
	var refusal *resourceserver.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, http.StatusServiceUnavailable, refusal.Status)
	source, err := tokensource.New(tokensource.Config{Issuer: s.Issuer, ClientID: account.ClientID,
		ClientSecret: account.ClientSecret})
	require.NoError(t, err)
	defer source.Close()
	_, err = source.Token(t.Context())
	require.ErrorContains(t, err, "certificate")
	require.NotContains(t, err.Error(), account.ClientSecret.Reveal())
}
