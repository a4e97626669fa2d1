package tokensource

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// withAllEndpoints has the metadata name the other two endpoints, which are
// scripted by next.
func withAllEndpoints(t *testing.T) (*endpoint, *Source) {
	e := newEndpoint(t)
	e.set(func() {
		e.metadata = func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(map[string]any{"issuer": e.URL, "token_endpoint": e.URL + "/oauth2/token",
				"revocation_endpoint": e.URL + "/oauth2/revoke", "introspection_endpoint": e.URL +
					"/oauth2/introspect"})
		}
	})
	source, err := New(Config{Issuer: e.URL, ClientID: e.id, ClientSecret: svcauth.Secret(e.secret),
		HTTPClient: e.Client()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = source.Close() })
	return e, source
}

func TestRevokeGivesTheTokenBackAndForgetsIt(t *testing.T) { // RFC 7009 §2.1
	e, source := withAllEndpoints(t)
	first, err := source.Token(t.Context())
	require.NoError(t, err)
	e.next(plain(503, "", "Retry-After: 0"), plain(200, ""))
	require.NoError(t, source.Revoke(t.Context(), first.AccessToken), "a 503 is tried again")
	e.set(func() {
		last := e.forms[len(e.forms)-1]
		require.Equal(t, first.AccessToken, last.Get("token"))
		require.Equal(t, "access_token", last.Get("token_type_hint"))
		require.NotEmpty(t, e.headers[len(e.headers)-1].Get("Authorization"))
	})
	second, err := source.Token(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, first.AccessToken, second.AccessToken)
}

func TestRevokeSaysWhyItFailed(t *testing.T) {
	e, source := withAllEndpoints(t)
	e.next(plain(400, `{"error":"invalid_grant","error_description":"another client's"}`,
		"Content-Type: application/json"))
	err := source.Revoke(t.Context(), "token-of-another")
	failure := (*Error)(nil)
	require.ErrorAs(t, err, &failure)
	require.Equal(t, "invalid_grant", failure.Code)
	require.ErrorContains(t, err, "revocation_endpoint")
	require.NotContains(t, err.Error(), "token-of-another")

	e.set(func() { e.metadata = nil }) // which names the token endpoint only
	require.ErrorContains(t, source.Revoke(t.Context(), "x"), "names no revocation_endpoint")

	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	require.ErrorContains(t, source.Revoke(ended, "x"), "enough")
}

func TestActiveIsTheServersWord(t *testing.T) { // RFC 7662 §2.2
	e, source := withAllEndpoints(t)
	e.next(plain(200, `{"active":true}`), plain(200, `{"active":false}`), plain(200, `{"token":"x"}`))
	for _, want := range []bool{true, false} {
		got, err := source.Active(t.Context(), "token-1")
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := source.Active(t.Context(), "token-1")
	require.ErrorContains(t, err, "RFC 7662")
}

func TestRevokeNeedsTheIssuer(t *testing.T) {
	source, err := New(Config{TokenURL: "https://auth.example.com/token", ClientID: "a", ClientSecret: "b"})
	require.NoError(t, err)
	defer func() { _ = source.Close() }()
	require.ErrorContains(t, source.Revoke(t.Context(), "x"), "Issuer is not set")
}

func TestRevokeAndWaitSaysHowManyEnforceIt(t *testing.T) {
	e, source := withAllEndpoints(t)
	queries := make(chan string, 3)
	answering := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			queries <- r.URL.RawQuery
			plain(200, body)(w, r)
		}
	}
	e.next(answering(`{"enforced":11,"connected":12,"elapsed_ms":38}`), answering(""), answering(`{"enforced":1}`))
	got, err := source.RevokeAndWait(t.Context(), "token-1", 2*time.Second)
	require.NoError(t, err)
	require.Equal(t, &svcauth.Enforcement{Enforced: 11, Connected: 12, ElapsedMS: 38}, got)
	require.Equal(t, "wait=2s", <-queries)
	got, err = source.RevokeAndWait(t.Context(), "token-1", 2*time.Second) // a server that does not say
	require.NoError(t, err)
	require.Nil(t, got)
	<-queries
	got, err = source.RevokeAndWait(t.Context(), "token-1", 0)
	require.NoError(t, err)
	require.Nil(t, got)
	require.Empty(t, <-queries)
}
