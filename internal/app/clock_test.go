package app_test

import (
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// A node whose clock is fast takes a token for expired. It must not answer that
// it revoked the token without having done so: by the right clock the token
// lives on.
func TestRevokedByAClockThatIsAhead(t *testing.T) {
	var off atomic.Int64
	s := svctest.New(t, svctest.Options{Clock: func() time.Time { return time.Now().Add(time.Duration(off.Load())) }})
	account := s.Account("ci", "clusters:view")
	token := s.Token(account.ClientID, account.ClientSecret, "")
	other := s.Token(account.ClientID, account.ClientSecret, "")
	off.Store(int64(3 * time.Hour))
	// this clock moves the monotonic one too: the node first has to read the
	// change log again
	require.Eventually(t, func() bool {
		answer := s.Post("/oauth2/introspect", account.ClientID, account.ClientSecret, url.Values{"token": {token}})
		return answer.Status == http.StatusOK && answer.JSON["active"] == false
	}, patience, 20*time.Millisecond)
	answer := s.Post("/oauth2/revoke", account.ClientID, account.ClientSecret, url.Values{"token": {token}})
	require.Equal(t, http.StatusOK, answer.Status)
	off.Store(0)
	require.True(t, s.Active(account.ClientID, account.ClientSecret, other))
	require.False(t, s.Active(account.ClientID, account.ClientSecret, token), "it was acknowledged")
	s.Stop()
	s.Start()
	require.False(t, s.Active(account.ClientID, account.ClientSecret, token), "and is durable")
}
