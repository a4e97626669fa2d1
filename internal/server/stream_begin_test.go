package server_test

import (
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestStreamsThatWaitToBeginHoldNoPlace has more streams wait for the change
// log than there are places among the requests in work.
func TestStreamsThatWaitToBeginHoldNoPlace(t *testing.T) {
	t.Parallel()
	const places, streams = 10, 12
	url := pgtest.URL(t)
	s := svctest.New(t,
		svctest.Options{DatabaseURL: url, Environ: []string{fmt.Sprint("SVCAUTH_LIMITS_MAX_INFLIGHT=", places)}})
	token := tokenOf(s, s.Account("api", svcauth.TokensIntrospect))
	admin := s.Admin()
	_, err := admin.ResourceServers(t.Context(), svcauth.ListOptions{})
	require.NoError(t, err)

	db, err := sql.Open("pgx", url)
	require.NoError(t, err)
	defer db.Close()
	lock, err := db.Begin()
	require.NoError(t, err)
	defer lock.Rollback() //nolint:errcheck // after the first it does nothing
	_, err = lock.Exec(`LOCK TABLE change IN ACCESS EXCLUSIVE MODE`)
	require.NoError(t, err)
	answers := make(chan string, streams)
	for i := range streams {
		go func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/oauth2/revocations", nil)
			if err != nil {
				answers <- err.Error()
				return
			}
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("Accept", "text/event-stream")
			req.Header.Set("Svcauth-Instance", fmt.Sprint(i))
			resp, err := s.HTTP.Do(req)
			if err != nil {
				answers <- err.Error()
				return
			}
			defer resp.Body.Close()
			text := make([]byte, 200)
			n, _ := io.ReadFull(resp.Body, text)
			answers <- fmt.Sprint(resp.StatusCode, " ", string(text[:n]))
		}()
	}
	connected := 0
	require.Eventually(t, func() bool {
		all, err := admin.ResourceServers(t.Context(), svcauth.ListOptions{})
		if err == nil {
			connected = len(all.Items)
		}
		return connected == streams || len(answers) > 0
	}, time.Minute, time.Millisecond)
	require.Empty(t, answers, "all wait at once")
	require.Equal(t, streams, connected, "and others are answered meanwhile")
	require.NoError(t, lock.Rollback())
	for range streams {
		require.Contains(t, <-answers, "200 event: snapshot")
	}
}
