package store

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/pgtest"
)

// TestNodesStartThroughPgBouncer migrates an empty database from several nodes
// at once, all through a pooler that lends connections for one transaction, and
// then starts them again and again: nothing stays behind that holds one up.
func TestNodesStartThroughPgBouncer(t *testing.T) {
	direct := pgtest.URL(t)
	url := pgtest.PgBouncer(t, direct, nil)
	for range 3 {
		var all sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			s := open(t, url)
			all.Go(func() { _, errs[i] = s.Migrate(t.Context()) })
		}
		all.Wait()
		require.NoError(t, errors.Join(errs...))
	}
	held, err := count(t.Context(), open(t, direct).Read(), `SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory'`)
	require.NoError(t, err)
	require.Zero(t, held, "a lock stays behind")
	filled(t, open(t, url))
}

// TestNodesShareConnectionsThroughPgBouncer: what one node has prepared,
// another one finds on the connection that is lent to it next.
func TestNodesShareConnectionsThroughPgBouncer(t *testing.T) {
	url := pgtest.PgBouncer(t, migrated(t), nil)
	var all sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		s := open(t, url)
		all.Go(func() {
			for range 20 {
				_, err := s.Read().Credentials(t.Context(), "sa_a")
				if !errors.Is(err, ErrNotFound) {
					errs[i] = errors.Join(errs[i], err)
				}
				errs[i] = errors.Join(errs[i], s.NoteUse(t.Context(), map[string]Use{"sec_a": {"sa_a", 1}}))
				errs[i] = errors.Join(errs[i], s.Write(t.Context(), func(q *Q) error {
					_, err := q.AddChange(t.Context(), Change{Kind: ChangeOrg, ExpiresAt: moment0})
					return err
				}))
			}
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
}

// migrated is the URL of a database with the schema, not through a pooler.
func migrated(t *testing.T) string {
	t.Helper()
	url := pgtest.URL(t)
	_, err := open(t, url).Migrate(context.Background())
	require.NoError(t, err)
	return url
}

// TestWithoutAPoolerStatementsAreKept: to plan each query anew would cost more
// than most of them do.
func TestWithoutAPoolerStatementsAreKept(t *testing.T) {
	direct := migrated(t)
	kept := func(url string) int64 {
		s, err := Open(Config{URL: url, MaxConns: 1})
		require.NoError(t, err)
		defer s.Close()
		for range 3 {
			_, err := s.Read().Credentials(t.Context(), "sa_a")
			require.ErrorIs(t, err, ErrNotFound)
		}
		n, err := count(t.Context(), s.Read(),
			`SELECT COUNT(*) FROM pg_prepared_statements WHERE statement NOT LIKE '%pg_prepared_statements%'`)
		require.NoError(t, err)
		return n
	}
	require.EqualValues(t, 1, kept(direct))
	require.Zero(t, kept(direct+"&default_query_exec_mode=exec"), "the URL's choice")
	pooled := pgtest.PgBouncer(t, direct, nil)
	require.Zero(t, kept(pooled))
	session := pgtest.PgBouncer(t, direct, map[string]string{"pool_mode": "session"})
	require.Zero(t, kept(session))
	require.EqualValues(t, 1, kept(session+"&default_query_exec_mode=cache_statement"), "the URL's choice")
}

// TestPoolersBehindWhichNothingWorksAreRefused with what to do, and not as if
// the database were away.
func TestPoolersBehindWhichNothingWorksAreRefused(t *testing.T) {
	direct := migrated(t)
	for name, c := range map[string]struct {
		settings  map[string]string
		more, why string // why is empty if it is taken
	}{
		"statements":              {map[string]string{"pool_mode": "statement"}, "", "takes no transactions"},
		"a setting":               {nil, "&search_path=auth", "the URL has search_path"},
		"a setting among options": {nil, "&options=-csearch_path%3Dauth", "the URL has search_path"},
		"a setting that is dropped": {map[string]string{"ignore_startup_parameters": "search_path"},
			"&search_path=auth", "has not handed on the setting search_path"},
		"dropped options": {map[string]string{"ignore_startup_parameters": "options"},
			"&options=-c%20search_path%3Dauth", "has not handed on the setting search_path"},
		"other dropped options": {map[string]string{"ignore_startup_parameters": "options"},
			"&options=--statement-timeout%3D9s", "has not handed on the setting statement_timeout"},
		"a dropped setting, as it is": {map[string]string{"ignore_startup_parameters": "statement_timeout"},
			"&statement_timeout=0", ""},
		"a setting that is handed on":   {nil, "&timezone=Asia/Tokyo&client_encoding=UTF8", ""},
		"another word for the same one": {nil, "&datestyle=iso", ""},
		"an option that is no setting": {map[string]string{"ignore_startup_parameters": "options"},
			"&options=endpoint%3Dx", ""},
		"a wrong password": {map[string]string{"auth_type": "trust", "auth_file": "/dev/null"}, "",
			"08P01"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, pgtest.PgBouncer(t, direct, c.settings)+c.more)
			_, migrating := s.Migrate(t.Context())
			for _, err := range []error{s.Ping(t.Context()), s.Ready(t.Context()), migrating} {
				if c.why == "" {
					require.NoError(t, err)
					continue
				}
				require.ErrorContains(t, err, c.why)
				require.ErrorIs(t, err, ErrRefused)
				require.ErrorIs(t, err, ErrUnavailable, "what is known is served on")
			}
		})
	}
}

