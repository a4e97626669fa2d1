package store

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/pgtest"
)

// TestAnIndexIsBuiltBesideWriters: while one is built, or waits to be, on a
// table of any size, tokens are issued and roles taken away as before.
func TestAnIndexIsBuiltBesideWriters(t *testing.T) {
	url := pgtest.URL(t)
	s := open(t, url)
	upTo(t, s, migrations, 35)
	for _, table := range []string{"credential", "role_grant"} {
		_, err := s.read.ExecContext(t.Context(), `DELETE FROM goose_db_version WHERE version_id > 35`)
		require.NoError(t, err)
		writer, err := open(t, url+"&application_name=writer").read.Conn(t.Context())
		require.NoError(t, err)
		_, err = writer.ExecContext(t.Context(), `BEGIN; LOCK TABLE `+table+` IN ROW EXCLUSIVE MODE`)
		require.NoError(t, err)
		waiting := make(chan string, 1)
		migrating, err := Open(Config{URL: url, MaxConns: 1,
			Observer: observed{waits: func(because string) { waiting <- because }}})
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() {
			_, err := migrating.Migrate(t.Context())
			done <- err
		}()
		require.Contains(t, <-waiting, "of writer at 127.0.0.1 has been in a transaction")
		run(t, s, `BEGIN; LOCK TABLE credential, role_grant IN ROW EXCLUSIVE MODE NOWAIT; COMMIT`)
		_, err = writer.ExecContext(t.Context(), `ROLLBACK`)
		require.NoError(t, err)
		require.NoError(t, <-done)
		require.NoError(t, migrating.Close())
		run(t, s, `DROP INDEX credential_client_hash, role_grant_principal`)
	}
}

// TestAnIndexThatWasLeftHalfBuiltIsBuiltAnew: PostgreSQL leaves one behind that
// is kept up and never used, whenever its building is cut short.
func TestAnIndexThatWasLeftHalfBuiltIsBuiltAnew(t *testing.T) {
	url := pgtest.URL(t)
	s := open(t, url)
	upTo(t, s, migrations, 35)
	writer, err := open(t, url).read.Conn(t.Context())
	require.NoError(t, err)
	_, err = writer.ExecContext(t.Context(), `BEGIN; LOCK TABLE credential IN ROW EXCLUSIVE MODE`)
	require.NoError(t, err)
	impatient, err := Open(Config{URL: url, MigrationWait: 50 * time.Millisecond})
	require.NoError(t, err)
	defer impatient.Close()
	_, err = impatient.Migrate(t.Context())
	require.ErrorContains(t, err, "has been in a transaction")
	require.ErrorContains(t, err, "start again")
	half, err := count(t.Context(), s.Read(), `SELECT COUNT(*) FROM pg_index WHERE NOT indisvalid`)
	require.NoError(t, err)
	require.EqualValues(t, 1, half)

	_, err = writer.ExecContext(t.Context(), `ROLLBACK`)
	require.NoError(t, err)
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
	valid, err := count(t.Context(), s.Read(), `SELECT COUNT(*) FROM pg_index WHERE indisvalid
		AND indexrelid IN (to_regclass('credential_client_hash'), to_regclass('role_grant_principal'))`)
	require.NoError(t, err)
	require.EqualValues(t, 2, valid)
	filled(t, s)
}

// TestMigrationsBuildIndexesBesideWriters: the rule at Migrate, for what came
// after the first two dozen, none of which met a table of a size.
func TestMigrationsBuildIndexesBesideWriters(t *testing.T) {
	s := open(t, pgtest.URL(t))
	p, err := s.provider(migrations, s.write)
	require.NoError(t, err)
	statements := regexp.MustCompile(`(?m)^(?:-- on PostgreSQL: )?([A-Z][^;]*);`)
	index := regexp.MustCompile(`^(CREATE|DROP)\s+(UNIQUE\s+)?INDEX\s`)
	right := regexp.MustCompile(`^(CREATE (UNIQUE )?INDEX CONCURRENTLY IF NOT|DROP INDEX CONCURRENTLY IF) EXISTS \w+`)
	made := regexp.MustCompile(`CREATE TABLE (\w+)`)
	for _, source := range p.ListSources() {
		raw, err := fs.ReadFile(migrations, "migrations/"+source.Path)
		require.NoError(t, err)
		if source.Version < 36 {
			continue
		}
		text, own := string(raw), made.FindAllStringSubmatch(string(raw), -1)
		for _, statement := range statements.FindAllStringSubmatch(text, -1) {
			isIndex := index.MatchString(statement[1])
			for _, table := range own { // an empty one is locked for no time
				isIndex = isIndex && !strings.Contains(statement[1], " ON "+table[1]+" ")
			}
			require.Equal(t, isIndex, online.MatchString(text),
				"%s: an index is built in a migration of its own, -- +goose NO TRANSACTION: %s",
				source.Path, statement[1])
			require.True(t, !isIndex || right.MatchString(statement[1]),
				"%s: beside writers, and right once more after it was cut short: %s", source.Path, statement[1])
		}
	}
}

// TestASecondNodeWaitsForAnIndex: nodes that start while one builds an index
// say for whom they wait, and start when it is built.
func TestASecondNodeWaitsForAnIndex(t *testing.T) {
	url := pgtest.URL(t)
	s := open(t, url)
	upTo(t, s, migrations, 35)
	writer, err := open(t, url+"&application_name=writer").read.Conn(t.Context())
	require.NoError(t, err)
	_, err = writer.ExecContext(t.Context(), `BEGIN; LOCK TABLE credential IN ROW EXCLUSIVE MODE`)
	require.NoError(t, err)
	type result struct {
		steps int
		err   error
	}
	ended := make(chan result, 2)
	for _, its := range []struct{ whom, expected string }{
		{"first", "of writer at 127.0.0.1 has been in a transaction"},
		{"second", "of first at 127.0.0.1 has been holding the lock"},
	} {
		waiting := make(chan string, 1)
		node, err := Open(Config{URL: url + "&application_name=" + its.whom,
			Observer: observed{waits: func(because string) { waiting <- because }}})
		require.NoError(t, err)
		defer node.Close()
		go func() {
			steps, err := node.Migrate(t.Context())
			ended <- result{steps, err}
		}()
		require.Contains(t, <-waiting, its.expected)
	}
	require.Empty(t, ended)
	_, err = writer.ExecContext(t.Context(), `ROLLBACK`)
	require.NoError(t, err)
	one, other := <-ended, <-ended
	require.NoError(t, one.err)
	require.NoError(t, other.err)
	require.Equal(t, 1, one.steps+other.steps)
}
