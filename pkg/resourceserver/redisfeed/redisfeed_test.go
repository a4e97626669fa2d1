package redisfeed_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/resourceserver/redisfeed"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const patience = 30 * time.Second

func TestFollowNeedsItsParts(t *testing.T) {
	require.ErrorContains(t, redisfeed.Follow(t.Context(), redisfeed.Config{}), "required")
}

// The feed is polled so rarely that what is refused within the test was
// announced by Redis. With Redis gone it comes with a poll.
func TestRevocationsAreHeardFromRedisAndNoneIsLostWithIt(t *testing.T) {
	server := redistest.Start(t)
	s := svctest.New(t, svctest.Options{RedisURL: server.URL()})
	account, api := s.Account("ci", "clusters:view"), s.Account("api", svcauth.TokensIntrospect)
	follow := func(every time.Duration) *resourceserver.Verifier {
		v, err := resourceserver.New(resourceserver.Config{Issuer: s.Issuer, Audience: "https://api.cloud.example",
			HTTPClient:   &http.Client{Transport: s.HTTP.Transport},
			MaxStaleness: time.Hour, Feed: &resourceserver.Feed{Poll: true, Every: every,
				Token: func(context.Context) (string, error) {
					return s.Token(api.ClientID,
						api.ClientSecret, ""), nil
				}}})
		require.NoError(t, err)
		ready, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		require.NoError(t, v.Ready(ready))
		return v
	}
	v := follow(20 * time.Minute)
	defer v.Close()
	options, err := redis.ParseURL(server.URL())
	require.NoError(t, err)
	client := redis.NewClient(options)
	defer client.Close()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- redisfeed.Follow(ctx, redisfeed.Config{Client: client, Verifier: v}) }()

	revoked := func(v *resourceserver.Verifier) func() bool {
		token := s.Token(account.ClientID, account.ClientSecret, "")
		_, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, 200,
			s.Post("/oauth2/revoke", account.ClientID, account.ClientSecret, url.Values{"token": {token}}).Status)
		return func() bool {
			_, err := v.Verify(t.Context(), token)
			return err != nil
		}
	}
	// The subscription may not be in force yet: what is published before is not
	// heard, and must not be.
	require.Eventually(t,
		func() bool { return server.Must("PUBSUB", "NUMSUB", "svcauth:{changes}") == "svcauth:{changes}\n2" }, patience,
		20*time.Millisecond)
	require.Eventually(t, revoked(v), patience, time.Millisecond)

	// Whoever may publish there can have nothing refused: not by what a message
	// says, whether forged or heard before.
	token := s.Token(account.ClientID, account.ClientSecret, "")
	for _, message := range []string{"{", `{"seq":999,"revocations":[{"org":"x","entry":{"client_id":"` +
		account.ClientID + `","min_epoch":999}}]}`} {
		server.Must("PUBLISH", "svcauth:{changes}", message)
	}
	require.Eventually(t, revoked(v), patience, time.Millisecond, "and goes on hearing what is true")
	_, err = v.Verify(t.Context(), token)
	require.NoError(t, err)

	server.Kill()
	seldom := revoked(v)
	require.Never(t, seldom, 300*time.Millisecond, 50*time.Millisecond, "heard from nobody")
	server.Start()
	require.Eventually(t, seldom, patience, 10*time.Millisecond, "whoever has missed something asks the feed")
	require.Eventually(t,
		func() bool { return server.Must("PUBSUB", "NUMSUB", "svcauth:{changes}") == "svcauth:{changes}\n2" }, patience,
		20*time.Millisecond)
	// What was published before the server's own connection was back is not
	// heard, and need not be: one that is revoked later is.
	require.Eventually(t, func() bool {
		heard := revoked(v)
		for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if heard() {
				return true
			}
		}
		return false
	}, patience, time.Millisecond)
	stop()
	require.NoError(t, <-done)
}

// counted counts the requests for the feed.
type counted struct {
	http.RoundTripper
	polls atomic.Int64
}

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/oauth2/revocations") {
		c.polls.Add(1)
	}
	return c.RoundTripper.RoundTrip(r)
}

// A node tries each second whether Redis takes its messages, by empty ones:
// they bring nobody to ask the feed.
func TestEmptyMessagesAreNoNews(t *testing.T) {
	server := redistest.Start(t)
	s := svctest.New(t, svctest.Options{RedisURL: server.URL()})
	api := s.Account("api", svcauth.TokensIntrospect)
	transport := &counted{RoundTripper: s.HTTP.Transport}
	v, err := resourceserver.New(resourceserver.Config{Issuer: s.Issuer, Audience: "https://api.cloud.example",
		HTTPClient:   &http.Client{Transport: transport},
		MaxStaleness: time.Hour, Feed: &resourceserver.Feed{Poll: true, Every: 20 * time.Minute,
			Token: func(context.Context) (string, error) { return s.Token(api.ClientID, api.ClientSecret, ""), nil }}})
	require.NoError(t, err)
	defer v.Close()
	require.NoError(t, v.Ready(t.Context()))
	options, err := redis.ParseURL(server.URL())
	require.NoError(t, err)
	client := redis.NewClient(options)
	defer client.Close()
	first := transport.polls.Load()
	go func() { _ = redisfeed.Follow(t.Context(), redisfeed.Config{Client: client, Verifier: v}) }()
	require.Eventually(t,
		func() bool { return server.Must("PUBSUB", "NUMSUB", "svcauth:{changes}") == "svcauth:{changes}\n2" }, patience,
		20*time.Millisecond)
	require.Eventually(t, func() bool { return transport.polls.Load() > first }, patience, 20*time.Millisecond,
		"the subscription is followed by a poll")
	before := transport.polls.Load()
	for range 3 {
		server.Must("PUBLISH", "svcauth:{changes}", "")
		time.Sleep(500 * time.Millisecond)
	}
	require.Equal(t, before, transport.polls.Load())
	server.Must("PUBLISH", "svcauth:{changes}", "news")
	require.Eventually(t, func() bool { return transport.polls.Load() > before }, patience, 20*time.Millisecond)
}