// TestASettingOfTheURLHoldsWithoutAPooler, also by the ways that a pooler
// refuses.
func TestASettingOfTheURLHoldsWithoutAPooler(t *testing.T) {
	direct := pgtest.URL(t)
	run(t, open(t, direct), "CREATE SCHEMA auth;\n")
	for _, more := range []string{"&search_path=auth", "&options=-csearch_path%3Dauth"} {
		s := open(t, direct+more)
		_, err := s.Migrate(t.Context())
		require.NoError(t, err)
		require.NoError(t, s.Ready(t.Context()))
	}
	n, err := count(t.Context(), open(t, direct).Read(), `SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'`)
	require.NoError(t, err)
	require.Zero(t, n)
}

// TestAMigrationThatWaitsSaysSoAndEnds: for a lock that somebody else holds, as
// an older release left one behind in a pooler's session, and for a table.
func TestAMigrationThatWaitsSaysSoAndEnds(t *testing.T) {
	for name, c := range map[string]struct{ hold, why string }{
		"the lock": {`SELECT pg_advisory_lock(7315911263)`, "of holder at 127.0.0.1 has been holding the lock"},
		"a table":  {`BEGIN; LOCK TABLE organization IN ACCESS SHARE MODE`, "using a table"},
		"the lock of one": {`BEGIN; SELECT pg_advisory_xact_lock(7315911263)`,
			"of holder at 127.0.0.1 has been holding the lock"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.URL(t)
			upTo(t, open(t, url), migrations, 3)
			holder, err := open(t, url+"&application_name=holder").read.Conn(t.Context())
			require.NoError(t, err)
			defer holder.Close()
			_, err = holder.ExecContext(t.Context(), c.hold)
			require.NoError(t, err)

			var heard []string
			s, err := Open(Config{URL: url, MaxConns: 1, MigrationWait: 50 * time.Millisecond,
				Observer: observed{waits: func(because string) { heard = append(heard, because) }}})
			require.NoError(t, err)
			defer s.Close()
			_, err = s.Migrate(t.Context())
			require.ErrorContains(t, err, c.why)
			require.ErrorContains(t, err, "start again")
			require.Len(t, heard, 1)
			require.Contains(t, heard[0], c.why)

			waiting := make(chan struct{})
			other, err := Open(Config{URL: url, Observer: observed{waits: func(string) { close(waiting) }}})
			require.NoError(t, err)
			defer other.Close()
			done := make(chan error, 1)
			go func() {
				_, err := other.Migrate(t.Context())
				done <- err
			}()
			<-waiting
			_, err = holder.ExecContext(t.Context(), `ROLLBACK; SELECT pg_advisory_unlock_all()`)
			require.NoError(t, err)
			require.NoError(t, <-done)
			filled(t, other)
		})
	}
}

// TestAHeldLockHoldsNobodyUpWhoHasNothingToMigrate: what an older release left
// behind in a pooler's session.
func TestAHeldLockHoldsNobodyUpWhoHasNothingToMigrate(t *testing.T) {
	url := migrated(t)
	holder := open(t, url)
	_, err := holder.write.ExecContext(t.Context(), `SELECT pg_advisory_lock(7315911263)`)
	require.NoError(t, err)
	_, err = open(t, url).Migrate(t.Context())
	require.NoError(t, err)
}

// TestAStepThatFailsIsUndoneWhole, and its reason is said.
func TestAStepThatFailsIsUndoneWhole(t *testing.T) {
	url := pgtest.URL(t)
	s := open(t, url)
	upTo(t, s, migrations, 3)
	run(t, s, "ALTER TABLE organization ADD COLUMN removed BIGINT;\n")
	before := tables(t, url)
	for range 2 {
		_, err := s.Migrate(t.Context())
		require.ErrorContains(t, err, "42701")
	}
	require.Equal(t, before, tables(t, url))
	run(t, s, "ALTER TABLE organization DROP COLUMN removed;\n")
	_, err := s.Migrate(t.Context())
	require.NoError(t, err)
	filled(t, s)
}

// TestAReplicaIsNotReady: it answers, but nothing can be changed.
func TestAReplicaIsNotReady(t *testing.T) {
	url := migrated(t)
	s := open(t, url)
	require.NoError(t, s.Ready(t.Context()))
	readOnly := open(t, url+"&default_transaction_read_only=on")
	for _, err := range []error{readOnly.Ping(t.Context()), readOnly.Ready(t.Context()),
		readOnly.Write(t.Context(), func(*Q) error { return nil })} {
		require.ErrorIs(t, err, ErrReadOnly)
		require.ErrorIs(t, err, ErrUnavailable)
	}
	_, err := readOnly.Read().LastChange(t.Context())
	require.NoError(t, err)
}

// TestAfterAFailOverConnectionsToTheReplicaAreGivenUp: a server that takes no
// more writes keeps its connections open. The next ones may lead to another
// one.
func TestAfterAFailOverConnectionsToTheReplicaAreGivenUp(t *testing.T) {
	url := migrated(t)
	s, err := Open(Config{URL: url, MaxConns: 1})
	require.NoError(t, err)
	defer s.Close()
	nothing := func() error { return s.Write(t.Context(), func(*Q) error { return nil }) }
	require.NoError(t, nothing())
	_, err = s.write.ExecContext(t.Context(), `SET default_transaction_read_only = on`)
	require.NoError(t, err)
	require.ErrorIs(t, nothing(), ErrReadOnly)
	require.NoError(t, nothing())
}

func TestReadySaysIfTheSchemaIsGone(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		require.NoError(t, s.Ready(t.Context()))
		run(t, s, "ALTER TABLE change_counter RENAME TO gone;\n")
		require.NoError(t, s.Ping(t.Context()))
		require.Error(t, s.Ready(t.Context()))
	})
}
