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

// A backup from before there was a table for all credentials is restored into
// today's tables.
func TestABackupOfBeforeIsRestored(t *testing.T) {
	empties(t, func(t *testing.T, url string) {
		s := open(t, url)
		_, err := s.Migrate(t.Context())
		require.NoError(t, err)
		rows := []DumpedRow{
			{"organization", []string{"id", "name", "name_key", "operator", "may_manage", "pol", "version",
				"created_at_ms"}, []any{"org_a", "A", "a", true, false, int64(0), int64(1), int64(1)}},
			{"client", []string{"id", "org_id", "kind", "name", "name_key", "description", "disabled", "ttl_s", "epoch",
				"created_at_ms", "created_by_id", "created_by_name", "version"},
				[]any{"sa_a", "org_a", "sa", "CI", "ci", "", false, int64(0), int64(0), int64(1), "", "", int64(1)}},
			{"secret", []string{"id", "client_id", "org_id", "scheme", "hash", "hint", "description", "created_at_ms",
				"expires_at_ms", "last_used_ms", "created_by_id", "created_by_name"},
				[]any{"sec_a", "sa_a", "org_a", "s", []byte{0, 1, 255}, "abcd", "d", int64(1), int64(2_000_000_000_000),
					nil, "mem_a", "a@example.com"}},
		}
		next := func() (r DumpedRow, more bool, err error) {
			if len(rows) == 0 {
				return r, false, nil
			}
			r, rows = rows[0], rows[1:]
			return r, true, nil
		}
		require.NoError(t, s.Fill(t.Context(), next, func(*Q) error { return nil }))
		c, err := s.Read().Credentials(t.Context(), "sa_a")
		require.NoError(t, err)
		require.Equal(t, []StoredCredential{{"sec_a", "$s$0001ff", 2_000_000_000_000}}, c.Secrets)
		one, err := s.Read().Secret(t.Context(), "org_a", "sa_a", "sec_a")
		require.NoError(t, err)
		require.Equal(t, []string{"abcd", "d", "mem_a", "a@example.com"},
			[]string{one.Hint, one.Description, one.CreatedBy.ID, one.CreatedBy.Email})
	})
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
