package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// ready waits until /readyz answers 200 and exactly this.
func ready(t *testing.T, s *svctest.Server, want map[string]any) {
	t.Helper()
	var last svctest.Answer
	require.Eventually(t, func() bool {
		last = s.Get("/readyz", "")
		return last.Status == http.StatusOK && assert.ObjectsAreEqual(want, last.JSON)
	}, patience, 50*time.Millisecond, "want %v, the last answer is %d", want, last.Status)
}

// TestReadyNamesWhatFails: Redis and the database answer a PING and a SELECT 1
// while they refuse the work. The node stays in the balancer, and gives tokens.
func TestReadyNamesWhatFails(t *testing.T) {
	redis := redistest.Start(t)
	redis.Must("ACL", "SETUSER", "svc", "on", ">pw", "~*", "&*", "+@all")
	s := svctest.New(t, svctest.Options{Postgres: true, RedisURL: redis.UserURL("svc", "pw")})
	account := s.Account("ci", "clusters:view")
	states := func(database, redis string) map[string]any {
		return map[string]any{"database": database, "redis": redis}
	}
	well := map[string]any{"status": "ok", "dependencies": states("ok", "ok")}
	ready(t, s, well)

	redis.Must("ACL", "SETUSER", "svc", "resetchannels")
	ready(t, s, map[string]any{"status": "degraded", "dependencies": states("ok", "impaired"),
		"failing": map[string]any{"redis": []any{"publish", "subscribe"}}})
	s.Token(account.ClientID, account.ClientSecret, "")
	redis.Must("ACL", "SETUSER", "svc", "&*")
	ready(t, s, well)

	redis.Must("CONFIG", "SET", "maxmemory-policy", "noeviction")
	redis.Must("CONFIG", "SET", "maxmemory", "1mb")
	ready(t, s, map[string]any{"status": "degraded", "dependencies": states("ok", "impaired"),
		"failing": map[string]any{"redis": []any{"write"}}})
	s.Token(account.ClientID, account.ClientSecret, "")
	list, err := s.App.Access.Tokens(s.System(), account.ID, svcauth.ListOptions{})
	require.NoError(t, err)
	require.True(t, list.Partial, "what could not be written is missing")
	redis.Must("CONFIG", "SET", "maxmemory", "0")
	ready(t, s, well)
	require.Eventually(t, func() bool {
		list, err := s.App.Access.Tokens(s.System(), account.ID, svcauth.ListOptions{})
		return err == nil && len(list.Items) == 2 && !list.Partial
	}, patience, 50*time.Millisecond, "the records are written when they can be")

	redis.Kill()
	ready(t, s, map[string]any{"status": "degraded", "dependencies": states("ok", "unavailable")})
}

// TestDatabaseThatTakesNoChanges answers SELECT 1 and refuses every change, as
// a replica does, or a primary that was made read-only.
func TestDatabaseThatTakesNoChanges(t *testing.T) {
	t.Parallel()
	db := pgtest.Start(t, pgtest.Config{})
	s := svctest.New(t, svctest.Options{DatabaseURL: db.NewDatabase()})
	account := s.Account("ci", "clusters:view")
	well := map[string]any{"status": "ok", "dependencies": map[string]any{"database": "ok"}}
	ready(t, s, well)
	refuse := func(how string) {
		for _, statement := range []string{"ALTER SYSTEM SET default_transaction_read_only = " + how,
			"SELECT pg_reload_conf()"} {
			_, err := db.Query("postgres", statement)
			require.NoError(t, err)
		}
	}
	refuse("on")
	// Nobody changes anything: the node finds it out by itself.
	ready(t, s, map[string]any{"status": "degraded", "dependencies": map[string]any{"database": "impaired"},
		"failing": map[string]any{"database": []any{"write"}}})
	s.Token(account.ClientID, account.ClientSecret, "")
	refuse("off")
	ready(t, s, well)
	log := s.Log()
	require.Equal(t, 1, strings.Count(log, "the database takes no changes"), log)
	require.Contains(t, log, "it is a replica, or set to be read-only")
	require.Equal(t, 1, strings.Count(log, "the database takes changes again"))
}
