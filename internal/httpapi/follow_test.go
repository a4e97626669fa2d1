package httpapi_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

const audience = "https://api.cloud.example"

// resourceServer follows the feed of a server with the account's own credential. edit may change its configuration.
func resourceServer(t *testing.T, s *svctest.Server, api svcauth.ServiceAccount, edit func(*resourceserver.Config)) *resourceserver.Verifier {
	t.Helper()
	tokens, err := tokensource.New(tokensource.Config{TokenURL: s.URL + "/oauth2/token", ClientID: api.ClientID, ClientSecret: api.ClientSecret, HTTPClient: s.HTTP})
	require.NoError(t, err)
	t.Cleanup(func() { _ = tokens.Close() })
	cfg := resourceserver.Config{Issuer: s.Issuer, Audience: audience, HTTPClient: &http.Client{Transport: s.HTTP.Transport}, Feed: &resourceserver.Feed{
		Drop: tokens.Drop,
		Token: func(ctx context.Context) (string, error) {
			token, err := tokens.Token(ctx)
			if err != nil {
				return "", err
			}
			return token.AccessToken, nil
		}}}
	if os.Getenv("SVCAUTH_TEST_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if edit != nil {
		edit(&cfg)
	}
	v, err := resourceserver.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = v.Close() })
	ready, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, v.Ready(ready))
	return v
}

func refused(t *testing.T, v *resourceserver.Verifier, token string) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := v.Verify(context.Background(), token)
		return err != nil
	}, patience, time.Millisecond)
	_, err := v.Verify(t.Context(), token)
	require.ErrorIs(t, err, resourceserver.ErrRevoked)
}

func accepted(t *testing.T, v *resourceserver.Verifier, token string) {
	t.Helper()
	_, err := v.Verify(t.Context(), token)
	require.NoError(t, err)
}

func TestResourceServerRefusesWhatWasRevokedAndConfirmsIt(t *testing.T) {
	s := svctest.New(t, svctest.Options{TLS: true})
	account, api := s.Account("ci", "clusters:view"), s.Account("api", svcauth.TokensIntrospect)
	one := resourceServer(t, s, api, nil)
	two := resourceServer(t, s, api, func(c *resourceserver.Config) { c.Feed.Poll, c.Feed.Every = true, 100*time.Millisecond })
	token := tokenOf(s, account)
	accepted(t, one, token)
	accepted(t, two, token)
	answer := s.Post("/oauth2/revoke?wait=10s", account.ClientID, account.ClientSecret, url.Values{"token": {token}})
	require.Equal(t, 200, answer.Status, answer.Text)
	require.EqualValues(t, 2, answer.JSON["enforced"], answer.Text)
	require.EqualValues(t, 2, answer.JSON["connected"], answer.Text)
	for _, v := range []*resourceserver.Verifier{one, two} {
		_, err := v.Verify(t.Context(), token)
		require.ErrorIs(t, err, resourceserver.ErrRevoked, "it is in force when the answer says so")
	}
}
