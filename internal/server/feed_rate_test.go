package server_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// tooMany sends a request again and again from some callers at once, until end
// is called. The first answer 429 goes into refused.
func tooMany(t *testing.T, s *svctest.Server, method, path, token,
	body string) (refused chan svctest.Answer, end func()) {
	t.Helper()
	refused = make(chan svctest.Answer, 1)
	done := make(chan struct{})
	var group sync.WaitGroup
	for range 30 {
		group.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				req, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
				if err != nil {
					return
				}
				req.Header.Set("Authorization", "Bearer "+token)
				resp, err := s.HTTP.Do(req)
				if err != nil {
					return
				}
				text, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode == http.StatusTooManyRequests {
					select {
					case refused <- svctest.Answer{Status: resp.StatusCode, Header: resp.Header, Text: string(text)}:
					default:
					}
				}
			}
		})
	}
	var once sync.Once
	end = func() { once.Do(func() { close(done); group.Wait() }) }
	t.Cleanup(end)
	return refused, end
}

// feedRate has so few subscribers that the bounds on who asks are reached soon.
var feedRate = svctest.Options{Environ: []string{"SVCAUTH_LIMITS_MAX_FOLLOWERS=4"}}

func requireTooMany(t *testing.T, refused chan svctest.Answer) {
	t.Helper()
	select {
	case answer := <-refused:
		seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
		require.NoError(t, err)
		require.Positive(t, seconds)
		require.Contains(t, answer.Text, `"error":"too_many_requests"`)
		require.Contains(t, answer.Text, "Retry-After")
	case <-time.After(patience):
		require.Fail(t, "nothing was refused")
	}
}

// Whoever asks for the feed too often is told to wait. Others are served
// meanwhile, and a resource server of the same account loses nothing.
func TestPollsOfOneClientAreBounded(t *testing.T) {
	t.Parallel()
	s := svctest.New(t, feedRate)
	acme, other := s.NewTenant("acme"), s.NewTenant("other")
	api, ci := s.AccountIn(acme, "api", svcauth.TokensIntrospect), s.AccountIn(acme, "ci", "clusters:view")
	v := resourceServer(t, s, api, func(c *resourceserver.Config) { c.Feed.Poll = true })
	own := s.OwnToken(api.ClientID, api.ClientSecret)
	outsiders := []svcauth.ServiceAccount{s.Account("api", svcauth.TokensIntrospect),
		s.AccountIn(other, "api", svcauth.TokensIntrospect)}
	refusals, end := tooMany(t, s, http.MethodGet, "/oauth2/revocations", own, "")
	requireTooMany(t, refusals)
	for _, account := range outsiders {
		answer := s.Get("/oauth2/revocations", s.OwnToken(account.ClientID, account.ClientSecret))
		require.Equal(t, http.StatusOK, answer.Status, answer.Text)
	}
	stream := follow(t, s, s.OwnToken(outsiders[0].ClientID, outsiders[0].ClientSecret), "")
	require.Equal(t, "snapshot", stream.next().Event)
	token := tokenOf(s, ci)
	accepted(t, v, token)
	require.Equal(t, http.StatusOK, s.Post("/oauth2/revoke", ci.ClientID, ci.ClientSecret, tokenForm(token)).Status)
	refused(t, v, token)
	accepted(t, v, tokenOf(s, ci)) // it did not become stale, by which all are refused
	require.True(t, enforcement(t, s, ci, "0s").NotCounted, "who was refused may follow, and is not counted")
	require.False(t, enforcement(t, s, s.Account("ci", "clusters:view"), "0s").NotCounted,
		"that concerns its organization")
	end()
}

// Receipts that come too often are refused before they are read, and whoever
// waits for them is told that not all are counted.
func TestReceiptsOfOneClientAreBounded(t *testing.T) {
	t.Parallel()
	s := svctest.New(t, feedRate)
	acme := s.NewTenant("acme")
	api, ci := s.AccountIn(acme, "api", svcauth.TokensIntrospect), s.AccountIn(acme, "ci", "clusters:view")
	v := resourceServer(t, s, api, nil)
	require.Eventually(t, func() bool { return enforcement(t, s, ci, "5s").All() }, patience, 10*time.Millisecond)
	own := s.OwnToken(api.ClientID, api.ClientSecret)
	refusals, end := tooMany(t, s, http.MethodPost, "/oauth2/revocations/ack", own, `no JSON at all`)
	requireTooMany(t, refusals)
	e := enforcement(t, s, ci, "100ms")
	require.True(t, e.NotCounted, "%+v", e)
	require.False(t, e.All())
	require.Equal(t, http.StatusOK, s.Get("/oauth2/revocations", own).Status,
		"who confirms too often may ask all the same")
	token := tokenOf(s, ci)
	accepted(t, v, token)
	require.Equal(t, http.StatusOK, s.Post("/oauth2/revoke", ci.ClientID, ci.ClientSecret, tokenForm(token)).Status)
	refused(t, v, token)
	end()
	require.Eventually(t, func() bool { return enforcement(t, s, ci, "2s").All() }, 2*patience, 100*time.Millisecond,
		"its receipts are taken again")
}
