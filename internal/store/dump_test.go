package store

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A table that a later migration makes must be in a backup, or be left out on purpose.
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
