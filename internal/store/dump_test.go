package store

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A table that a later migration makes must be in a backup, or be left out on
// purpose.
func TestEveryTableIsDumpedOrLeftOutOnPurpose(t *testing.T) {
	s, err := Open(Config{URL: "sqlite://" + filepath.Join(t.TempDir(), "svcauth.db")})
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
	tables, err := many(t.Context(), s.Read(), func(r row) (name string, err error) { return name, r.Scan(&name) },
		`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`)
	require.NoError(t, err)
	require.ElementsMatch(t, tables, slices.Concat(dumped, notDumped))
}

// Of a session only the hash of its token rests in the database.
func TestSessionsAreKeptUnderTheHashOfTheirToken(t *testing.T) {
	s, err := Open(Config{URL: "sqlite://" + filepath.Join(t.TempDir(), "svcauth.db")})
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Sessions().CommitCtx(t.Context(), "token", []byte("data"), time.Now().Add(time.Hour)))
	key, err := single(t.Context(), s.Read(), func(r row) (key string, err error) { return key, r.Scan(&key) },
		`SELECT token_hash FROM session`)
	require.NoError(t, err)
	require.NotContains(t, key, "token")
	require.Len(t, key, 43)
}
