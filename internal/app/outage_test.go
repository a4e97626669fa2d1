package app_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// An outage of the database is one line at its begin and one at its end,
// however much fails meanwhile: requests of clients that are not known,
// changes, and the server's own work.
func TestAnOutageIsTwoLines(t *testing.T) {
	t.Parallel()
	db := pgtest.Start(t, pgtest.Config{})
	s := svctest.New(t, svctest.Options{DatabaseURL: db.NewDatabase()})
	account := s.Account("ci", "clusters:view")
	for _, fresh := range []string{"a", "b"} { // leaves uses to write down
		other := s.Account(fresh, "clusters:view")
		s.Token(other.ClientID, other.ClientSecret, "")
	}
	before := len(s.Log())
	db.Stop()
	for range 10 {
		s.Post("/oauth2/token", svcauth.NewID(svcauth.PrefixServiceAccount), svcauth.NewSecret(),
			url.Values{"grant_type": {"client_credentials"}})
		s.Post("/oauth2/revoke", account.ClientID, account.ClientSecret, url.Values{"token": {"eyJ"}})
		_, _ = s.App.Access.CreateRole(s.System(), svcauth.NewRole{Name: "operators"})
		time.Sleep(300 * time.Millisecond)
	}
	db.Restart()
	told := func() (lines []map[string]any) {
		for line := range strings.Lines(s.Log()[before:]) {
			var one map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &one), line)
			if one["msg"] != "request" {
				lines = append(lines, one)
			}
		}
		return lines
	}
	require.Eventually(t, func() bool { return len(told()) >= 2 }, patience, 100*time.Millisecond)
	lines := told()
	require.Len(t, lines, 2, "%v", lines)
	require.Contains(t, lines[0]["msg"], "the database is not available")
	require.NotEmpty(t, lines[0]["error"])
	require.Equal(t, "the database is available again", lines[1]["msg"])
	lasted, err := time.ParseDuration(lines[1]["away"].(string))
	require.NoError(t, err)
	require.Greater(t, lasted, time.Second)
}
